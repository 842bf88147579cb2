/** The holder's side of `--tool`: lends the ttys of a lease to one tool after the other. */

import { createServer, type Server, type Socket } from 'node:net';
import { ByteLines } from '../base/byte-lines.ts';
import { checkSocketPath } from '../base/unix-socket.ts';
import type { Lease } from './lease.ts';
import { type LendAnswer, LendRequest, lendSocketPath, MAX_LINE_BYTES, parseLine } from './lend-protocol.ts';
import type { TtyKeeper } from './tty-keeper.ts';

export interface LendServerOptions {
  readonly keeper: Pick<TtyKeeper, 'lend' | 'takeBack'>;
  readonly say: (text: string) => void;
}

export class LendServer implements Disposable {
  readonly #lease: Lease;
  readonly #options: LendServerOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Ends when the last tool that asked has given back. */
  #turn: Promise<void> = Promise.resolve();

  /** Listens before this returns. Where that is impossible, the tool that asks is told. */
  constructor(lease: Lease, options: LendServerOptions) {
    this.#lease = lease;
    this.#options = options;
    this.#server = createServer((socket) => this.#welcome(socket));
    this.#server.on('error', () => {});
    const path = lendSocketPath(lease.record.folder);
    try {
      checkSocketPath(path);
    } catch {
      return; // nobody can connect there either, and the tool says why
    }
    this.#server.listen(path).unref(); // whoever has the lease keeps us alive
  }

  [Symbol.dispose](): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #welcome(socket: Socket): void {
    this.#sockets.add(socket);
    const borrower = new Borrower(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    void borrower.asks.then((asks) => {
      if (asks) this.#turn = this.#turn.then(() => this.#lendTo(borrower));
    });
  }

  async #lendTo(borrower: Borrower): Promise<void> {
    const { keeper, say } = this.#options;
    if (borrower.isGone) return;
    if (!this.#lease.runDir) {
      borrower.answer({
        answer: 'refused',
        why: 'without a shared run folder only the locks of its ttys keep other sai-devices out; have root make /run/sai',
      });
      return;
    }
    keeper.lend();
    borrower.answer({ answer: 'lent' });
    await borrower.returns;
    await keeper.takeBack((holder) => {
      say(`${this.#lease.device.name}: waiting for ${holder} of this lease, which has locked a lent tty`);
      borrower.answer({ answer: 'kept', by: holder });
    });
    borrower.answer({ answer: 'back' });
  }
}

/** A `sai-device --tool` at the other end of a connection, or whatever else this user has connected. */
class Borrower {
  /** Whether it asked as it should; false when it has gone before. */
  readonly asks: Promise<boolean>;
  /** Once it needs the ttys no longer, in whatever way it ended. */
  readonly returns: Promise<void>;
  readonly #socket: Socket;
  #heardAsk: (isAsking: boolean) => void = () => {};
  #heardReturn: () => void = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
    const lines = new ByteLines(MAX_LINE_BYTES);
    this.asks = new Promise((resolve) => (this.#heardAsk = resolve));
    this.returns = new Promise((resolve) => (this.#heardReturn = resolve));
    socket.on('error', () => {}); // followed by close
    socket.on('data', (chunk: Buffer) => {
      for (const line of linesOf(lines, chunk)) {
        const request = parseLine(LendRequest, line);
        if (request?.ask === 'lend') this.#heardAsk(true);
        else if (request?.ask === 'return') this.#heardReturn();
        else this.answer({ answer: 'refused', why: 'it is of another version of sai-rig' });
      }
    });
    socket.once('close', () => {
      this.#heardAsk(false);
      this.#heardReturn();
    });
  }

  get isGone(): boolean {
    return this.#socket.destroyed || this.#socket.readableEnded;
  }

  answer(answer: LendAnswer): void {
    if (!this.#socket.destroyed) this.#socket.write(`${JSON.stringify(answer)}\n`);
  }
}

/** What is no line at all is one that nobody understands. */
function linesOf(lines: ByteLines, chunk: Buffer): string[] {
  try {
    return lines.push(chunk);
  } catch {
    return [''];
  }
}
