import { type Blame, RigError } from '../base/errors.ts';

/** What one session read, and what the board said that no pattern has seen. */
export interface ByteAccount {
  readonly bytesRead: number;
  /** Times that the kernel lost bytes, one or more each; undefined where it does not count them. */
  readonly overruns: number | undefined;
  /** Bytes that were read and could not be kept for the step after a pause or a send. */
  readonly droppedBytes: number;
  /** Bytes that the log lacks, and tells that it does. */
  readonly logGapBytes: number;
}

/** Bytes that patterns have not seen, at least. */
export function lostBytes({ overruns = 0, droppedBytes }: ByteAccount): number {
  return overruns + droppedBytes;
}

/** Nothing has matched in time; where bytes were lost on the way, or the tty is away, that is not the firmware's doing. */
export function lateness(
  waitedFor: string,
  /** ` within 2 s`, or other words for it. */
  inTime: string,
  account: ByteAccount,
  tty: 'there' | 'away',
): { readonly blame: Blame; readonly what: string } {
  const what = `expected ${waitedFor}${inTime}`;
  if (tty === 'away') return { blame: 'hardware', what: `${what}, but its tty is away` };
  if (lostBytes(account) === 0) return { blame: 'verdict', what };
  return { blame: 'hardware', what: `${what}, but ${describeAccount(account)}` };
}

/** For `-v` and the log: `1234 bytes read, 0 bytes lost`. */
export function describeAccount(account: ByteAccount): string {
  const { bytesRead, overruns = 0, logGapBytes } = account;
  const least = overruns > 0 ? 'at least ' : '';
  const uncounted = account.overruns === undefined ? ' (this tty does not count overruns)' : '';
  const gaps = logGapBytes > 0 ? `, ${bytes(logGapBytes)} not in the log` : '';
  return `${bytes(bytesRead)} read, ${least}${bytes(lostBytes(account))} lost${uncounted}${gaps}`;
}

function bytes(count: number): string {
  return `${count} ${count === 1 ? 'byte' : 'bytes'}`;
}

/** A loss of bytes that patterns should have seen, blamed on the rig; undefined when there is none. */
export function lossOf(label: string, account: ByteAccount): RigError | undefined {
  const { overruns = 0, droppedBytes } = account;
  if (lostBytes(account) === 0) return undefined;
  const causes = [
    overruns > 0
      ? `the kernel lost bytes ${overruns === 1 ? 'once' : `${overruns} times`}, as nobody took them in time; lower the load or the speed`
      : '',
    droppedBytes > 0
      ? `${droppedBytes} bytes came during a pause or a send, too many to keep for the step after it; expect them instead`
      : '',
  ];
  return new RigError('hardware', `${label}: ${causes.filter((cause) => cause !== '').join('; ')}`);
}
