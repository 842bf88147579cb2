import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import { openPipe } from '../native/pipe.ts';
import type { Output } from './output.ts';
import { settled } from './settle.ts';
import { type LogSink, timeNow } from './sink.ts';

/** One of stdout and stderr of the command: into the log, and on to where it would have gone. */
export class ChildOutput {
  /** For the child. */
  readonly writeFd: number;
  readonly #stream: Socket;
  readonly #sink: LogSink;
  readonly #relay: Output | undefined;
  #activity = 0;
  #resumed: Promise<unknown> = Promise.resolve();
  #hasEnded = false;

  /** Without `relay` it goes into the log alone. */
  constructor(sink: LogSink, relay: Output | undefined) {
    const pipe = openPipe();
    this.writeFd = pipe.writeFd;
    this.#sink = sink;
    this.#relay = relay;
    this.#stream = new Socket({ fd: pipe.readFd, readable: true, writable: false });
    this.#stream.on('data', (chunk: Buffer) => this.#onData(chunk));
    this.#stream.once('end', () => {
      this.#hasEnded = true;
    });
    this.#stream.on('error', () => {}); // reading a pipe does not fail
  }

  /** Whether somebody still holds the other end. */
  get isOpen(): boolean {
    return !this.#hasEnded;
  }

  /** To be called once the child has its end, or never will. */
  releaseWriteEnd(): void {
    closeSync(this.writeFd);
  }

  /** Resolves when all that was written before the call is in the log. */
  async settle(): Promise<void> {
    await settled({ activity: () => this.#activity, resumed: () => this.#resumed });
  }

  close(): void {
    this.#stream.destroy();
  }

  #onData(chunk: Buffer): void {
    this.#activity++;
    const verdict = this.#sink.append({
      kind: 'bytes',
      direction: 'in',
      bytes: chunk,
      writer: 0,
      ...timeNow(),
    });
    this.#relay?.write(chunk);
    if (verdict === 'go on' && !this.#relay?.isBehind) return;
    this.#stream.pause();
    this.#resumed = Promise.all([this.#sink.drained(), this.#relay?.drained()]).then(() =>
      this.#stream.resume(),
    );
  }
}
