import { PtyProxy } from '../../src/virtual-lab/pty-proxy.ts';
import { QemuProcess } from '../../src/virtual-lab/qemu-process.ts';

/** The machine of the virtual lab's `u-boot`. */
const MACHINE = {
  program: 'qemu-system-aarch64',
  args: [
    ...['-M', 'virt', '-cpu', 'cortex-a57', '-m', '64M'],
    ...['-bios', '/usr/lib/u-boot/qemu_arm64/u-boot.bin', '-serial', 'chardev:tty0'],
  ],
  ttyCount: 1,
};

/**
 * U-Boot on an emulated board, at the far end of two wires: it runs while `power` is high and `reset` is not low, and
 * starts anew whenever that begins. Its tty is an adapter with a supply of its own: it stays when the power goes.
 */
export class WiredUBoot implements AsyncDisposable {
  readonly #qemu: QemuProcess;
  readonly #tty: PtyProxy;
  readonly #levels = { power: 0, reset: 1 };
  readonly #heard: Buffer[];
  #isRunning = false;
  #last: Promise<void> = Promise.resolve();

  /** Without power. `path` is where its tty appears. */
  static async start(path: string): Promise<WiredUBoot> {
    const heard: Buffer[] = [];
    let tty: PtyProxy | undefined;
    const said = (_index: number, bytes: Buffer): void => {
      heard.push(bytes);
      tty?.send(bytes);
    };
    const nothing = (): void => {};
    const qemu = await QemuProcess.start(
      MACHINE,
      { said, ready: nothing, driven: nothing, event: nothing },
      new AbortController().signal,
    );
    const board = new WiredUBoot(qemu, path, heard);
    tty = board.#tty;
    return board;
  }

  private constructor(qemu: QemuProcess, path: string, heard: Buffer[]) {
    this.#qemu = qemu;
    this.#heard = heard;
    const toBoard = (bytes: Buffer): void => {
      if (this.#isRunning) qemu.type(0, bytes);
    };
    this.#tty = new PtyProxy(path, { toBoard });
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  /** All that it ever said. */
  get said(): string {
    return Buffer.concat(this.#heard).toString('latin1');
  }

  /** What the wire does to it, one after the other. */
  wire(line: 'power' | 'reset', level: 0 | 1): void {
    this.#last = this.#last.then(() => this.#apply(line, level));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last;
    this.#tty[Symbol.dispose]();
    await this.#qemu[Symbol.asyncDispose]();
  }

  async #apply(line: 'power' | 'reset', level: 0 | 1): Promise<void> {
    this.#levels[line] = level;
    const isToRun = this.#levels.power === 1 && this.#levels.reset === 1;
    if (isToRun === this.#isRunning) return;
    if (isToRun) {
      await this.#qemu.qmp.execute('system_reset');
      this.#isRunning = true; // from its first byte on
      await this.#qemu.qmp.execute('cont');
    } else {
      await this.#qemu.qmp.execute('stop');
      this.#isRunning = false;
    }
  }
}
