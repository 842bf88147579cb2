/** Everything that one run leaves behind: a folder with the files of each channel. */

import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errnoCode, RigError, reasonOf } from '../base/errors.ts';
import { channelName, type LogRecord } from '../wire/log.ts';
import { ChannelLog } from './channel-log.ts';
import { RUN_FILE, stampedFileName } from './log-format.ts';
import { readLogFile } from './log-reader.ts';
import type { LogSink } from './sink.ts';

/** What is known of a run when it begins. */
export interface RunFacts {
  readonly command: readonly string[];
  readonly startedAtMs: number;
  readonly startedMonotonicNs: bigint;
}

/** What one channel came to. */
export interface ChannelSummary {
  readonly name: string;
  readonly bytes: number;
  readonly gaps: number;
  /** What is not in the files, as far as anybody counted. */
  readonly lostBytes: number;
  /** `incomplete`: the disk refused, and no gap in the file tells of it. */
  readonly state: 'complete' | 'incomplete';
}

export interface RunLogOptions {
  readonly folder: string;
  readonly facts: RunFacts;
  readonly onRecord: (record: LogRecord) => void;
  readonly onTrouble: (channel: string, error: unknown) => void;
}

export class RunLog {
  readonly folder: string;
  readonly #options: RunLogOptions;
  readonly #channels = new Map<number, ChannelLog>();
  /** The topmost folder that was made for the run. */
  readonly #made: string | undefined;

  /** @throws {RigError} blame `usage`, `config` or `hardware` when `folder` is not empty or cannot be written */
  constructor(options: RunLogOptions) {
    this.folder = options.folder;
    this.#options = options;
    this.#made = makeEmptyFolder(options.folder);
    try {
      this.#writeFacts(options.facts);
    } catch (error) {
      this.discard();
      throw folderRefused(options.folder, error);
    }
  }

  /** Where arrivals of the channel go. */
  channel(channel: number): LogSink {
    let log = this.#channels.get(channel);
    if (!log) {
      const { folder, onRecord, onTrouble } = this.#options;
      const name = channelName(channel);
      log = new ChannelLog({ folder, channel, onRecord, onTrouble: (error) => onTrouble(name, error) });
      this.#channels.set(channel, log);
    }
    return log;
  }

  /** Resolves when every channel is in its files as far as the disk takes it; channels that said nothing have none. */
  async close(): Promise<ChannelSummary[]> {
    const logs = [...this.#channels].sort(([a], [b]) => a - b).map(([, log]) => log);
    await Promise.all(logs.map((log) => log.close()));
    return logs.map((log) => this.#summaryOf(log)).filter((each) => each.bytes > 0 || each.gaps > 0);
  }

  /** For a run that never began: nothing is left of it. */
  discard(): void {
    rmSync(join(this.folder, RUN_FILE), { force: true });
    if (this.#made !== undefined) rmSync(this.#made, { recursive: true });
  }

  #writeFacts({ command, startedAtMs, startedMonotonicNs }: RunFacts): void {
    const facts = {
      format: 'sai-log 1',
      command,
      startedAtMs,
      startedMonotonicNs: String(startedMonotonicNs),
    };
    writeFileSync(join(this.folder, RUN_FILE), `${JSON.stringify(facts)}\n`, { flag: 'wx' });
  }

  #summaryOf(log: ChannelLog): ChannelSummary {
    const { name } = log;
    const { bytes, gaps, lostBytes } = log.totals;
    if (!log.isIncomplete) return { name, bytes, gaps, lostBytes, state: 'complete' };
    const kept = this.#countKept(log.name);
    return {
      name,
      bytes: kept,
      gaps,
      lostBytes: lostBytes + log.uncountedBytes + bytes - kept,
      state: 'incomplete',
    };
  }

  /** The files themselves say what the disk took. */
  #countKept(channel: string): number {
    const path = join(this.folder, stampedFileName(channel));
    if (!existsSync(path)) return 0;
    let kept = 0;
    for (const record of readLogFile(path, () => {}))
      kept += record.kind === 'bytes' ? record.bytes.length : 0;
    return kept;
  }
}

/** The topmost folder that had to be made; undefined when it was there. */
function makeEmptyFolder(folder: string): string | undefined {
  let made: string | undefined;
  let names: string[];
  try {
    made = makeFolder(folder);
    names = readdirSync(folder);
  } catch (error) {
    throw folderRefused(folder, error);
  }
  if (names.length === 0) return made;
  throw new RigError(
    'usage',
    `${folder}: expected a new or empty folder, found ${names.length} ${names.length === 1 ? 'entry' : 'entries'}; name another with --dir`,
  );
}

/** `recursive` alone would call a read-only disk a missing folder. */
function makeFolder(folder: string): string | undefined {
  try {
    mkdirSync(folder);
    return folder;
  } catch (error) {
    if (errnoCode(error) === 'EEXIST') return undefined;
    if (errnoCode(error) !== 'ENOENT') throw error;
    return mkdirSync(folder, { recursive: true });
  }
}

function folderRefused(folder: string, error: unknown): RigError {
  const code = errnoCode(error);
  const isFull = code === 'ENOSPC' || code === 'EDQUOT';
  const what = isFull ? 'no space left for the log; make room or name another folder' : reasonOf(error);
  return new RigError(isFull ? 'hardware' : 'config', `${folder}: cannot keep a log there: ${what}`, {
    cause: error,
  });
}
