import { ByteRegex, type UnsafeEngine } from './byte-regex.ts';
import type { ArmedPattern } from './script.ts';
import { quoted, someBytes, visible } from './text.ts';

/** Bytes as they stand. @throws {RigError} blame `usage`, naming `what`, when there are none */
export function literalPattern(bytes: Uint8Array, what: string): ArmedPattern {
  return { pattern: { kind: 'literal', bytes: someBytes(bytes, what) }, shown: quoted(bytes) };
}

/** @throws {RigError} blame `usage`, naming `what`, for what is none, or one that only `unsafe` could run */
export function regexPattern(source: string, what: string, unsafe?: UnsafeEngine | 'never'): ArmedPattern {
  const regex = new ByteRegex(source, what, unsafe);
  return { pattern: { kind: 'regex', regex }, shown: `/${visible(Buffer.from(source))}/` };
}
