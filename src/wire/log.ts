/** What a log is made of: numbered channels, and records of the bytes that came in on each. */

/** Channels that every run has. Source: Sai's numbers, which its logs and dashboards know. */
export const CHANNEL = { stdout: 1, stderr: 2, control: 3, jig: 64 } as const;

const FIRST_TTY_CHANNEL = 4;

/** Ttys that have a channel. */
export const MAX_LOGGED_TTYS = CHANNEL.jig - FIRST_TTY_CHANNEL;

/** The channel of the tty with that index, below {@link MAX_LOGGED_TTYS}. */
export const ttyChannel = (index: number): number => FIRST_TTY_CHANNEL + index;

/** How people name a channel, and its files: `stdout`, `stderr`, `control`, `tty0` … `tty59`, `jig`. */
export function channelName(channel: number): string {
  const fixed = Object.entries(CHANNEL).find(([, number]) => number === channel);
  return fixed ? fixed[0] : `tty${channel - FIRST_TTY_CHANNEL}`;
}

/** The channel with that name; undefined when there is none. */
export function channelNumber(name: string): number | undefined {
  if (Object.hasOwn(CHANNEL, name)) return CHANNEL[name as keyof typeof CHANNEL];
  const index = /^tty(0|[1-9]\d?)$/.exec(name)?.[1];
  return index !== undefined && Number(index) < MAX_LOGGED_TTYS ? ttyChannel(Number(index)) : undefined;
}

/** `in` is what a board or a program said; `out` is what was sent to the board. */
export type Direction = 'in' | 'out';

/** Bytes as they were read: undecoded, in any chunking, never empty. */
export interface LogBytes {
  readonly kind: 'bytes';
  readonly direction: Direction;
  readonly bytes: Uint8Array;
}

/** Bytes that came and could not be kept, between the records before and after. */
export interface LogGap {
  readonly kind: 'gap';
  readonly direction: Direction;
  /** 0 when nobody knows how many, if any: the writer was killed. */
  readonly lostBytes: number;
}

/** When something was read, by the clocks of the host. */
export interface LogTime {
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  /** Nanoseconds of CLOCK_MONOTONIC. */
  readonly monotonicNs: bigint;
}

/** One thing that happened on a channel. Sequences of a channel begin at 0 and have no holes. */
export type LogRecord = (LogBytes | LogGap) &
  LogTime & {
    readonly channel: number;
    readonly sequence: number;
    /** Which writer of the channel, from 1, in the order of their first bytes; 0 is the command itself. */
    readonly writer: number;
  };
