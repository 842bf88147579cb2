import type { Socket } from 'node:net';
import * as v from 'valibot';
import { parse } from '../base/validate.ts';
import { EmulatorOrders } from './emulator-orders.ts';

/** Source: QEMU's QMP specification, docs/interop/qmp-spec. */
const Message = v.looseObject({
  event: v.exactOptional(v.string()),
  return: v.exactOptional(v.unknown()),
  error: v.exactOptional(v.looseObject({ desc: v.string() })),
});

/** What QEMU tells by itself and a board needs to know: the machine was reset, or its guest turned it off. */
export type QmpEvent = 'RESET' | 'SHUTDOWN';

export interface QmpListener {
  readonly event: (event: QmpEvent) => void;
  /** QEMU says what nobody can understand. */
  readonly failed: (reason: string) => void;
}

/** Runs, stops and resets the machine in one QEMU. */
export class QmpClient {
  readonly #orders: EmulatorOrders;

  constructor(link: Socket, { event, failed }: QmpListener) {
    const line = (text: string): void => {
      const message = parse(Message, JSON.parse(text), 'QMP', 'protocol');
      if (message.event === 'RESET' || message.event === 'SHUTDOWN') event(message.event);
      else if (message.error) this.#orders.answer(message.error.desc);
      else if ('return' in message) this.#orders.answer();
    };
    this.#orders = new EmulatorOrders(link, { line, failed });
  }

  /** @throws {RigError} blame `unavailable` when QEMU refuses, or has ended */
  async execute(command: 'qmp_capabilities' | 'cont' | 'stop' | 'system_reset'): Promise<void> {
    await this.#orders.give(JSON.stringify({ execute: command }));
  }
}
