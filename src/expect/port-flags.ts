/** Flags about the port and how it is sent to, which `cli.ts` lists. */

import { parseDurationMs } from '../base/duration.ts';
import { RigError } from '../base/errors.ts';
import type { FlowControl, LineFormat } from '../native/termios.ts';
import { checkTransfer, TRANSFER_PROGRAMS, type Transfer } from './file-transfer.ts';
import type { Step } from './script.ts';
import type { Sending } from './sending.ts';

/** How long the echo of a line may take, unless it is said. */
export const ECHO_TIME = '2s';

export interface PortFlags {
  readonly format: string;
  readonly flow: FlowControl;
  /** False when the flag says no. */
  readonly follow: boolean;
  readonly pace?: string;
  readonly paceLine?: string;
  readonly waitEcho?: string | true;
}

export type PortStepFlag = 'break' | 'dtr' | 'rts' | 'ysend' | 'xsend' | 'yreceive';

/** What a command line says of the port. */
export interface PortSettings {
  readonly format: LineFormat;
  readonly flow: FlowControl;
  /** Whether a tty that went away may come back, where its lease says so. */
  readonly follow: 'as leased' | 'never';
}

/** @throws {RigError} blame `usage` */
export function portSettings({ format, flow, follow }: PortFlags): PortSettings {
  return { format: parseFormat(format, '--format'), flow, follow: follow ? 'as leased' : 'never' };
}

/** @throws {RigError} blame `usage`, naming `what` */
export function parseFormat(text: string, what: string): LineFormat {
  const format = text.toUpperCase();
  if (!/^[5-8][NEO][12]$/.test(format)) {
    throw new RigError(
      'usage',
      `${what}: expected data bits (5 to 8), parity (N, E or O) and stop bits (1 or 2) such as 8N1, got ${JSON.stringify(text)}`,
    );
  }
  return format as LineFormat;
}

/** @throws {RigError} blame `usage` */
export function sendingOf({ pace, paceLine, waitEcho }: PortFlags): Sending {
  const msOf = (text: string | undefined, flag: string): number =>
    text === undefined ? 0 : parseDurationMs(text, flag);
  return {
    paceMs: msOf(pace, '--pace'),
    linePaceMs: msOf(paceLine, '--pace-line'),
    echoMs:
      waitEcho === undefined ? undefined : msOf(waitEcho === true ? ECHO_TIME : waitEcho, '--wait-echo'),
  };
}

/** @throws {RigError} blame `usage` */
export function portStepOf(flag: PortStepFlag, value: string, text: string): Step {
  switch (flag) {
    case 'break':
      return { kind: 'break', text, breakMs: parseDurationMs(value, '--break') };
    case 'dtr':
    case 'rts': {
      if (value !== 'on' && value !== 'off')
        throw new RigError('usage', `--${flag}: expected on or off, got ${JSON.stringify(value)}`);
      return { kind: 'drive', text, lines: { [flag]: value } };
    }
    default: {
      const transfer: Transfer = { program: TRANSFER_PROGRAMS[flag], path: value };
      checkTransfer(transfer, text);
      return { kind: 'transfer', text, transfer };
    }
  }
}
