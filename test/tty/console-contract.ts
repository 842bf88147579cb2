/** What every driver of a tty keeps to. */

import { closeSync, constants, openSync, readdirSync, readlinkSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { RigError } from '../../src/base/errors.ts';
import { tryFlock } from '../../src/native/flock.ts';
import { makeRaw, readTtySettings } from '../../src/native/termios.ts';
import type { Console, ConsoleOptions, OpenConsole } from '../../src/tty/console.ts';
import { CHUNKINGS, DutOnPty } from '../peers/dut-on-pty.ts';

const OPTIONS: ConsoleOptions = { label: 'tty0', baudRate: 115_200, hangUpOnClose: 'off' };
const OPEN = constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK;

/** Where a driver is allowed to fall short, said in its docstring. */
export interface ContractExceptions {
  /** Rates at which the open throws away what the board said before. */
  readonly flushesAtOpen: 'never' | 'standard rates';
}

export function consoleContract(open: OpenConsole, exceptions: ContractExceptions): void {
  const duts: DutOnPty[] = [];
  const plugIn = (...args: ConstructorParameters<typeof DutOnPty>): DutOnPty => {
    const dut = new DutOnPty(...args);
    duts.push(dut);
    return dut;
  };
  afterEach(async () => {
    for (const dut of duts.splice(0)) await dut[Symbol.asyncDispose]();
  });

  describe.each(CHUNKINGS)('%s', (chunking) => {
    test('bytes arrive as they are, in order', async () => {
      const dut = plugIn(chunking);
      await using console = await open(dut.ttyPath, OPTIONS);
      const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
      dut.say(all);
      expect(await readBytes(console, 256)).toEqual(all);
    });

    test('what the board said before the open is read first', async () => {
      const dut = plugIn(chunking);
      const baudRate = exceptions.flushesAtOpen === 'never' ? 115_200 : 31_250;
      dut.say('early ');
      await using console = await open(dut.ttyPath, { ...OPTIONS, baudRate });
      dut.say('late');
      expect((await readBytes(console, 10)).toString()).toBe('early late');
    });

    test('what comes between two users is not lost while the tty is held open', async () => {
      const dut = plugIn(chunking);
      const baudRate = exceptions.flushesAtOpen === 'never' ? 115_200 : 31_250;
      {
        await using _first = await open(dut.ttyPath, { ...OPTIONS, baudRate });
      }
      dut.say('between');
      await using console = await open(dut.ttyPath, { ...OPTIONS, baudRate });
      expect((await readBytes(console, 7)).toString()).toBe('between');
    });

    test('what was said before a hang-up is read before the hang-up is told', async () => {
      const dut = plugIn(chunking);
      await using console = await open(dut.ttyPath, OPTIONS);
      dut.say('last words');
      const read = readUntilEnd(console);
      // The kernel itself drops what a hung-up tty still held: the words must be out first.
      await expect.poll(() => read.text()).toBe('last words');
      dut.unplug();
      expect(await read.ended).toEqual(gone());
    });
  });

  test('a hang-up ends reading and sending with an error that names the tty', async () => {
    const dut = plugIn();
    await using console = await open(dut.ttyPath, OPTIONS);
    const read = readUntilEnd(console);
    const sent = console.send(Buffer.alloc(1_000_000)).catch((error: unknown) => error);
    dut.unplug();
    expect(await read.ended).toEqual(gone());
    expect(await sent).toEqual(gone());
    await expect(console.send(Buffer.from('more'))).rejects.toEqual(gone());
  });

  test('what is sent arrives as it is', async () => {
    const dut = plugIn();
    await using console = await open(dut.ttyPath, OPTIONS);
    const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    await console.send(all);
    await expect.poll(() => dut.heard()).toBe(all.toString('latin1'));
  });

  test('a slow reader does not stop the process, and gets everything', async () => {
    const dut = plugIn();
    await using console = await open(dut.ttyPath, OPTIONS);
    let isSent = false;
    const sending = console.send(Buffer.alloc(200_000, 'x')).then(() => {
      isSent = true;
    });
    dut.say('still there');
    expect((await readBytes(console, 11)).toString()).toBe('still there'); // the loop turns while the board is deaf
    expect(isSent).toBe(false);
    await expect.poll(() => dut.heard().length, { interval: 1, timeout: 20_000 }).toBe(200_000);
    await sending;
  });

  test('a send that nobody reads can be given up', async () => {
    const dut = plugIn();
    await using console = await open(dut.ttyPath, OPTIONS);
    const stopper = new AbortController();
    const sending = console.send(Buffer.alloc(200_000), stopper.signal);
    const reason = new Error('enough');
    stopper.abort(reason);
    await expect(sending).rejects.toBe(reason);
  });

  test('release ends reading, and a second release changes nothing', async () => {
    const dut = plugIn();
    const console = await open(dut.ttyPath, OPTIONS);
    const read = readUntilEnd(console);
    await console[Symbol.asyncDispose]();
    await console[Symbol.asyncDispose]();
    expect(await read.ended).toBeUndefined();
    await expect(console.send(Buffer.from('x'))).rejects.toThrow('tty0: this console has been released');
  });

  test('a release while a send waits lets go of the tty', async () => {
    const dut = plugIn();
    const console = await open(dut.ttyPath, OPTIONS);
    const sent = console.send(Buffer.alloc(200_000)).catch((error: unknown) => error);
    await console[Symbol.asyncDispose]();
    expect(String(await sent)).toContain('released');
  });

  test('an open does not wait for carrier, and sets the tty raw at the rate that was asked for', async () => {
    const dut = plugIn();
    makeRaw(dut.ttyFd, { baudRate: 9600, hangUpOnClose: true });
    await using _console = await open(dut.ttyPath, { ...OPTIONS, baudRate: 57_600 });
    expect(readTtySettings(dut.ttyFd)).toEqual({
      baudRate: 57_600,
      hangUpOnClose: false,
      raw: true,
      echo: false,
      local: true,
    });
  });

  test('what a driver does not count is not told as none, also after the release', async () => {
    const dut = plugIn();
    const console = await open(dut.ttyPath, OPTIONS);
    expect(console.overruns).toBeUndefined();
    await console[Symbol.asyncDispose]();
    expect(console.overruns).toBeUndefined();
  });

  test('the lock of a lease outlives a console on its tty', async () => {
    const dut = plugIn();
    expect(tryFlock(dut.ttyFd)).toBe(true);
    const other = openSync(dut.ttyPath, OPEN);
    try {
      {
        await using console = await open(dut.ttyPath, OPTIONS);
        dut.say('x');
        await readBytes(console, 1);
        expect(tryFlock(other)).toBe(false);
      }
      expect(tryFlock(other)).toBe(false);
    } finally {
      closeSync(other);
    }
  });

  test('a tty that is not there is refused', async () => {
    await expect(open('/dev/does-not-exist', OPTIONS)).rejects.toEqual(
      new RigError('hardware', 'tty0: expected a tty, found nothing at this path; is the board plugged in?'),
    );
  });

  test('what is no tty is refused', async () => {
    await expect(open('/dev/null', OPTIONS)).rejects.toMatchObject({
      blame: 'hardware',
      message: expect.stringMatching(/^tty0: expected a tty, found something else \(ENOTTY\)/),
    });
  });

  test('no descriptor stays open after a release', async () => {
    const dut = plugIn();
    await (await open(dut.ttyPath, OPTIONS))[Symbol.asyncDispose]();
    const before = openCountOf(dut.ttyPath);
    for (let i = 0; i < 20; i++) await (await open(dut.ttyPath, OPTIONS))[Symbol.asyncDispose]();
    expect(openCountOf(dut.ttyPath)).toBe(before);
  });
}

function gone(): RigError {
  return expect.objectContaining({
    name: 'RigError',
    blame: 'hardware',
    message: expect.stringMatching(/^tty0: the tty went away/),
  }) as RigError;
}

async function readBytes(console: Console, count: number): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of console.bytes) {
    chunks.push(chunk);
    sizeBytes += chunk.length;
    if (sizeBytes >= count) break;
  }
  return Buffer.concat(chunks);
}

/** Everything that a console says; `ended` resolves with why it ended, if for a reason. */
export function readUntilEnd(console: Console): { text: () => string; ended: Promise<unknown> } {
  let text = '';
  const read = async (): Promise<unknown> => {
    try {
      for await (const chunk of console.bytes) text += Buffer.from(chunk).toString('latin1');
      return undefined;
    } catch (error) {
      return error;
    }
  };
  return { text: () => text, ended: read() };
}

function openCountOf(path: string): number {
  return readdirSync('/proc/self/fd').filter((fd) => linkOf(`/proc/self/fd/${fd}`) === path).length;
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined; // the descriptor of the listing itself
  }
}
