import type { Socket } from 'node:net';
import * as v from 'valibot';
import { ByteLines } from '../base/byte-lines.ts';
import { formatDuration } from '../base/duration.ts';
import { type Blame, RigError, reasonOf } from '../base/errors.ts';
import { connectToUnixSocket } from '../base/unix-socket.ts';
import { parse } from '../base/validate.ts';
import {
  type BoardAction,
  type Drive,
  type Level,
  type LineInfo,
  type SimChipErrorCode,
  SimChipEvent,
  SimChipReply,
  type SimChipRequest,
} from '../wire/sim-chip.ts';

/** Far more than a chip of hundreds of lines answers. */
const MAX_LINE_BYTES = 1024 * 1024;

/** A chip answers in milliseconds; a lab that was stopped (SIGSTOP, a suspended machine) never does. */
const ANSWER_LIMIT_MS = 10_000;

const BLAME: Readonly<Record<SimChipErrorCode, Blame>> = {
  EBUSY: 'busy',
  EINVAL: 'usage',
  EIO: 'hardware',
  ENOENT: 'usage',
  EPERM: 'usage',
};

type Success = Extract<SimChipReply, { ok: true }>;
type Unnumbered<T> = T extends unknown ? Omit<T, 'id'> : never;

/**
 * One connection to a simulated chip; lines are held until released or disposed.
 * Every method throws {@link RigError}: blame `busy` for a line that somebody else holds, `usage` for one that is
 * not there or cannot be driven, `unavailable` once the chip has gone or stays silent, `protocol` when it talks nonsense.
 */
export class SimChipClient implements Disposable {
  readonly #path: string;
  readonly #socket: Socket;
  readonly #answerLimitMs: number;
  readonly #waiting: { resolve: (reply: SimChipReply) => void; reject: (reason: RigError) => void }[] = [];
  readonly #listeners = new Set<(edge: SimChipEvent) => void>();
  /** Aborted, with a {@link RigError} as reason, when the connection ends. */
  readonly #ended = new AbortController();
  #lastId = 0;

  /** @throws {RigError} blame `config` for a path too long, `unavailable` when nobody serves it */
  static async connect(path: string, answerLimitMs = ANSWER_LIMIT_MS): Promise<SimChipClient> {
    return new SimChipClient(path, await connectToUnixSocket(path), answerLimitMs);
  }

  private constructor(path: string, socket: Socket, answerLimitMs: number) {
    this.#path = path;
    this.#socket = socket;
    this.#answerLimitMs = answerLimitMs;
    const reader = new ByteLines(MAX_LINE_BYTES);
    socket.on('data', (chunk) => {
      try {
        for (const line of reader.push(chunk)) this.#take(line);
      } catch (error) {
        this.#end(new RigError('protocol', `${path}: ${reasonOf(error)}`, { cause: error }));
      }
    });
    socket.on('error', () => {}); // `close` follows
    socket.once('close', () => this.#end(new RigError('unavailable', `${path}: the chip has gone`)));
  }

  /** Aborted when the chip goes away. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  async info(): Promise<{ readonly chip: string; readonly lines: readonly LineInfo[] }> {
    const { chip = '', lines = [] } = await this.#ask({ op: 'info' });
    return { chip, lines };
  }

  /** Takes lines as outputs, all or none, in one step. */
  async request(consumer: string, outputs: Readonly<Record<string, Drive>>): Promise<void> {
    await this.#ask({ op: 'request', consumer, outputs });
  }

  async set(levels: Readonly<Record<string, Drive>>): Promise<void> {
    await this.#ask({ op: 'set', levels });
  }

  async get(lines: readonly string[]): Promise<Readonly<Record<string, Level>>> {
    return (await this.#ask({ op: 'get', lines: [...lines] })).levels ?? {};
  }

  /** Calls `listener` for every change of these lines from now on. */
  async watch(lines: readonly string[], listener: (edge: SimChipEvent) => void): Promise<void> {
    this.#listeners.add((edge) => {
      if (lines.includes(edge.line)) listener(edge);
    });
    await this.#ask({ op: 'watch', lines: [...lines] });
  }

  async release(lines: readonly string[]): Promise<void> {
    await this.#ask({ op: 'release', lines: [...lines] });
  }

  async act(action: BoardAction): Promise<void> {
    await this.#ask({ op: 'board', action });
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  async #ask(request: Unnumbered<SimChipRequest>): Promise<Success> {
    const { signal } = this.#ended;
    if (signal.aborted) throw signal.reason;
    const id = ++this.#lastId;
    this.#socket.write(`${JSON.stringify({ ...request, id })}\n`);
    const limit = setTimeout(() => this.#end(this.#noAnswer()), this.#answerLimitMs);
    const answer = new Promise<SimChipReply>((resolve, reject) => this.#waiting.push({ resolve, reject }));
    const reply = await answer.finally(() => clearTimeout(limit));
    if (reply.ok && reply.id === id) return reply;
    if (reply.ok)
      throw new RigError('protocol', `${this.#path}: expected an answer to ${id}, got one to ${reply.id}`);
    throw new RigError(BLAME[reply.code], reply.message);
  }

  #take(line: string): void {
    const message = parse(v.union([SimChipEvent, SimChipReply]), JSON.parse(line), 'answer', 'protocol');
    if ('event' in message) {
      for (const listener of this.#listeners) listener(message);
    } else {
      this.#waiting.shift()?.resolve(message);
    }
  }

  #noAnswer(): RigError {
    const limit = formatDuration(this.#answerLimitMs);
    return new RigError(
      'unavailable',
      `${this.#path}: expected an answer within ${limit}; is its lab stopped?`,
    );
  }

  #end(reason: RigError): void {
    this.#socket.destroy();
    if (this.#ended.signal.aborted) return;
    this.#ended.abort(reason);
    for (const { reject } of this.#waiting.splice(0)) reject(reason);
  }
}
