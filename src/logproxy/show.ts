/** `sai-logproxy show`: prints a recorded run, all channels merged by the time at which each line ended. */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { errnoCode, RigError, reasonOf } from '../base/errors.ts';
import type { Invocation } from '../base/run-main.ts';
import { parse } from '../base/validate.ts';
import type { LogRecord } from '../wire/log.ts';
import { RUN_FILE, stampedFileName } from './log-format.ts';
import { readLogFile } from './log-reader.ts';
import { type Colour, jsonOf, LineView } from './view.ts';

/** What `run.json` holds. */
const RunFile = v.strictObject({
  format: v.literal('sai-log 1'),
  command: v.array(v.string()),
  startedAtMs: v.number(),
  startedMonotonicNs: v.pipe(v.string(), v.regex(/^\d{1,19}$/, 'expected decimal nanoseconds')),
});

/** A moment of a run: as the clock showed it, or as long after its beginning. */
export type Moment = { readonly atMs: number } | { readonly afterStartMs: number };

export interface ShowRequest {
  readonly folder: string;
  /** Empty: all. */
  readonly channels: readonly string[];
  readonly since: Moment | undefined;
  readonly until: Moment | undefined;
  readonly format: 'lines' | 'json';
  readonly colour: Colour;
}

/** Keeps output to large writes. */
const PRINT_BYTES = 64 * 1024;

/** @throws {RigError} blame `usage` when the folder is no run or has no such channel, `protocol` for a foreign file */
export function showRun(request: ShowRequest, { print, diagnostics }: Invocation): number {
  const { startedAtMs } = readRunFile(request.folder);
  const bounds = { from: momentMs(request.since, startedAtMs), to: momentMs(request.until, startedAtMs) };
  let text = '';
  const show = (line: string): void => {
    text += line;
    if (text.length < PRINT_BYTES) return;
    print(text);
    text = '';
  };
  const view = new LineView(request.colour, show);
  const sources = channelsOf(request).map((name) => {
    const file = join(request.folder, stampedFileName(name));
    return readLogFile(file, (torn) =>
      diagnostics.say(`${file}: ends in the middle of a record; left out ${torn} bytes`),
    );
  });
  for (const record of mergeByTime(sources)) {
    if (record.atMs < (bounds.from ?? 0) || record.atMs > (bounds.to ?? Number.POSITIVE_INFINITY)) continue;
    if (request.format === 'json') show(`${jsonOf(record)}\n`);
    else view.push(record);
  }
  view.flush();
  print(text);
  return 0;
}

function momentMs(moment: Moment | undefined, startedAtMs: number): number | undefined {
  if (!moment) return undefined;
  return 'atMs' in moment ? moment.atMs : startedAtMs + moment.afterStartMs;
}

function readRunFile(folder: string): v.InferOutput<typeof RunFile> {
  const path = join(folder, RUN_FILE);
  try {
    return parse(RunFile, JSON.parse(readFileSync(path, 'utf8')), path, 'protocol');
  } catch (error) {
    if (error instanceof RigError) throw error;
    const what = errnoCode(error) === 'ENOENT' ? `found no ${RUN_FILE} in it` : reasonOf(error);
    throw new RigError('usage', `${folder}: expected a folder that sai-logproxy wrote: ${what}`, {
      cause: error,
    });
  }
}

function channelsOf({ folder, channels }: ShowRequest): readonly string[] {
  const missing = channels.find((name) => !existsSync(join(folder, stampedFileName(name))));
  const present = readdirSync(folder)
    .filter((name) => name.endsWith('.sailog'))
    .map((name) => name.slice(0, -'.sailog'.length))
    .sort();
  if (missing === undefined) return channels.length > 0 ? channels : present;
  throw new RigError('usage', `--channel ${missing}: expected one of ${present.join(', ') || 'none'}`);
}

/** Order within a channel is kept, whatever its times say. */
function* mergeByTime(sources: readonly Iterator<LogRecord>[]): Generator<LogRecord, void, undefined> {
  const heads = sources.map((source) => ({ source, next: source.next(), key: 0n }));
  for (;;) {
    let first: (typeof heads)[number] | undefined;
    for (const head of heads) {
      if (head.next.done) continue;
      const { monotonicNs } = head.next.value;
      if (monotonicNs > head.key) head.key = monotonicNs;
      if (!first || head.key < first.key) first = head;
    }
    if (!first || first.next.done) return;
    yield first.next.value;
    first.next = first.source.next();
  }
}
