/** What `sai-device --tool` and the holder of its lease say to each other: a line of JSON each, over a Unix socket. */

import { join } from 'node:path';
import * as v from 'valibot';

/** In the lease's folder, which only its owner and root may enter. */
export const lendSocketPath = (leaseFolder: string): string => join(leaseFolder, 'lend');

export const MAX_LINE_BYTES = 10_000;

/** By the tool: first `lend`; `return` once nothing of it lives any more. A closed connection returns as well. */
export const LendRequest = v.strictObject({ version: v.literal(1), ask: v.picklist(['lend', 'return']) });
export type LendRequest = v.InferOutput<typeof LendRequest>;

/** By the holder: to `lend` `lent` or `refused`; to `return` `back`, or `kept` when a process of the lease has a lock. */
export const LendAnswer = v.variant('answer', [
  v.strictObject({ answer: v.picklist(['lent', 'back']) }),
  v.strictObject({ answer: v.literal('refused'), why: v.string() }),
  v.strictObject({ answer: v.literal('kept'), by: v.string() }),
]);
export type LendAnswer = v.InferOutput<typeof LendAnswer>;

/** The JSON of a line by whomever; undefined when it is none. */
export function parseLine<Schema extends v.GenericSchema>(
  schema: Schema,
  line: string,
): v.InferOutput<Schema> | undefined {
  try {
    const result = v.safeParse(schema, JSON.parse(line));
    return result.success ? result.output : undefined;
  } catch {
    return undefined; // no JSON
  }
}
