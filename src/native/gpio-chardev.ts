/**
 * The kernel's GPIO character device, version 2 of its interface: Linux 5.10 and newer.
 * Source: <linux/gpio.h>, whose structures are the same on every architecture; offsets are in bytes.
 */

import { closeSync, openSync, readSync } from 'node:fs';
import { RigError } from '../base/errors.ts';
import { callLibc } from './libc.ts';
import { isReadable } from './poll.ts';

/** Source: <linux/gpio.h>, GPIO_MAX_NAME_SIZE, with the zero at the end; GPIO_V2_LINES_MAX; ..._LINE_NUM_ATTRS_MAX. */
const NAME_BYTES = 32;
export const MOST_LINES = 64;
const MOST_ATTRIBUTES = 10;

/** `struct gpiochip_info`. */
const CHIP_INFO = { bytes: 68, name: 0, label: 32, lines: 64 };
/** `struct gpio_v2_line_info`. */
const LINE_INFO = { bytes: 256, name: 0, consumer: 32, offset: 64, flags: 72 };
/** `struct gpio_v2_line_request`. */
const LINE_REQUEST = { bytes: 592, consumer: 256, config: 288, lineCount: 560, eventCount: 564, fd: 588 };
/** `struct gpio_v2_line_config`. */
const LINE_CONFIG = { bytes: 272, flags: 0, attributeCount: 8, attributes: 32 };
/** `struct gpio_v2_line_config_attribute`. */
const ATTRIBUTE = { bytes: 24, id: 0, value: 8, mask: 16 };
/** `struct gpio_v2_line_values`. */
const LINE_VALUES = { bytes: 16, bits: 0, mask: 8 };
/** `struct gpio_v2_line_event`. */
const LINE_EVENT = { bytes: 48, timestampNs: 0, id: 8, offset: 12, lineSequence: 20 };

/** Source: <asm-generic/ioctl.h>. */
const READ = 2;
const READ_WRITE = 3;
const request = (direction: number, number: number, bytes: number): number =>
  direction * 2 ** 30 + bytes * 2 ** 16 + 0xb4 * 2 ** 8 + number;

const GET_CHIP_INFO = request(READ, 0x01, CHIP_INFO.bytes);
const GET_LINE_INFO = request(READ_WRITE, 0x05, LINE_INFO.bytes);
const GET_LINE = request(READ_WRITE, 0x07, LINE_REQUEST.bytes);
const SET_CONFIG = request(READ_WRITE, 0x0d, LINE_CONFIG.bytes);
const GET_VALUES = request(READ_WRITE, 0x0e, LINE_VALUES.bytes);
const SET_VALUES = request(READ_WRITE, 0x0f, LINE_VALUES.bytes);

/** `enum gpio_v2_line_flag`. */
export const LINE_FLAG = {
  used: 1 << 0,
  input: 1 << 2,
  output: 1 << 3,
  risingEdge: 1 << 4,
  fallingEdge: 1 << 5,
  openDrain: 1 << 6,
  openSource: 1 << 7,
  pullUp: 1 << 8,
  pullDown: 1 << 9,
  biasDisabled: 1 << 10,
} as const;

/** `enum gpio_v2_line_attr_id`. */
const ATTRIBUTE_ID = { flags: 1, values: 2, debounce: 3 };
/** `enum gpio_v2_line_event_id`. */
const RISING_EDGE = 1;

/** The kernel drops the oldest of more that nobody has read: of a line that chatters while the process is stopped. */
export const EVENT_BUFFER = 1024;
const EVENTS_AT_ONCE = 64;

/** How one line is set up. */
export interface LineConfig {
  /** Of {@link LINE_FLAG}. */
  readonly flags: number;
  /** The level of an output. */
  readonly level: 0 | 1;
  /** Of an input: changes shorter than this are none. 0 for no such filter. */
  readonly debounceUs: number;
}

export interface LineEvent {
  readonly offset: number;
  readonly level: 0 | 1;
  /** Of CLOCK_MONOTONIC. */
  readonly timestampNs: bigint;
  /** Counts those of this line, from 1 on, modulo 2^32, also those that the kernel has dropped. */
  readonly lineSequence: number;
}

