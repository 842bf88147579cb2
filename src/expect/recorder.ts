import { closeSync, openSync, statSync, writeSync } from 'node:fs';
import { type Blame, RigError, reasonOf } from '../base/errors.ts';
import type { Console } from '../tty/console.ts';
import type { Presence } from '../tty/followed-console.ts';
import { type StartTransfer, transferName } from './file-transfer.ts';
import type { RunJig } from './jig-step.ts';
import { breakAsText, linesAsText, payloadOf, type RecordingEntry, type RecordingHead } from './recording.ts';
import type { TargetTty } from './target-tty.ts';
import type { UnreadBytes } from './unread-bytes.ts';
import { withoutTail } from './verdict.ts';

type Untimed<T> = T extends unknown ? Omit<T, 'ms'> : never;

/**
 * Writes a recording, a line in one write as things happen: whoever is killed leaves a file that is right up to its
 * last whole line.
 */
export class Recorder {
  readonly #path: string;
  readonly #fd: number;
  readonly #startNs = process.hrtime.bigint();
  #sizeBytes = 0;
  #trouble: RigError | undefined;

  /** @throws {RigError} blame `usage` for what is no file, `config` for one that cannot be written */
  constructor(path: string, head: Pick<RecordingHead, 'device' | 'ttys'>) {
    this.#path = path;
    if (statSync(path, { throwIfNoEntry: false })?.isFile() === false)
      throw new RigError('usage', `--record ${path}: expected a file or a free name, found something else`);
    try {
      this.#fd = openSync(path, 'w');
    } catch (error) {
      throw new RigError('config', `--record ${path}: cannot be written: ${reasonOf(error)}`, {
        cause: error,
      });
    }
    this.#writeLine({ format: 'sai-recording', version: 1, startedAtMs: Date.now(), ...head });
  }

  /** `console`, which has just been opened, with what is sent to it recorded before the board can answer. */
  console(console: Console, tty: number): Console {
    this.#add({ tty, is: 'open' });
    return {
      label: console.label,
      bytes: this.#recorded(console.bytes, tty),
      get overruns() {
        return console.overruns;
      },
      get isAway() {
        return console.isAway === true;
      },
      send: async (bytes, signal) => {
        this.#bytes(tty, 'out', bytes);
        await console.send(bytes, signal);
      },
      sendBreak: async (durationMs, signal) => {
        const what = breakAsText(durationMs);
        this.#add({ tty, is: 'line', what });
        try {
          await console.sendBreak(durationMs, signal);
        } catch (error) {
          if (!signal?.aborted) this.#add({ tty, is: 'line', what, ...failureOf(error) });
          throw error;
        }
      },
      drive: (lines) => {
        const what = linesAsText(lines);
        try {
          console.drive(lines);
        } catch (error) {
          this.#add({ tty, is: 'line', what, ...failureOf(error) });
          throw error;
        }
        this.#add({ tty, is: 'line', what });
      },
      [Symbol.asyncDispose]: () => console[Symbol.asyncDispose](),
    };
  }

  jig(runJig: RunJig, tty: number): RunJig {
    return async (sequence, signal) => {
      this.#add({ tty, is: 'jig', sequence, event: 'begin' });
      try {
        const report = await runJig(sequence, signal);
        this.#add({ tty, is: 'jig', sequence, event: 'end', ...(report ? { report } : {}) });
        return report;
      } catch (error) {
        this.#add({ tty, is: 'jig', sequence, event: 'end', ...failureOf(error) });
        throw error;
      }
    };
  }

  transfers(start: StartTransfer, tty: number): StartTransfer {
    return (transfer, port) => {
      const what = { tty, is: 'file', what: transferName(transfer), path: transfer.path } as const;
      this.#add({ ...what, event: 'begin' });
      const running = start(transfer, port);
      return {
        push: (chunk) => running.push(chunk),
        end: async (signal) => {
          try {
            const outcome = await running.end(signal);
            const failure = outcome.failure === undefined ? {} : { failure: outcome.failure };
            this.#add({ ...what, event: 'end', leftBytes: outcome.rest.length, ...failure });
            return outcome;
          } catch (error) {
            // What ended the session has not come to an end by itself.
            if (!signal.aborted) this.#add({ ...what, event: 'end', ...failureOf(error) });
            throw error;
          }
        },
      };
    };
  }

  unread(unread: UnreadBytes, tty: number): UnreadBytes {
    return {
      load: () => {
        const early = unread.load();
        const before = early.before === undefined ? {} : { before: early.before };
        if (early.bytes.length > 0) this.#add({ tty, is: 'early', ...before, ...payloadOf(early.bytes) });
        return early;
      },
      append: (chunk) => unread.append(chunk),
      replace: (left) => unread.replace(left),
    };
  }

  /** Of a tty that is followed. */
  presence(tty: number, presence: Presence): void {
    this.#add({ tty, is: presence });
  }

  /** Nothing has come for 50 ms. */
  quiet(tty: number): void {
    this.#add({ tty, is: 'quiet' });
  }

  /** The verdict: passed, or why not. */
  end(failure: unknown): void {
    const verdict = failure === undefined ? 'pass' : failure instanceof RigError ? failure.blame : 'stopped';
    const error = failure === undefined ? {} : { error: withoutTail(reasonOf(failure)) };
    this.#add({ tty: 0, is: 'end', verdict, ...error });
  }

  /** What of it could not be written, blamed on the rig. */
  close(): RigError | undefined {
    closeSync(this.#fd);
    return this.#trouble;
  }

  async *#recorded(bytes: AsyncIterable<Uint8Array>, tty: number): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of bytes) {
        this.#bytes(tty, 'in', chunk);
        yield chunk;
      }
    } catch (error) {
      this.#add({ tty, is: 'gone', error: reasonOf(error) });
      throw error;
    }
  }

  #add(entry: Untimed<RecordingEntry>): void {
    const ms = Number((process.hrtime.bigint() - this.#startNs) / 1000n) / 1000;
    this.#writeLine({ ms, ...entry });
  }

  #bytes(tty: number, direction: 'in' | 'out', bytes: Uint8Array): void {
    this.#add({ tty, is: direction, ...payloadOf(bytes) });
  }

  /** A line that does not get in whole is taken back, and none follows: nothing may be missing in the middle. */
  #writeLine(line: object): void {
    if (this.#trouble) return;
    const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at, bytes.length - at);
      this.#sizeBytes += bytes.length;
    } catch (error) {
      this.#trouble = new RigError(
        'unavailable',
        `${this.#path}: the recording ends after ${this.#sizeBytes} bytes: ${reasonOf(error)}`,
        { cause: error },
      );
    }
  }
}

function failureOf(error: unknown): { error: string; blame?: Blame } {
  return { error: reasonOf(error), ...(error instanceof RigError ? { blame: error.blame } : {}) };
}

/** Of these ttys. @throws as {@link Recorder} */
export function recorderOf(
  path: string,
  ttys: readonly TargetTty[],
  { baudRate, device }: { readonly baudRate: number | undefined; readonly device: string | undefined },
): Recorder {
  return new Recorder(path, {
    ...(device ? { device } : {}),
    ttys: ttys.map(({ label, names, crash, ...tty }) => ({
      label,
      path: tty.path,
      baudRate: baudRate ?? tty.baudRate,
      ...(names.length > 0 ? { names: [...names] } : {}),
      ...(crash ? { crash } : {}),
    })),
  });
}
