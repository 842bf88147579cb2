/** Between texts on a command line or in a message, and bytes on a wire. */

import { RigError } from '../base/errors.ts';

const SIMPLE_ESCAPES: Readonly<Record<string, number>> = {
  '0': 0x00,
  a: 0x07,
  b: 0x08,
  t: 0x09,
  n: 0x0a,
  r: 0x0d,
  e: 0x1b,
  '\\': 0x5c,
};

/** The escapes, for help texts. */
export const ESCAPES_HELP = String.raw`\r \n \t \a \b \e \0 \\ and \xNN (one byte)`;

/** What ends a line that is sent, by name. */
export const LINE_ENDS = { lf: '\n', cr: '\r', crlf: '\r\n', none: '' } as const;
export type LineEnd = keyof typeof LINE_ENDS;

/**
 * The bytes of a text: UTF-8, with C's escapes. An escape that does not exist is an error and not a guess.
 *
 * @throws {RigError} blame `usage`, naming `what`
 */
export function bytesOfText(text: string, what: string): Uint8Array {
  const pieces: Buffer[] = [];
  for (let rest = text; rest.length > 0; ) {
    const plain = /^[^\\]+/.exec(rest)?.[0];
    if (plain !== undefined) {
      pieces.push(Buffer.from(plain, 'utf8'));
      rest = rest.slice(plain.length);
      continue;
    }
    const hex = /^\\x([0-9a-fA-F]{2})/.exec(rest);
    const simple = SIMPLE_ESCAPES[rest[1] ?? ''];
    const byte = hex ? Number.parseInt(hex[1] ?? '', 16) : simple;
    if (byte === undefined) {
      throw new RigError(
        'usage',
        `${what}: expected one of ${ESCAPES_HELP}, got ${JSON.stringify(rest.slice(0, 4))}; write \\\\ for a backslash`,
      );
    }
    pieces.push(Buffer.of(byte));
    rest = rest.slice(hex ? 4 : 2);
  }
  return Buffer.concat(pieces);
}

/** The same bytes. @throws {RigError} blame `usage`, naming `what`, when there are none */
export function someBytes(bytes: Uint8Array, what: string): Uint8Array {
  if (bytes.length > 0) return bytes;
  throw new RigError('usage', `${what}: expected at least one byte of text, got none`);
}

/** Bytes as people can read them on one line: control bytes and what is not UTF-8 as escapes. */
export function visible(bytes: Uint8Array): string {
  // Decoded in one go where possible; a stray byte must not take its neighbours with it.
  return [...utf8Pieces(bytes)].join('').replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, escaped);
}

/** The same in quotes, at most `limit` characters. */
export function quoted(bytes: Uint8Array, limit = 120): string {
  const text = visible(bytes);
  return text.length > limit ? `"${text.slice(0, limit)}…"` : `"${text}"`;
}

function* utf8Pieces(bytes: Uint8Array): Generator<string> {
  const text = Buffer.from(bytes).toString('utf8');
  if (!text.includes('\ufffd')) {
    yield text;
    return;
  }
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes[at] ?? 0);
    const piece = Buffer.from(bytes.subarray(at, at + length)).toString('utf8');
    const isWhole = !piece.includes('\ufffd');
    yield isWhole ? piece : hexEscape(bytes[at] ?? 0);
    at += isWhole ? length : 1;
  }
}

/** Source: RFC 3629, section 3. */
function sequenceLength(lead: number): number {
  if (lead >= 0xf0) return 4;
  if (lead >= 0xe0) return 3;
  return lead >= 0xc0 ? 2 : 1;
}

function escaped(character: string): string {
  const named: Readonly<Record<string, string>> = { '\r': '\\r', '\n': '\\n', '\t': '\\t', '\x1b': '\\e' };
  const code = character.codePointAt(0) ?? 0;
  return named[character] ?? (code < 0x80 ? hexEscape(code) : `\\u{${code.toString(16)}}`);
}

function hexEscape(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, '0')}`;
}
