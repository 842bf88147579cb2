import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { RigError, reasonOf } from '../base/errors.ts';
import { packageFile } from '../base/package-file.ts';
import { CHIP_LINK_FD, encodeMessage, FromChip, messageReader, type ToChip } from './chip-link.ts';

/** A chip's process that does not end by itself when let go of is ended. */
const END_GRACE_MS = 2000;

const PROGRAM = 'dist/virtual-lab-uno-chip.cjs';

/** What a running chip tells. */
export type ChipReport = Exclude<FromChip, { event: 'ready' }>;

/** The process in which one chip runs. It ends by itself when this process goes away, however that happens. */
export class ChipProcess implements AsyncDisposable {
  /** Resolves once the firmware runs. @throws {RigError} blame `unavailable` when the process ended before */
  readonly ready: Promise<void>;
  /** Resolves, in words, with how the process ended, or why it is of no use any more. */
  readonly ended: Promise<string>;
  readonly #exited: Promise<void>;
  readonly #child: ChildProcess;
  readonly #link: Socket;
  #fail: (how: string) => void = () => {};

  /** `firmware` is the path of an Intel HEX file; `received` is called for all that it tells. */
  constructor(firmware: string, received: (message: ChipReport) => void) {
    this.#child = spawn(process.execPath, [packageFile(PROGRAM), firmware], {
      stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
      // Ctrl-C is for the lab, which then ends its boards in order.
      detached: true,
    });
    this.#link = this.#child.stdio[CHIP_LINK_FD] as Socket;
    this.ended = new Promise((resolve) => {
      this.#fail = resolve;
    });
    this.#exited = new Promise((resolve) => {
      const end = (how: string): void => {
        this.#fail(how);
        resolve();
      };
      this.#child.once('exit', (status, signal) => end(signal ?? `status ${status}`));
      this.#child.once('error', (error) => end(reasonOf(error)));
    });
    this.ready = new Promise((resolve, reject) => {
      const read = messageReader(FromChip);
      this.#link.on('data', (chunk) => {
        try {
          for (const message of read(chunk)) {
            if (message.event === 'ready') resolve();
            else received(message);
          }
        } catch (error) {
          this.#fail(reasonOf(error));
        }
      });
      void this.ended.then((how) =>
        reject(new RigError('unavailable', `${firmware}: expected the chip to start, it ended with ${how}`)),
      );
    });
    // The process has gone: `ended` tells of it.
    this.#link.on('error', () => {});
  }

  send(message: ToChip): void {
    if (this.#link.writable) this.#link.write(encodeMessage(message));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#link.destroy();
    const force = setTimeout(() => this.#child.kill('SIGKILL'), END_GRACE_MS);
    await this.#exited;
    clearTimeout(force);
  }
}
