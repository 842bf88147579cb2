/** A command's end of one log channel. Never makes it wait, and never fails it. */

import { connect, type Socket } from 'node:net';
import { errnoCode, reasonOf } from '../base/errors.ts';
import type { Direction } from '../wire/log.ts';
import { socketPathOf } from './address.ts';
import { ByteBatch } from './byte-batch.ts';
import { appendFrame, FRAME_OPENING, MAX_PAYLOAD_BYTES } from './frame.ts';

/** What a proxy that does not read may leave with us. Source: the contract of the log proxies. */
const PENDING_LIMIT_BYTES = 4 * 1024 * 1024;

/** Kept free for gaps and the farewell, which are what tells of everything else. */
const RESERVE_BYTES = 256;

/** How long a proxy may take for the last bytes. The verdict is known by then; only its telling waits. */
const FAREWELL_MS = 2000;

/** Nobody listens: the log was not asked for any more. Source: unix(7). */
const NOBODY_THERE: readonly (string | undefined)[] = ['ENOENT', 'ECONNREFUSED'];

export interface SenderOptions {
  readonly pendingLimitBytes?: number;
  readonly farewellMs?: number;
}

/** Bytes that the log lacks and that no gap in it tells of. */
export interface UntoldLoss {
  /** At most; what was under way may have arrived. */
  readonly bytes: number;
  readonly reason: string;
}

/**
 * Sends to the address in a variable. Connects by itself, once: a proxy that went away has taken its log with it.
 * Where there is none, what is sent goes nowhere, and that is no loss.
 */
export class LogSender {
  readonly #socket: Socket;
  readonly #pending = new ByteBatch();
  readonly #limitBytes: number;
  readonly #farewellMs: number;
  readonly #dropped: Record<Direction, number> = { in: 0, out: 0 };
  #gapBytes = 0;
  /** Payload under way and not yet taken by the kernel. */
  #inFlightBytes = 0;
  #pendingPayload = 0;
  #inFlightPayload = 0;
  #isWriting = false;
  #isConnected = false;
  #failure: { readonly reason: string; readonly isLoss: boolean } | undefined;
  #onIdle: (() => void) | undefined;

  /** @throws {RigError} blame `config` for an address that nobody can listen at */
  constructor(address: string, options: SenderOptions = {}) {
    this.#limitBytes = options.pendingLimitBytes ?? PENDING_LIMIT_BYTES;
    this.#farewellMs = options.farewellMs ?? FAREWELL_MS;
    this.#pending.append(FRAME_OPENING);
    this.#socket = this.#connect(address);
  }

  /** Bytes that did not fit so far, whether or not the log tells of them. */
  get gapBytes(): number {
    return this.#gapBytes;
  }

  /** Takes bytes that were read, or sent to the board, just now. Returns at once. */
  send(bytes: Uint8Array, direction: Direction = 'in'): void {
    const monotonicNs = process.hrtime.bigint();
    for (let from = 0; from < bytes.length; from += MAX_PAYLOAD_BYTES) {
      this.#take(bytes.subarray(from, from + MAX_PAYLOAD_BYTES), direction, monotonicNs);
    }
    this.#write();
  }

  /** Hands over what is left, within bounds; undefined when the log has it all, or tells of what it lacks. */
  async close(): Promise<UntoldLoss | undefined> {
    this.#tellDropped();
    appendFrame(this.#pending, { kind: 'end' }, process.hrtime.bigint());
    this.#write();
    const isHandedOver = await this.#handedOver();
    const { bytes, reason } = this.#untold();
    this.#socket.destroy();
    return isHandedOver || bytes === 0 ? undefined : { bytes, reason };
  }

  #connect(address: string): Socket {
    const socket = connect(socketPathOf(address));
    socket.unref();
    socket.once('connect', () => {
      this.#isConnected = true;
      this.#write();
    });
    // A proxy never writes; reading is how a closed one shows.
    socket.resume();
    socket.on('error', (error) => this.#fail(error));
    socket.once('close', () => this.#fail(new Error('the log proxy went away')));
    return socket;
  }

  #take(bytes: Uint8Array, direction: Direction, monotonicNs: bigint): void {
    const isRoom =
      this.#inFlightBytes + this.#pending.length + bytes.length + RESERVE_BYTES <= this.#limitBytes;
    if (this.#failure || !isRoom) {
      this.#dropped[direction] += bytes.length;
      if (!this.#isNobodyThere) this.#gapBytes += bytes.length;
      return;
    }
    this.#tellDropped();
    appendFrame(this.#pending, { kind: 'bytes', direction, bytes }, monotonicNs);
    this.#pendingPayload += bytes.length;
  }

  #tellDropped(): void {
    if (this.#failure) return;
    for (const direction of ['in', 'out'] as const) {
      const lostBytes = this.#dropped[direction];
      if (lostBytes === 0) continue;
      this.#dropped[direction] = 0;
      appendFrame(this.#pending, { kind: 'gap', direction, lostBytes }, process.hrtime.bigint());
      this.#pendingPayload += lostBytes;
    }
  }

  #write(): void {
    if (this.#isWriting || !this.#isConnected || this.#pending.length === 0 || this.#failure) return;
    this.#isWriting = true;
    this.#inFlightPayload = this.#pendingPayload;
    this.#pendingPayload = 0;
    const bytes = this.#pending.take();
    this.#inFlightBytes = bytes.length;
    this.#socket.write(bytes, (error) => {
      this.#isWriting = false;
      if (error) {
        this.#fail(error);
        return;
      }
      this.#inFlightBytes = 0;
      this.#inFlightPayload = 0;
      this.#tellDropped(); // as early as can be, should this process be killed
      this.#write();
      if (!this.#isWriting) this.#onIdle?.();
    });
  }

  #fail(error: Error): void {
    this.#failure ??= {
      reason: reasonOf(error),
      isLoss: this.#isConnected || !NOBODY_THERE.includes(errnoCode(error)),
    };
    this.#onIdle?.();
  }

  /** False when the proxy failed or did not read in time. */
  async #handedOver(): Promise<boolean> {
    if (!this.#failure && this.#pending.length + this.#inFlightBytes > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, this.#farewellMs);
        this.#onIdle = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return !this.#failure && this.#pending.length + this.#inFlightBytes === 0;
  }

  get #isNobodyThere(): boolean {
    return this.#failure?.isLoss === false;
  }

  #untold(): UntoldLoss {
    if (this.#failure && this.#isNobodyThere) return { bytes: 0, reason: this.#failure.reason };
    const bytes = this.#dropped.in + this.#dropped.out + this.#pendingPayload + this.#inFlightPayload;
    return { bytes, reason: this.#failure?.reason ?? 'the log proxy does not read' };
  }
}
