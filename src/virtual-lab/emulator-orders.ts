import type { Socket } from 'node:net';
import { ByteLines } from '../base/byte-lines.ts';
import { RigError, reasonOf } from '../base/errors.ts';

/** What is ordered here has short answers. */
const MAX_LINE_BYTES = 64 * 1024;

export interface OrdersListener {
  /** Each line that the emulator says. May throw: then the link is of no use any more. */
  readonly line: (text: string) => void;
  readonly failed: (reason: string) => void;
}

/** Orders to an emulator over one socket, a line each, which it answers in their order. */
export class EmulatorOrders {
  readonly #link: Socket;
  readonly #waiting: { text: string; resolve: () => void; reject: (error: Error) => void }[] = [];

  constructor(link: Socket, { line, failed }: OrdersListener) {
    this.#link = link;
    const lines = new ByteLines(MAX_LINE_BYTES);
    link.on('data', (chunk) => {
      try {
        for (const text of lines.push(chunk)) line(text);
      } catch (error) {
        failed(reasonOf(error));
      }
    });
    link.once('close', () => {
      for (const { text, reject } of this.#waiting.splice(0)) reject(unanswered(text));
    });
  }

  /** Resolves once it is carried out. @throws {RigError} blame `unavailable` when it is refused, or the emulator ends */
  give(text: string): Promise<void> {
    return new Promise((resolve, reject) => {
      if (!this.#link.writable) return reject(unanswered(text));
      this.#waiting.push({ text, resolve, reject });
      this.#link.write(`${text}\n`);
    });
  }

  /** The oldest order is answered: carried out, or refused with the emulator's reason. */
  answer(refusal?: string): void {
    const order = this.#waiting.shift();
    if (refusal === undefined) order?.resolve();
    else order?.reject(new RigError('unavailable', `${order.text}: the emulator refused: ${refusal}`));
  }
}

function unanswered(text: string): RigError {
  return new RigError('unavailable', `${text}: expected an answer of the emulator, it has ended`);
}
