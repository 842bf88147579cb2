/** Everything that one run leaves behind: a folder with the files of each channel. */

import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { errnoCode, RigError, reasonOf } from '../base/errors.ts';
import { makeFolders } from '../base/make-folders.ts';
import { channelName, type Direction, type LogRecord } from '../wire/log.ts';
import { ChannelLog, type LogTotals } from './channel-log.ts';
import { RUN_FILE, stampedFileName } from './log-format.ts';
import { readLogFile } from './log-reader.ts';
import type { LogSink } from './sink.ts';

/** What is known of a run when it begins. */
export interface RunFacts {
  readonly command: readonly string[];
  readonly startedAtMs: number;
  readonly startedMonotonicNs: bigint;
}

/** What one channel came to: what is in the files, and in `lostBytes` what is not, as far as anybody counted. */
export interface ChannelSummary extends LogTotals {
  readonly name: string;
  /** `incomplete`: the disk refused, and no gap in the file tells of it. */
  readonly state: 'complete' | 'incomplete';
}

export interface RunLogOptions {
  /** New or empty. */
  readonly folder: string;
  /** `number`: the next of `folder-2`, `folder-3` and so on that there is not yet. */
  readonly ifTaken: 'refuse' | 'number';
  readonly facts: RunFacts;
  readonly onRecord: (record: LogRecord) => void;
  readonly onTrouble: (channel: string, error: unknown) => void;
}

export class RunLog {
  readonly folder: string;
  readonly #options: RunLogOptions;
  readonly #channels = new Map<number, ChannelLog>();
  /** Folders that were made for the run, the lowest first. */
  readonly #made: readonly string[];
  #hasFacts = false;

  /** @throws {RigError} blame `usage`, `config` or `hardware` when `folder` is not empty or cannot be written */
  constructor(options: RunLogOptions) {
    this.#options = options;
    const { folder, made } =
      options.ifTaken === 'number' ? makeNumbered(options.folder) : makeEmpty(options.folder);
    this.folder = folder;
    this.#made = made;
    try {
      this.#writeFacts(options.facts);
    } catch (error) {
      this.discard();
      throw folderRefused(this.folder, error);
    }
  }

  /** Where arrivals of the channel go. */
  channel(channel: number): LogSink {
    let log = this.#channels.get(channel);
    if (!log) {
      const { onRecord, onTrouble } = this.#options;
      const { folder } = this;
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
    return logs
      .map((log) => this.#summaryOf(log))
      .filter((each) => each.bytes + each.sentBytes + each.gaps > 0);
  }

  /** For a run that never began: nothing is left of it, and of others everything. */
  discard(): void {
    if (this.#hasFacts) rmSync(join(this.folder, RUN_FILE), { force: true });
    removeEmpty(this.#made);
  }

  #writeFacts({ command, startedAtMs, startedMonotonicNs }: RunFacts): void {
    const facts = {
      format: 'sai-log 1',
      command,
      startedAtMs,
      startedMonotonicNs: String(startedMonotonicNs),
    };
    const fd = openSync(join(this.folder, RUN_FILE), 'wx');
    this.#hasFacts = true;
    try {
      writeFileSync(fd, `${JSON.stringify(facts)}\n`);
    } finally {
      closeSync(fd);
    }
  }

  #summaryOf(log: ChannelLog): ChannelSummary {
    const { name } = log;
    const { totals } = log;
    if (!log.isIncomplete) return { name, ...totals, state: 'complete' };
    const kept = this.#countKept(name);
    const came = totals.bytes + totals.sentBytes;
    const lostBytes = totals.lostBytes + log.uncountedBytes + came - kept.in - kept.out;
    return {
      name,
      bytes: kept.in,
      sentBytes: kept.out,
      gaps: totals.gaps,
      lostBytes,
      state: 'incomplete',
    };
  }

  /** The files themselves say what the disk took. */
  #countKept(channel: string): Record<Direction, number> {
    const kept = { in: 0, out: 0 };
    const path = join(this.folder, stampedFileName(channel));
    if (!existsSync(path)) return kept;
    for (const record of readLogFile(path, () => {}))
      if (record.kind === 'bytes') kept[record.direction] += record.bytes.length;
    return kept;
  }
}

interface Made {
  readonly folder: string;
  /** Folders that were not there before, the lowest first. */
  readonly made: readonly string[];
}

function makeEmpty(folder: string): Made {
  let made: readonly string[];
  let names: string[];
  try {
    made = makeFolders(folder);
    names = readdirSync(folder);
  } catch (error) {
    throw folderRefused(folder, error);
  }
  if (names.length === 0) return { folder, made };
  removeEmpty(made);
  throw notEmpty(folder, names.length);
}

/** Two runs that begin in the same second have a folder each. */
function makeNumbered(folder: string): Made {
  for (let number = 1; ; number++) {
    const numbered = number === 1 ? folder : `${folder}-${number}`;
    try {
      mkdirSync(numbered);
      return { folder: numbered, made: [numbered] };
    } catch (error) {
      if (errnoCode(error) !== 'EEXIST') throw folderRefused(numbered, error);
    }
  }
}

/** What somebody else has put a file into stays. */
function removeEmpty(folders: readonly string[]): void {
  try {
    for (const folder of folders) rmdirSync(folder);
  } catch {
    // Nor can those above it be empty.
  }
}

function notEmpty(folder: string, count: number): RigError {
  const entries = count === 1 ? 'entry' : 'entries';
  return new RigError(
    'usage',
    `${folder}: expected a new or empty folder, found ${count} ${entries}; name another with --dir`,
  );
}

function folderRefused(folder: string, error: unknown): RigError {
  const code = errnoCode(error);
  if (code === 'EEXIST') return notEmpty(folder, 1); // another run was faster
  const isFull = code === 'ENOSPC' || code === 'EDQUOT';
  const what = isFull ? 'no space left for the log; make room or name another folder' : reasonOf(error);
  return new RigError(isFull ? 'hardware' : 'config', `${folder}: cannot keep a log there: ${what}`, {
    cause: error,
  });
}