/** What is asked of held lines in one step, ready to be sent, also by another thread. */
export interface LineOrder {
  readonly request: number;
  readonly argument: Uint8Array;
}

/** @throws {SystemError} of open(2) */
export function openGpioChip(path: string): number {
  return openSync(path, 'r+');
}

export function closeGpioChip(chipFd: number): void {
  closeSync(chipFd);
}

/** @throws {SystemError} code `ENODEV` when the chip has gone, `ENOTTY` or `EINVAL` for something else than a chip */
export function readChipInfo(chipFd: number): { name: string; label: string; lineCount: number } {
  const info = Buffer.alloc(CHIP_INFO.bytes);
  callLibc('ioctl', chipFd, GET_CHIP_INFO, info);
  return {
    name: textAt(info, CHIP_INFO.name),
    label: textAt(info, CHIP_INFO.label),
    lineCount: info.readUInt32LE(CHIP_INFO.lines),
  };
}

/** @throws {SystemError} code `EINVAL` for an offset that the chip has not, and before Linux 5.10 */
export function readLineInfo(
  chipFd: number,
  offset: number,
): { name: string; consumer: string; isUsed: boolean } {
  const info = Buffer.alloc(LINE_INFO.bytes);
  info.writeUInt32LE(offset, LINE_INFO.offset);
  callLibc('ioctl', chipFd, GET_LINE_INFO, info);
  return {
    name: textAt(info, LINE_INFO.name),
    consumer: textAt(info, LINE_INFO.consumer),
    isUsed: (info.readUInt32LE(LINE_INFO.flags) & LINE_FLAG.used) !== 0,
  };
}

/**
 * Takes lines, all or none, and leaves them as they are: {@link configureLines} changes them. Held until the descriptor
 * that comes back is closed, or the process ends.
 *
 * @throws {SystemError} code `EBUSY` for a line that somebody holds
 */
export function requestLines(chipFd: number, offsets: readonly number[], consumer: string): number {
  const asked = Buffer.alloc(LINE_REQUEST.bytes);
  for (const [index, offset] of offsets.entries()) asked.writeUInt32LE(offset, 4 * index);
  asked.write(consumer, LINE_REQUEST.consumer, NAME_BYTES - 1);
  asked.writeUInt32LE(offsets.length, LINE_REQUEST.lineCount);
  asked.writeUInt32LE(EVENT_BUFFER, LINE_REQUEST.eventCount);
  callLibc('ioctl', chipFd, GET_LINE, asked);
  return asked.readInt32LE(LINE_REQUEST.fd);
}

/** Lets go of them. Not `closeSync`, which minds descriptors that Node.js has not opened. */
export function closeLines(linesFd: number): void {
  callLibc('close', linesFd);
}

/**
 * Sets up every line of a request, in its order.
 *
 * @throws {SystemError} code `EINVAL` for what the chip cannot do
 * @throws {RigError} blame `config` for more different lines than one request can have
 */
export function configureLines(linesFd: number, lines: readonly LineConfig[]): void {
  giveOrder(linesFd, configOrder(lines));
}

/** To set up every line of a request, in its order. @throws {RigError} as {@link configureLines} */
export function configOrder(lines: readonly LineConfig[]): LineOrder {
  return { request: SET_CONFIG, argument: encodeConfig(lines) };
}

/** To set those lines whose bit is in `mask`, by index inside the request. */
export function levelsOrder(bits: bigint, mask: bigint): LineOrder {
  return { request: SET_VALUES, argument: encodeValues(bits, mask) };
}

/** Has happened when it returns. @throws {SystemError} code `EINVAL` for what the chip cannot do */
export function giveOrder(linesFd: number, { request, argument }: LineOrder): void {
  callLibc('ioctl', linesFd, request, argument);
}

/** @throws {SystemError} */
export function readLineLevel(linesFd: number, index: number): 0 | 1 {
  const values = encodeValues(0n, 1n << BigInt(index));
  callLibc('ioctl', linesFd, GET_VALUES, values);
  return values.readBigUInt64LE(LINE_VALUES.bits) === 0n ? 0 : 1;
}

