/** Serves a board's lines on a Unix socket, as a GPIO chip would be: `wire/sim-chip.ts` says how. */

import { createServer, type Server, type Socket } from 'node:net';
import * as v from 'valibot';
import { ByteLines } from '../base/byte-lines.ts';
import { RigError, reasonOf } from '../base/errors.ts';
import { listenOnUnixSocket } from '../base/unix-socket.ts';
import { parse } from '../base/validate.ts';
import {
  type Drive,
  type LineInfo,
  type SimChipErrorCode,
  type SimChipEvent,
  type SimChipReply,
  SimChipRequest,
} from '../wire/sim-chip.ts';
import type { Board, LineEdge } from './board.ts';

/** A request names a handful of lines. */
const MAX_REQUEST_BYTES = 16 * 1024;

/** A client that leaves more unread gets no more edges, and its requests wait. */
const MAX_UNREAD_BYTES = 256 * 1024;

/** Serves `board` on `path` until disposed. @throws {RigError} blame `config` when the path cannot be used */
export async function serveSimChip(board: Board, path: string): Promise<AsyncDisposable> {
  const server = new SimChipServer(board);
  await server.listen(path);
  return server;
}

class SimChipServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  readonly #stopEdges: () => void;

  constructor(board: Board) {
    const held: HeldLines = new Map();
    this.#server = createServer((socket) => {
      const connection = new Connection(socket, board, held);
      this.#connections.add(connection);
      socket.once('close', () => this.#connections.delete(connection));
    });
    this.#stopEdges = board.lines.onEdge((edge) => {
      for (const connection of this.#connections) connection.tell(edge);
    });
  }

  async listen(path: string): Promise<void> {
    try {
      await listenOnUnixSocket(this.#server, path);
    } catch (error) {
      this.#stopEdges();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopEdges();
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const connection of this.#connections) connection.end();
    await closed;
  }
}

/** Who holds which line. */
type HeldLines = Map<string, { readonly holder: Connection; readonly consumer: string }>;

type Answer = Omit<Extract<SimChipReply, { ok: true }>, 'id' | 'ok'>;

/** A request that is refused; told to the client, never our failure. */
class Refusal extends Error {
  readonly code: SimChipErrorCode;

  constructor(code: SimChipErrorCode, message: string) {
    super(message);
    this.name = 'Refusal';
    this.code = code;
  }
}

class Connection {
  readonly #socket: Socket;
  readonly #board: Board;
  readonly #held: HeldLines;
  readonly #watched = new Set<string>();
  readonly #reader = new ByteLines(MAX_REQUEST_BYTES);
  #lostEdges = 0;

  constructor(socket: Socket, board: Board, held: HeldLines) {
    this.#socket = socket;
    this.#board = board;
    this.#held = held;
    socket.on('data', (chunk) => void this.#read(chunk));
    // A client that was killed shows as an error or as an end; both close the socket.
    socket.on('error', () => {});
    socket.once('close', () =>
      this.#letGo([...held].filter(([, by]) => by.holder === this).map(([line]) => line)),
    );
  }

  tell({ line, level, monotonicMs }: LineEdge): void {
    if (!this.#watched.has(line)) return;
    if (this.#socket.writableLength > MAX_UNREAD_BYTES) {
      this.#lostEdges++;
      return;
    }
    const lost = this.#lostEdges > 0 ? { lost: this.#lostEdges } : {};
    this.#lostEdges = 0;
    this.#send({ event: 'edge', line, level, monotonicMs, ...lost });
  }

  end(): void {
    this.#socket.destroy();
  }

  /** One chunk at a time: the next is read once this one's requests are answered, and the answers on their way. */
  async #read(chunk: Uint8Array): Promise<void> {
    this.#socket.pause();
    let lines: string[];
    try {
      lines = this.#reader.push(chunk);
    } catch (error) {
      this.#send({ id: null, ok: false, code: 'EINVAL', message: reasonOf(error) });
      this.#socket.end(); // where the next request begins cannot be known
      return;
    }
    for (const line of lines) {
      if (this.#socket.destroyed) return;
      this.#send(await this.#reply(line));
    }
    if (this.#socket.writableLength > MAX_UNREAD_BYTES) await drained(this.#socket);
    this.#socket.resume();
  }

  async #reply(line: string): Promise<SimChipReply> {
    let id: number | null = null;
    try {
      const value = parseJson(line);
      id = idOf(value);
      const request = parse(SimChipRequest, value, 'request', 'protocol');
      return { id: request.id, ok: true, ...(await this.#answer(request)) };
    } catch (error) {
      if (error instanceof Refusal) return { id, ok: false, code: error.code, message: error.message };
      const isTheirs = error instanceof RigError && error.blame === 'protocol';
      return { id, ok: false, code: isTheirs ? 'EINVAL' : 'EIO', message: reasonOf(error) };
    }
  }

  async #answer(request: SimChipRequest): Promise<Answer> {
    switch (request.op) {
      case 'info':
        return {
          chip: this.#board.name,
          lines: this.#board.lines.names.map((name, offset) => this.#info(name, offset)),
        };
      case 'request':
        this.#request(request.outputs, request.consumer);
        return {};
      case 'set':
        this.#checkHeld(Object.keys(request.levels));
        this.#drive(request.levels);
        return {};
      case 'get':
        this.#checkKnown(request.lines);
        return {
          levels: Object.fromEntries(request.lines.map((line) => [line, this.#board.lines.levelOf(line)])),
        };
      case 'watch':
        this.#checkKnown(request.lines);
        for (const line of request.lines) this.#watched.add(line);
        return {};
      case 'release':
        this.#checkHeld(request.lines);
        this.#letGo(request.lines);
        return {};
      case 'board':
        await actOn(this.#board, request.action);
        return {};
    }
  }

  #info(name: string, offset: number): LineInfo {
    return {
      name,
      offset,
      direction: this.#board.lines.directionOf(name),
      consumer: this.#held.get(name)?.consumer ?? null,
      level: this.#board.lines.levelOf(name),
    };
  }

  #request(outputs: Readonly<Record<string, Drive>>, consumer: string): void {
    const lines = Object.keys(outputs);
    this.#checkKnown(lines);
    for (const line of lines) {
      const holder = this.#held.get(line);
      if (holder)
        throw new Refusal('EBUSY', `${line}: expected a free line, it is held by ${holder.consumer}`);
      if (this.#board.lines.directionOf(line) === 'output') {
        throw new Refusal('EPERM', `${line}: expected a line that can be driven, the board drives it`);
      }
    }
    for (const line of lines) this.#held.set(line, { holder: this, consumer });
    this.#drive(outputs);
  }

  #drive(levels: Readonly<Record<string, Drive>>): void {
    for (const [line, level] of Object.entries(levels)) this.#board.lines.drive(line, level);
  }

  #letGo(lines: readonly string[]): void {
    for (const line of lines) {
      if (!this.#held.delete(line)) continue; // named twice
      this.#board.lines.drive(line, 'released');
    }
  }

  #checkKnown(lines: readonly string[]): void {
    const { names } = this.#board.lines;
    for (const line of lines) {
      if (!names.includes(line)) {
        throw new Refusal('ENOENT', `${line}: expected a line of this chip: ${names.join(', ')}`);
      }
    }
  }

  #checkHeld(lines: readonly string[]): void {
    this.#checkKnown(lines);
    for (const line of lines) {
      if (this.#held.get(line)?.holder !== this) {
        throw new Refusal('EPERM', `${line}: expected a line that this connection has requested`);
      }
    }
  }

  #send(message: SimChipReply | SimChipEvent): void {
    if (this.#socket.writable) this.#socket.write(`${JSON.stringify(message)}\n`);
  }
}

async function actOn(
  board: Board,
  action: Extract<SimChipRequest, { op: 'board' }>['action'],
): Promise<void> {
  if (action === 'unplug') await board.unplug();
  else if (action === 'plug') await board.plug();
  else await board.setPower(action === 'power-on' ? 'on' : 'off');
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw new Refusal('EINVAL', `request: expected a JSON object on one line: ${reasonOf(error)}`);
  }
}

/** The id of a request that may be wrong in every other way. */
function idOf(value: unknown): number | null {
  const result = v.safeParse(v.object({ id: v.pipe(v.number(), v.integer()) }), value);
  return result.success ? result.output.id : null;
}

/** Also when the client goes away instead. */
function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done);
      socket.off('close', done);
      resolve();
    };
    socket.once('drain', done);
    socket.once('close', done);
  });
}
