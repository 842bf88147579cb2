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
const CSTOPB = 0o100;
const CREAD = 0o200;
const PARENB = 0o400;
const PARODD = 0o1000;
const CRTSCTS = 0o20000000000;
const IXON = 0o2000;
const IXOFF = 0o10000;
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
const VSTART = 8;
const VSTOP = 9;

/** Source: ASCII: DC1 and DC3, Ctrl-Q and Ctrl-S. */
const XON = 0x11;
const XOFF = 0x13;

/** Data bits, parity (none, even, odd), stop bits: `8N1`, `7E1`. */
export type LineFormat = `${5 | 6 | 7 | 8}${'N' | 'E' | 'O'}${1 | 2}`;

/** Who may stop the other: nobody, the lines RTS and CTS, or the bytes XON and XOFF, which data then cannot hold. */
export type FlowControl = 'none' | 'rtscts' | 'xonxoff';

/** Line settings of a tty, as the rig cares for them. */
export interface TtySettings {
  /** Any speed the driver can make, also 74880 or 31250. */
  readonly baudRate: number;
  /** Drop DTR at the last close: resets many boards. */
  readonly hangUpOnClose: boolean;
  /** 8N1 by default. */
  readonly format?: LineFormat;
  /** None by default. */
  readonly flow?: FlowControl;
}

/** What `readTtySettings` finds; `raw` when bytes pass as they are, `echo` when the tty sends them back. */
export interface TtyState {
  readonly baudRate: number;
  readonly hangUpOnClose: boolean;
  readonly raw: boolean;
  readonly echo: boolean;
  /** Modem lines are ignored: an open does not wait for carrier. */
  readonly local: boolean;
}

/**
 * Makes a tty raw at once: no echo, no modem control, at the given speed, 8N1 without flow control where nothing else
 * is said. Keeps what has arrived and what is still to be sent (TCSANOW, no flush). A driver drops in silence what it
 * cannot do: {@link readLineSettings} tells.
 *
 * Source: ioctl_tty(2), TCSETS2; termios(3), cfmakeraw.
 * @throws {SystemError} code `EIO` after a hang-up, `ENOTTY` for what is not a tty
 */
export function makeRaw(fd: number, settings: TtySettings): void {
  const termios = readTermios(fd);
  const { format = '8N1', flow = 'none' } = settings;
  // Whatever flags were set before (parity, two stop bits, RTS/CTS) belong to the last user, not to this one.
  const replaced = CBAUD | CIBAUD | HUPCL | FORMAT_BITS | CRTSCTS;
  const kept = termios.readUInt32LE(OFFSET.cflag) & ~replaced;
  const hangUp = settings.hangUpOnClose ? HUPCL : 0;
  const rtsCts = flow === 'rtscts' ? CRTSCTS : 0;
  const cflag = kept | bitsOf(format) | rtsCts | CREAD | CLOCAL | rateFlag(settings.baudRate) | hangUp;
  termios.writeUInt32LE(flow === 'xonxoff' ? IXON | IXOFF : 0, OFFSET.iflag);
  termios[OFFSET.controlChars + VSTART] = XON;
  termios[OFFSET.controlChars + VSTOP] = XOFF;
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

/** The format and flow control that a tty has taken. @throws {SystemError} */
export function readLineSettings(fd: number): { readonly format: LineFormat; readonly flow: FlowControl } {
  const termios = readTermios(fd);
  const cflag = termios.readUInt32LE(OFFSET.cflag);
  const isXonXoff = (termios.readUInt32LE(OFFSET.iflag) & (IXON | IXOFF)) !== 0;
  return { format: formatOf(cflag), flow: isXonXoff ? 'xonxoff' : cflag & CRTSCTS ? 'rtscts' : 'none' };
}

const FORMAT_BITS = CSIZE | CSTOPB | PARENB | PARODD;

function bitsOf(format: LineFormat): number {
  const [dataBits, parity, stopBits] = format;
  const parityBits = parity === 'N' ? 0 : parity === 'E' ? PARENB : PARENB | PARODD;
  return ((Number(dataBits) - 5) << CSIZE_SHIFT) | parityBits | (stopBits === '2' ? CSTOPB : 0);
}

function formatOf(cflag: number): LineFormat {
  const dataBits = (((cflag & CSIZE) >> CSIZE_SHIFT) + 5) as 5 | 6 | 7 | 8;
  const parity = (cflag & PARENB) === 0 ? 'N' : (cflag & PARODD) === 0 ? 'E' : 'O';
  return `${dataBits}${parity}${(cflag & CSTOPB) === 0 ? 1 : 2}`;
}

/** CS5, CS6, CS7 and CS8 count from 0 in these two bits. */
const CSIZE_SHIFT = 4;

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
