import { RigError } from '../base/errors.ts';

/** Record types. Source: Intel Hexadecimal Object File Format Specification, rev. A. */
const DATA = 0x00;
const END_OF_FILE = 0x01;
const EXTENDED_SEGMENT_ADDRESS = 0x02;
const EXTENDED_LINEAR_ADDRESS = 0x04;

/**
 * The flash image in an Intel-HEX text, `sizeBytes` long; what the text leaves out is erased flash, 0xff.
 *
 * @throws {RigError} blame `config` with the line that is not valid, or when the image does not fit
 */
export function parseIntelHex(text: string, sizeBytes: number): Uint8Array<ArrayBuffer> {
  const image = new Uint8Array(sizeBytes).fill(0xff);
  let base = 0;
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line === '') continue;
    const record = parseRecord(line, index + 1);
    if (record.type === END_OF_FILE) return image;
    if (record.type === EXTENDED_SEGMENT_ADDRESS) base = record.data.readUInt16BE(0) * 16;
    if (record.type === EXTENDED_LINEAR_ADDRESS) base = record.data.readUInt16BE(0) * 0x1_0000;
    if (record.type !== DATA) continue;
    const start = base + record.address;
    if (start + record.data.length > sizeBytes) {
      throw invalid(index + 1, `a flash of ${sizeBytes} bytes`, `data at ${start}`);
    }
    image.set(record.data, start);
  }
  throw new RigError('config', 'firmware: expected an end-of-file record, found none; the file is cut');
}

function parseRecord(line: string, lineNumber: number): { type: number; address: number; data: Buffer } {
  const bytes = /^:(?:[0-9a-f]{2}){5,}$/i.test(line) ? Buffer.from(line.slice(1), 'hex') : Buffer.alloc(0);
  if (bytes.length < 5 || bytes.length !== (bytes[0] ?? 0) + 5) {
    throw invalid(lineNumber, 'an Intel-HEX record', JSON.stringify(line.slice(0, 60)));
  }
  if (bytes.reduce((sum, byte) => sum + byte, 0) % 0x100 !== 0) {
    throw invalid(lineNumber, 'a checksum that fits', JSON.stringify(line.slice(0, 60)));
  }
  const type = bytes.readUInt8(3);
  const data = bytes.subarray(4, -1);
  const isBase = type === EXTENDED_SEGMENT_ADDRESS || type === EXTENDED_LINEAR_ADDRESS;
  if (isBase && data.length !== 2) throw invalid(lineNumber, 'two bytes of address', `${data.length}`);
  return { type, address: bytes.readUInt16BE(1), data };
}

function invalid(lineNumber: number, expected: string, found: string): RigError {
  return new RigError('config', `firmware: line ${lineNumber}: expected ${expected}, found ${found}`);
}