/**
 * What the kernel has kept, oldest first, and never waits for more. As many as it keeps: it had kept as much as it can
 * when it was asked, and may have dropped older ones.
 *
 * @throws {SystemError}
 */
export function readLineEvents(linesFd: number): LineEvent[] {
  const all: LineEvent[] = [];
  // A read of a descriptor without events would stop the whole process.
  while (all.length < EVENT_BUFFER && isReadable(linesFd)) all.push(...readSomeEvents(linesFd));
  return all;
}

function readSomeEvents(linesFd: number): LineEvent[] {
  const events = Buffer.alloc(EVENTS_AT_ONCE * LINE_EVENT.bytes);
  const count = readSync(linesFd, events) / LINE_EVENT.bytes;
  return Array.from({ length: count }, (_, index) => {
    const event = events.subarray(index * LINE_EVENT.bytes);
    return {
      offset: event.readUInt32LE(LINE_EVENT.offset),
      level: event.readUInt32LE(LINE_EVENT.id) === RISING_EDGE ? 1 : 0,
      timestampNs: event.readBigUInt64LE(LINE_EVENT.timestampNs),
      lineSequence: event.readUInt32LE(LINE_EVENT.lineSequence),
    };
  });
}

/**
 * What most lines have in common is the default; the rest are attributes, each of a set of lines.
 *
 * @throws {RigError} blame `config` for more kinds of lines than the kernel takes
 */
export function encodeConfig(lines: readonly LineConfig[]): Buffer {
  const config = Buffer.alloc(LINE_CONFIG.bytes);
  const common = lines[0]?.flags ?? 0;
  config.writeBigUInt64LE(BigInt(common), LINE_CONFIG.flags);
  const attributes = [
    ...grouped(lines, ({ flags }) => flags, common).map((each) => ({ ...each, id: ATTRIBUTE_ID.flags })),
    ...grouped(lines, ({ debounceUs }) => debounceUs, 0).map((each) => ({
      ...each,
      id: ATTRIBUTE_ID.debounce,
    })),
  ];
  const outputs = maskOf(lines, ({ flags }) => (flags & LINE_FLAG.output) !== 0);
  if (outputs !== 0n) {
    const high = maskOf(lines, ({ level }) => level === 1);
    attributes.push({ id: ATTRIBUTE_ID.values, value: high, mask: outputs });
  }
  if (attributes.length > MOST_ATTRIBUTES) {
    throw new RigError(
      'config',
      `expected lines of at most ${MOST_ATTRIBUTES} kinds (drive, bias, debounce) in one target, got ${attributes.length}; make it two targets`,
    );
  }
  config.writeUInt32LE(attributes.length, LINE_CONFIG.attributeCount);
  for (const [index, { id, value, mask }] of attributes.entries()) {
    const at = LINE_CONFIG.attributes + index * ATTRIBUTE.bytes;
    config.writeUInt32LE(id, at + ATTRIBUTE.id);
    config.writeBigUInt64LE(value, at + ATTRIBUTE.value);
    config.writeBigUInt64LE(mask, at + ATTRIBUTE.mask);
  }
  return config;
}

/** Of each value that is not the common one: which lines have it. */
function grouped(
  lines: readonly LineConfig[],
  kindOf: (line: LineConfig) => number,
  common: number,
): { value: bigint; mask: bigint }[] {
  const values = new Set(lines.map(kindOf).filter((value) => value !== common));
  return [...values].map((value) => ({
    value: BigInt(value),
    mask: maskOf(lines, (line) => kindOf(line) === value),
  }));
}

function maskOf(lines: readonly LineConfig[], has: (line: LineConfig) => boolean): bigint {
  return lines.reduce((mask, line, index) => (has(line) ? mask | (1n << BigInt(index)) : mask), 0n);
}

function encodeValues(bits: bigint, mask: bigint): Buffer {
  const values = Buffer.alloc(LINE_VALUES.bytes);
  values.writeBigUInt64LE(bits, LINE_VALUES.bits);
  values.writeBigUInt64LE(mask, LINE_VALUES.mask);
  return values;
}

function textAt(structure: Buffer, at: number): string {
  const bytes = structure.subarray(at, at + NAME_BYTES);
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end === -1 ? NAME_BYTES : end);
}
