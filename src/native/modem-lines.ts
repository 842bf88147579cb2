import { callLibc } from './libc.ts';

/** Source: <asm-generic/ioctls.h>. */
const TIOCMGET = 0x5415;
const TIOCMBIS = 0x5416;
const TIOCMBIC = 0x5417;
const TIOCMSET = 0x5418;

/** Source: <asm-generic/termios.h>. */
const BIT = { dtr: 0x002, rts: 0x004, cts: 0x020, dcd: 0x040, ri: 0x080, dsr: 0x100 } as const;

/** Modem lines of a tty; true is asserted. DTR and RTS are ours to drive, the rest the peer's. */
export type ModemLines = Readonly<Record<keyof typeof BIT, boolean>>;

/** @throws {SystemError} code `ENOTTY` where there are none: every pty */
export function readModemLines(fd: number): ModemLines {
  const value = readBits(fd);
  const lines = Object.entries(BIT).map(([name, bit]) => [name, (value & bit) !== 0]);
  return Object.fromEntries(lines) as ModemLines;
}

/**
 * Drives only the lines named, both in one call: a board that resets by one and boots by the other must not see the state
 * between. @throws {SystemError} code `ENOTTY` on a pty
 */
export function setModemLines(fd: number, lines: { readonly dtr?: boolean; readonly rts?: boolean }): void {
  const bitsFor = (wanted: boolean): number =>
    (lines.dtr === wanted ? BIT.dtr : 0) | (lines.rts === wanted ? BIT.rts : 0);
  const [on, off] = [bitsFor(true), bitsFor(false)];
  if (on !== 0 && off !== 0) write(fd, TIOCMSET, (readBits(fd) | on) & ~off);
  else if (on !== 0) write(fd, TIOCMBIS, on);
  else if (off !== 0) write(fd, TIOCMBIC, off);
}

function readBits(fd: number): number {
  const bits = Buffer.alloc(4);
  callLibc('ioctl', fd, TIOCMGET, bits);
  return bits.readInt32LE();
}

function write(fd: number, request: number, bits: number): void {
  const argument = Buffer.alloc(4);
  argument.writeInt32LE(bits);
  callLibc('ioctl', fd, request, argument);
}

/** Drives both in one call, so that no other combination is ever seen. @throws {SystemError} code `ENOTTY` on a pty */
export function writeModemLines(
  fd: number,
  { dtr, rts }: { readonly dtr: boolean; readonly rts: boolean },
): void {
  const bits = Buffer.alloc(4);
  callLibc('ioctl', fd, TIOCMGET, bits);
  const others = bits.readInt32LE() & ~(BIT.dtr | BIT.rts);
  bits.writeInt32LE(others | (dtr ? BIT.dtr : 0) | (rts ? BIT.rts : 0));
  callLibc('ioctl', fd, TIOCMSET, bits);
}
