import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { preparePiGuest } from '../../scripts/pi-guest.mjs';
import type { Level } from '../../src/jig/gpio.ts';
import { GpioGuest, GUEST_HTTP_PORT } from './gpio-guest.ts';

/** Source: BCM2835 ARM Peripherals, section 6.1, at where the BCM2837 has them; each of 32 lines, or ten. */
const GPIO = { functions: 0x3f200000, set: 0x3f20001c, clear: 0x3f200028, levels: 0x3f200034 };
/** Half a minute, on a host that is busy with others many. */
const LONGEST_START_MS = 600_000;
const LINES_PER_FUNCTION_WORD = 10;
const BITS_PER_FUNCTION = 3;
const OUTPUT = 1;

/** QEMU's Raspberry Pi 3 with Debian's kernel and the true driver of its header; lines are seen and driven from outside. */
export class PiGuest implements AsyncDisposable {
  readonly guest: GpioGuest;
  readonly #qtest: Socket;
  readonly #scratch: string;
  readonly #asked: ((answer: string) => void)[] = [];

  static async start(say: (text: string) => void): Promise<PiGuest> {
    const scratch = mkdtempSync(join(tmpdir(), 'sai-pi-'));
    try {
      const { kernel, deviceTree, initramfs } = await preparePiGuest(scratch, say);
      const qtest = join(scratch, 'qtest');
      const args = (agentPort: number): string[] => [
        ...['-accel', 'tcg', '-M', 'raspi3b', '-display', 'none', '-no-reboot'],
        ...['-kernel', kernel, '-dtb', deviceTree, '-initrd', initramfs],
        ...['-append', `console=ttyS1,115200 quiet panic=-1 sai.host=10.0.2.2:${agentPort}`],
        // The kernel's console is the second UART.
        ...['-serial', 'null', '-serial', 'stdio', '-monitor', 'none'],
        ...['-netdev', `user,id=net,hostfwd=tcp:127.0.0.1:0-:${GUEST_HTTP_PORT}`],
        ...['-device', 'usb-net,netdev=net'],
        ...['-qtest', `unix:${qtest},server=on,wait=off`, '-qtest-log', 'none'],
      ];
      const machine = { program: 'qemu-system-aarch64', args, cwd: '/', longestStartMs: LONGEST_START_MS };
      const guest = await GpioGuest.start({ machine });
      try {
        const link = connect(qtest);
        await once(link, 'connect');
        return new PiGuest(guest, link, scratch);
      } catch (error) {
        await guest[Symbol.asyncDispose]();
        throw error;
      }
    } catch (error) {
      rmSync(scratch, { recursive: true, force: true });
      throw error;
    }
  }

  private constructor(guest: GpioGuest, qtest: Socket, scratch: string) {
    this.guest = guest;
    this.#qtest = qtest;
    this.#scratch = scratch;
    createInterface(qtest).on('line', (line) => this.#asked.shift()?.(line));
    qtest.on('error', () => {}); // the machine has ended
  }

  /** `out 1`, `in 0`: what a line of the header is, and what it carries. */
  async line(number: number): Promise<string> {
    const word = GPIO.functions + 4 * Math.floor(number / LINES_PER_FUNCTION_WORD);
    const shift = BITS_PER_FUNCTION * (number % LINES_PER_FUNCTION_WORD);
    const kind = (((await this.#read(word)) >>> shift) & 7) === OUTPUT ? 'out' : 'in';
    return `${kind} ${((await this.#read(GPIO.levels)) >>> number) & 1}`;
  }

  /** What the board does to an input. */
  async drive(number: number, level: Level): Promise<void> {
    await this.#ask(`writel ${level === 1 ? GPIO.set : GPIO.clear} ${2 ** number}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#qtest.destroy();
    await this.guest[Symbol.asyncDispose]();
    rmSync(this.#scratch, { recursive: true, force: true });
  }

  async #read(address: number): Promise<number> {
    return Number((await this.#ask(`readl ${address}`)).split(' ')[1]);
  }

  #ask(order: string): Promise<string> {
    return new Promise((resolve) => {
      this.#asked.push(resolve);
      this.#qtest.write(`${order}\n`);
    });
  }
}
