import { join, resolve } from 'node:path';
import type { RigError } from '../base/errors.ts';
import { checkSocketPath } from '../base/unix-socket.ts';
import type { Board, LabBoard } from './board.ts';
import { type BoardRequest, boardType, deviceOf } from './board-types.ts';
import { jigConfig } from './jig-config.ts';
import { LabFolder } from './lab-folder.ts';
import { serveSimChip } from './sim-chip-server.ts';

export interface LabOptions {
  /** The port on which a jig will serve the boards' lines, if one will. */
  readonly jigPort: number | undefined;
  /** Of the boards' programs. */
  readonly env: NodeJS.ProcessEnv;
  /** Ends a start that is under way. */
  readonly stop: AbortSignal;
}

/** Running boards, each with its ttys and the socket of its lines, and the devices config that lists them all. */
export class Lab implements AsyncDisposable {
  readonly boards: readonly LabBoard[];
  /** Resolves with the reason if a board breaks by itself. */
  readonly broken: Promise<RigError>;
  readonly #parts: readonly (Disposable | AsyncDisposable)[];

  /**
   * @throws {RigError} blame `busy` when a lab runs in `dir`, `config` when `dir` cannot be used,
   * `unavailable` when a board does not start
   * @throws the reason of `stop`
   */
  static async start(
    dir: string,
    requests: readonly BoardRequest[],
    { jigPort, env, stop }: LabOptions,
  ): Promise<Lab> {
    for (const { type } of requests) boardType(type).check(env);
    const path = resolve(dir);
    for (const { name } of requests) checkSocketPath(chipSocket(path, name));
    const folder = new LabFolder(path);
    const parts: (Disposable | AsyncDisposable)[] = [folder];
    try {
      const boards: Board[] = [];
      for (const { type, name } of requests) {
        const board = await boardType(type).start({ name, dir: path, env, stop });
        parts.push(board);
        boards.push(board);
        parts.push(await serveSimChip(board, chipSocket(path, name)));
      }
      return new Lab(folder, requests, boards, parts, jigPort);
    } catch (error) {
      await disposeAll(parts);
      throw error;
    }
  }

  private constructor(
    folder: LabFolder,
    requests: readonly BoardRequest[],
    boards: readonly Board[],
    parts: readonly (Disposable | AsyncDisposable)[],
    jigPort: number | undefined,
  ) {
    this.#parts = parts;
    this.broken = Promise.race(boards.map((board) => board.broken));
    this.boards = requests.map(({ type, name }, index) => ({
      board: name,
      type,
      ttys: boards[index]?.ttys ?? [],
      chip: chipSocket(folder.path, name),
      devices: folder.devicesFile,
      jig: folder.jigFile,
    }));
    folder.writeDevices(
      requests.map((request, index) =>
        deviceOf(request, boards[index]?.ttys ?? [], chipSocket(folder.path, request.name), jigPort),
      ),
    );
    const wired = requests.map(({ type, name }) => ({
      name,
      chip: chipSocket(folder.path, name),
      wiring: boardType(type).jig,
    }));
    folder.writeJig(jigConfig(wired, jigPort));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await disposeAll(this.#parts);
  }
}

function chipSocket(dir: string, name: string): string {
  return join(dir, `${name}.chip`);
}

/** The last made goes first. */
async function disposeAll(parts: readonly (Disposable | AsyncDisposable)[]): Promise<void> {
  for (const part of parts.toReversed()) {
    if (Symbol.asyncDispose in part) await part[Symbol.asyncDispose]();
    else part[Symbol.dispose]();
  }
}
