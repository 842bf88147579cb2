import { callLibc } from './libc.ts';

/** Source: <asm-generic/ioctls.h>, <asm-generic/termbits.h>; the same on x64, arm64 and arm. */
const TCGETS2 = 0x80_2c_54_2a;
const TCSETS2 = 0x40_2c_54_2b;
const FIONREAD = 0x541b;

const OFFSET = { iflag: 0, oflag: 4, cflag: 8, lflag: 12, controlChars: 17, inputSpeed: 36, outputSpeed: 40 };
const TERMIOS2_BYTES = 44;

const ECHO = 0o10;
const ICANON = 0o2;
const CSIZE = 0o60;
const CS8 = 0o60;
const CREAD = 0o200;
const HUPCL = 0o2000;
const CLOCAL = 0o4000;
const CBAUD = 0o10017;
const BOTHER = 0o10000;
const CIBAUD = 0o2003600000;
/**
 * The rates that have a flag of their own, by that flag's number: B50 is 1. Those above 38400 have CBAUDEX set as well.
 * Source: <asm-generic/termbits-common.h>, <asm-generic/termbits.h>.
 */
const RATES = [0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19_200, 38_400];
const EXTENDED_RATES = [
  ...[0, 57_600, 115_200, 230_400, 460_800, 500_000, 576_000, 921_600, 1_000_000],
  ...[1_152_000, 1_500_000, 2_000_000, 2_500_000, 3_000_000, 3_500_000, 4_000_000],
];
const CBAUDEX = 0o10000;
const VTIME = 5;
const VMIN = 6;

/** Line settings of a tty, as the rig cares for them. */
export interface TtySettings {
  /** Any speed the driver can make, also 74880 or 31250. */
  readonly baudRate: number;
  /** Drop DTR at the last close: resets many boards. */
  readonly hangUpOnClose: boolean;
}

/** What `readTtySettings` finds; `raw` when bytes pass as they are, `echo` when the tty sends them back. */
export interface TtyState extends TtySettings {
  readonly raw: boolean;
  readonly echo: boolean;
  /** Modem lines are ignored: an open does not wait for carrier. */
  readonly local: boolean;
}

/**
 * Makes a tty raw at once: 8N1, no echo, no flow control, no modem control, at the given speed.
 * Keeps what has arrived and what is still to be sent (TCSANOW, no flush).
 *
 * Source: ioctl_tty(2), TCSETS2; termios(3), cfmakeraw.
 * @throws {SystemError} code `EIO` after a hang-up, `ENOTTY` for what is not a tty
 */
export function makeRaw(fd: number, settings: TtySettings): void {
  const termios = readTermios(fd);
  const kept = termios.readUInt32LE(OFFSET.cflag) & ~(CSIZE | CBAUD | CIBAUD | HUPCL);
  const hangUp = settings.hangUpOnClose ? HUPCL : 0;
  // Whatever flags were set before (parity, two stop bits, RTS/CTS) belong to the last user, not to this one.
  const parityStopAndFlow = 0o400 | 0o1000 | 0o100 | 0o20000000000;
  const cflag = (kept & ~parityStopAndFlow) | CS8 | CREAD | CLOCAL | rateFlag(settings.baudRate) | hangUp;
  termios.writeUInt32LE(0, OFFSET.iflag);
  termios.writeUInt32LE(0, OFFSET.oflag);
  termios.writeUInt32LE(cflag >>> 0, OFFSET.cflag);
  termios.writeUInt32LE(0, OFFSET.lflag);
  termios[OFFSET.controlChars + VMIN] = 1;
  termios[OFFSET.controlChars + VTIME] = 0;
  termios.writeUInt32LE(settings.baudRate, OFFSET.inputSpeed);
  termios.writeUInt32LE(settings.baudRate, OFFSET.outputSpeed);
  callLibc('ioctl', fd, TCSETS2, termios);
}

/** The flag of the rate where there is one: programs that do not know BOTHER, such as older stty, show it as 0. */
function rateFlag(baudRate: number): number {
  const index = RATES.indexOf(baudRate);
  if (index > 0) return index;
  const extended = EXTENDED_RATES.indexOf(baudRate);
  return extended > 0 ? CBAUDEX | extended : BOTHER;
}

/** @throws {SystemError} code `EIO` after a hang-up, `ENOTTY` for what is not a tty */
export function readTtySettings(fd: number): TtyState {
  const termios = readTermios(fd);
  const cflag = termios.readUInt32LE(OFFSET.cflag);
  const lflag = termios.readUInt32LE(OFFSET.lflag);
  return {
    baudRate: termios.readUInt32LE(OFFSET.outputSpeed),
    hangUpOnClose: (cflag & HUPCL) !== 0,
    raw: (lflag & ICANON) === 0 && termios.readUInt32LE(OFFSET.oflag) === 0,
    echo: (lflag & ECHO) !== 0,
    local: (cflag & CLOCAL) !== 0,
  };
}

/** Bytes that a read would return now. @throws {SystemError} */
export function bytesWaiting(fd: number): number {
  const count = Buffer.alloc(4);
  callLibc('ioctl', fd, FIONREAD, count);
  return count.readInt32LE();
}

function readTermios(fd: number): Buffer {
  const termios = Buffer.alloc(TERMIOS2_BYTES);
  callLibc('ioctl', fd, TCGETS2, termios);
  return termios;
}
