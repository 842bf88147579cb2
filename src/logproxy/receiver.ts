/** The proxy's end of one channel: a socket that any number of programs write to. */

import { connect, createServer, type Server, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { errnoCode } from '../base/errors.ts';
import { listenOnUnixSocket } from '../base/unix-socket.ts';
import { socketPathOf } from './address.ts';
import { FRAME_OPENING, type Frame, FrameDecoder } from './frame.ts';
import { settled } from './settle.ts';
import { type LogSink, timeAt, timeNow } from './sink.ts';

export interface ReceiverOptions {
  /** As in the variable: a path or `@name`. */
  readonly address: string;
  readonly sink: LogSink;
  /** Whether there are descriptors for one more writer; always, unless it is given. */
  readonly hasRoom?: () => boolean;
  readonly onRefusedWriter?: () => void;
  /** A writer that began as ours broke the format; its bytes from there on are kept raw. */
  readonly onBrokenWriter: (writer: number) => void;
}

/** Takes what comes until it is disposed. */
export class Receiver implements AsyncDisposable {
  readonly #options: ReceiverOptions;
  readonly #path: string;
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  #writers = 0;
  #activity = 0;

  private constructor(options: ReceiverOptions) {
    this.#options = options;
    this.#path = socketPathOf(options.address);
    this.#server = createServer((socket) => this.#accept(socket));
  }

  /** @throws {RigError} blame `config` when it cannot listen there */
  static async open(options: ReceiverOptions): Promise<Receiver> {
    const receiver = new Receiver(options);
    await listenOnUnixSocket(receiver.#server, receiver.#path);
    // Out of descriptors or memory: somebody wanted to write and could not.
    receiver.#server.on('error', () => receiver.#refuse());
    return receiver;
  }

  /** Descriptors that writers take. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Writers that have not hung up. */
  get openWriters(): number {
    return [...this.#connections].filter((connection) => !connection.hasEnded).length;
  }

  /** Resolves when all that was written before the call has reached the sink. */
  async settle(): Promise<void> {
    await this.#acceptAll();
    await settled({
      activity: () => this.#activity,
      resumed: () => Promise.all([...this.#connections].map((connection) => connection.resumed)),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const connection of this.#connections) connection.cutOff();
    await closed;
  }

  #accept(socket: Socket): void {
    this.#activity++;
    if (this.#options.hasRoom?.() === false) {
      socket.destroy();
      this.#refuse();
      return;
    }
    const connection = new Connection(socket, {
      ...this.#options,
      nextWriter: () => ++this.#writers,
      onActivity: () => this.#activity++,
    });
    this.#connections.add(connection);
    socket.once('close', () => this.#connections.delete(connection));
  }

  /** What the writer had to say is lost, and nobody knows how much that was. */
  #refuse(): void {
    this.#options.sink.append({ kind: 'gap', direction: 'in', lostBytes: 0, writer: 0, ...timeNow() });
    this.#options.onRefusedWriter?.();
  }

  /** Connections are accepted in order: when ours has been, all before it have. */
  async #acceptAll(): Promise<void> {
    while (!(await this.#passesThrough())) await nextTurn();
  }

  #passesThrough(): Promise<boolean> {
    return new Promise((resolve) => {
      const marker = connect(this.#path);
      // EAGAIN: more are waiting than the kernel queues. Anything else: the command removed the socket itself.
      marker.once('error', (error) => resolve(errnoCode(error) !== 'EAGAIN'));
      marker.once('close', () => resolve(true));
      marker.resume().end();
    });
  }
}

interface ConnectionOptions extends ReceiverOptions {
  readonly nextWriter: () => number;
  readonly onActivity: () => void;
}

/** One writer. Raw until it has said our opening, and again once it breaks our format. */
class Connection {
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  readonly #decoder = new FrameDecoder({
    frame: (frame, monotonicNs) => this.#onFrame(frame, monotonicNs),
    broken: (rest) => this.#onBroken(rest),
  });
  #mode: 'opening' | 'framed' | 'raw' = 'opening';
  /** The beginning of what may become our opening. */
  #held: Buffer = Buffer.alloc(0);
  #writer: number | undefined;
  #saidEnd = false;
  #hasEnded = false;
  /** Resolves when the connection reads again. */
  resumed: Promise<void> = Promise.resolve();

  constructor(socket: Socket, options: ConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.once('end', () => this.#onEnd());
    // A writer that was killed; `close` follows, and what it had written has been read.
    socket.on('error', () => this.#onEnd());
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Hangs up on a writer that has not. */
  cutOff(): void {
    if (!this.#hasEnded) this.#onEnd();
    this.#socket.destroy();
  }

  #onData(chunk: Buffer): void {
    this.#options.onActivity();
    if (this.#mode === 'opening') this.#open(chunk);
    else if (this.#mode === 'framed') this.#decoder.push(chunk);
    else this.#keepRaw(chunk);
  }

  #open(chunk: Buffer): void {
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = Buffer.alloc(0);
    const compared = Math.min(bytes.length, FRAME_OPENING.length);
    if (bytes.compare(FRAME_OPENING, 0, compared, 0, compared) !== 0) {
      this.#mode = 'raw';
      this.#keepRaw(bytes);
    } else if (bytes.length < FRAME_OPENING.length) {
      this.#held = Buffer.from(bytes);
    } else {
      this.#mode = 'framed';
      if (bytes.length > FRAME_OPENING.length) this.#decoder.push(bytes.subarray(FRAME_OPENING.length));
    }
  }

  #onEnd(): void {
    this.#hasEnded = true;
    if (this.#held.length > 0) this.#keepRaw(this.#held);
    this.#held = Buffer.alloc(0);
    if (this.#mode !== 'framed') return;
    this.#mode = 'raw';
    this.#decoder.end();
    if (!this.#saidEnd) this.#append({ kind: 'gap', direction: 'in', lostBytes: 0 }, timeNow());
  }

  #onFrame(frame: Frame, monotonicNs: bigint): void {
    if (frame.kind === 'end') this.#saidEnd = true;
    else this.#append(frame, timeAt(monotonicNs));
  }

  #onBroken(rest: Buffer): void {
    this.#mode = 'raw';
    this.#keepRaw(rest);
    this.#options.onBrokenWriter(this.#writer ?? 0);
  }

  #keepRaw(bytes: Buffer): void {
    this.#append({ kind: 'bytes', direction: 'in', bytes }, timeNow());
  }

  #append(frame: Exclude<Frame, { kind: 'end' }>, time: ReturnType<typeof timeNow>): void {
    this.#writer ??= this.#options.nextWriter();
    const verdict = this.#options.sink.append({ ...frame, ...time, writer: this.#writer });
    if (verdict === 'wait' && !this.#socket.isPaused()) this.#pause();
  }

  #pause(): void {
    this.#socket.pause();
    this.resumed = this.#options.sink.drained().then(() => {
      this.#socket.resume();
    });
  }
}
