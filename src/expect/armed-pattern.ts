import { RigError } from '../base/errors.ts';
import { ByteRegex, type UnsafeEngine } from './byte-regex.ts';
import type { ArmedPattern } from './script.ts';
import { quoted, someBytes, visible } from './text.ts';

/** What looks for a text costs some 2 kB for each of its bytes. */
const LITERAL_LIMIT_BYTES = 16 * 1024;

/** Bytes as they stand. @throws {RigError} blame `usage`, naming `what`, when there are none, or over 16 KiB */
export function literalPattern(bytes: Uint8Array, what: string): ArmedPattern {
  if (bytes.length > LITERAL_LIMIT_BYTES)
    throw new RigError(
      'usage',
      `${what}: expected a text of at most ${LITERAL_LIMIT_BYTES} bytes, got ${bytes.length}; expect its end, or its parts one after the other`,
    );
  return { pattern: { kind: 'literal', bytes: someBytes(bytes, what) }, shown: quoted(bytes) };
}

/** @throws {RigError} blame `usage`, naming `what`, for what is none, or one that only `unsafe` could run */
export function regexPattern(source: string, what: string, unsafe?: UnsafeEngine | 'never'): ArmedPattern {
  const regex = new ByteRegex(source, what, unsafe);
  return { pattern: { kind: 'regex', regex }, shown: `/${visible(Buffer.from(source))}/` };
}
