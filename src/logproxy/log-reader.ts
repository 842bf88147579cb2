import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { RigError, reasonOf } from '../base/errors.ts';
import { channelNumber, type LogRecord } from '../wire/log.ts';
import { fileHeader, parseRecord } from './log-format.ts';

const READ_BYTES = 256 * 1024;
const MAX_HEADER_BYTES = 64;

/**
 * The records of one stamped file, in the order in which they came. A file that is still written, or whose writer
 * was killed, ends at the last whole record; `onTorn` is then told how many bytes after it are none.
 *
 * @throws {RigError} blame `protocol` when it is no stamped file, `config` when it cannot be opened
 */
export function* readLogFile(
  path: string,
  onTorn: (bytes: number) => void,
): Generator<LogRecord, void, undefined> {
  const fd = openLogFile(path);
  try {
    const source = new Source(fd);
    const channel = readHeader(source, path);
    for (let sequence = 0; ; ) {
      const parsed = parseRecord(source.bytes, channel, sequence);
      if (parsed.kind === 'record') {
        source.skip(parsed.length);
        sequence++;
        yield parsed.record;
      } else if (parsed.kind === 'torn' || !source.readMore()) {
        const torn = source.countRest();
        if (torn > 0) onTorn(torn);
        return;
      }
    }
  } finally {
    closeSync(fd);
  }
}

function openLogFile(path: string): number {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK); // of a FIFO too, which never would be
  } catch (error) {
    throw new RigError('config', `${path}: cannot be opened: ${reasonOf(error)}`, { cause: error });
  }
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw new RigError('protocol', `${path}: expected a log of sai-logproxy, found no file`);
}

/** The channel's number. An empty file is one whose writer was killed before its first write. */
function readHeader(source: Source, path: string): number {
  source.readMore();
  const line = source.bytes.subarray(0, MAX_HEADER_BYTES).toString('latin1');
  if (line === '') return 0;
  const match = /^sai-log 1 (\d+) (\w+)\n/.exec(line);
  const channel = channelNumber(match?.[2] ?? '');
  if (!match || channel === undefined || fileHeader(channel, match[2] ?? '') !== match[0]) {
    throw new RigError('protocol', `${path}: expected a log of sai-logproxy, found another file`);
  }
  source.skip(match[0].length);
  return channel;
}

/** A file read forward, a piece at a time; views of what was read stay good. */
class Source {
  readonly #fd: number;
  bytes: Buffer = Buffer.alloc(0);

  constructor(fd: number) {
    this.#fd = fd;
  }

  skip(length: number): void {
    this.bytes = this.bytes.subarray(length);
  }

  /** False at the end of the file. */
  readMore(): boolean {
    const piece = Buffer.allocUnsafe(READ_BYTES);
    const length = readSync(this.#fd, piece);
    this.bytes = Buffer.concat([this.bytes, piece.subarray(0, length)]);
    return length > 0;
  }

  countRest(): number {
    let count = this.bytes.length;
    for (this.bytes = Buffer.alloc(0); this.readMore(); this.bytes = Buffer.alloc(0))
      count += this.bytes.length;
    return count;
  }
}
