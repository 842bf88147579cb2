import type { Socket } from 'node:net';
import type { Level } from '../wire/sim-chip.ts';
import { EmulatorOrders } from './emulator-orders.ts';

/** The GPIO device of an emulated chip, and the numbers of its pins by the names of the board's lines. */
export interface QemuGpio {
  /** Path in QEMU's object tree. */
  readonly device: string;
  /** How many pins it has: a number past them aborts QEMU. */
  readonly pinCount: number;
  readonly inputs: Readonly<Record<string, { readonly pin: number; readonly idle: Level }>>;
  readonly outputs: Readonly<Record<string, { readonly pin: number }>>;
}

export interface QtestListener {
  readonly driven: (line: string, level: Level) => void;
  readonly failed: (reason: string) => void;
}

/** Reaches the pins of a chip from outside, over QEMU's test socket. Source: QEMU, softmmu/qtest.c. */
export class QtestClient {
  readonly #orders: EmulatorOrders;
  readonly #gpio: QemuGpio;

  constructor(link: Socket, gpio: QemuGpio, { driven, failed }: QtestListener) {
    const { pinCount, inputs, outputs } = gpio;
    const wrong = Object.values({ ...inputs, ...outputs }).find(({ pin }) => !(pin >= 0 && pin < pinCount));
    if (wrong) throw new Error(`${gpio.device}: expected a pin from 0 to ${pinCount - 1}, got ${wrong.pin}`);
    this.#gpio = gpio;
    const lineOfPin = new Map(Object.entries(outputs).map(([name, { pin }]) => [String(pin), name]));
    const line = (text: string): void => {
      const [isChange, change, pin = ''] = /^IRQ (raise|lower) (\d+)$/.exec(text) ?? [];
      const name = lineOfPin.get(pin);
      if (!isChange) this.#orders.answer(text.startsWith('OK') ? undefined : text);
      else if (name !== undefined) driven(name, change === 'raise' ? 1 : 0);
    };
    this.#orders = new EmulatorOrders(link, { line, failed });
  }

  /** From now on changes of outputs are told. @throws {RigError} blame `unavailable` when QEMU has ended */
  async watchOutputs(): Promise<void> {
    await this.#orders.give(`irq_intercept_out ${this.#gpio.device}`);
  }

  /**
   * Resolves once the chip's pin has that level, until its next reset.
   *
   * @throws {RigError} blame `unavailable` when QEMU has ended
   */
  async setInput(line: string, level: Level): Promise<void> {
    const input = this.#gpio.inputs[line];
    if (!input) throw new Error(`${line}: expected an input of the chip`);
    await this.#orders.give(`set_irq_in ${this.#gpio.device} unnamed-gpio-in ${input.pin} ${level}`);
  }
}
