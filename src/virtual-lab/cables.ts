import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { type Passages, PtyProxy } from './pty-proxy.ts';
import { TtyUsers } from './tty-users.ts';

export interface CablesOptions {
  readonly name: string;
  /** Folder of the stable links `<name>.tty0`, … */
  readonly dir: string;
  readonly count: number;
  /** Bytes from a tty, never empty. */
  readonly toBoard: (ttyIndex: number, bytes: Buffer) => void;
  readonly passages?: Passages;
  /** Whether {@link Cables.isInUse} and {@link Cables.wasOpened} will be asked. */
  readonly users: 'watched' | 'ignored';
}

/** All ttys of a board, plugged in and out together. Plugged in from the start. */
export class Cables implements Disposable {
  readonly paths: readonly string[];
  readonly #ttys: readonly PtyProxy[];
  readonly #areUsersWatched: boolean;
  #users: readonly TtyUsers[] = [];
  #isPlugged = true;

  /**
   * @throws {RigError} blame `config` when something foreign is where a link belongs, `unavailable` when its users
   * cannot be watched
   */
  constructor({ name, dir, count, toBoard, passages, users }: CablesOptions) {
    this.#areUsersWatched = users === 'watched';
    const ttys: PtyProxy[] = [];
    this.#ttys = ttys;
    try {
      for (let index = 0; index < count; index++) {
        const options = {
          toBoard: (bytes: Buffer): void => toBoard(index, bytes),
          ...(passages && { passages }),
        };
        ttys.push(new PtyProxy(join(dir, `${name}.tty${index}`), options));
      }
      this.#watch();
    } catch (error) {
      this.unplug();
      throw error;
    }
    this.paths = ttys.map(({ path }) => path);
  }

  /** Bytes of the board that nobody can read any more. */
  get lostBytes(): number {
    return this.#ttys.reduce((sum, tty) => sum + tty.lostBytes, 0);
  }

  /** Bytes from the board. Never waits. */
  send(ttyIndex: number, bytes: Buffer): void {
    this.#ttys[ttyIndex]?.send(bytes);
  }

  /** Whether bytes from a tty are taken; while they are not, its writers wait. */
  setInput(ttyIndex: number, state: 'flowing' | 'paused'): void {
    this.#ttys[ttyIndex]?.setInput(state);
  }

  /** Whether somebody has a tty locked or open. */
  isInUse(): boolean {
    return this.#users.some((users) => users.isInUse());
  }

  /** Whether somebody has opened a tty since the last call. */
  wasOpened(): boolean {
    return this.#users.filter((users) => users.wasOpened()).length > 0; // all are asked
  }

  plug(): void {
    if (this.#isPlugged) return;
    this.#isPlugged = true;
    for (const tty of this.#ttys) tty.plug();
    this.#watch();
  }

  unplug(): void {
    this.#isPlugged = false;
    for (const users of this.#users) users[Symbol.dispose]();
    this.#users = [];
    for (const tty of this.#ttys) tty.unplug();
  }

  [Symbol.dispose](): void {
    this.unplug();
  }

  #watch(): void {
    if (!this.#areUsersWatched) return;
    this.#users = this.#ttys.map(({ path }) => new TtyUsers(realpathSync(path)));
  }
}
