import { closeSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { tryFlock } from '../../src/native/flock.ts';
import { makeRaw } from '../../src/native/termios.ts';
import type { Console } from '../../src/tty/console.ts';
import { following } from '../../src/tty/followed-console.ts';
import { openSerialConsole } from '../../src/tty/serial-console.ts';
import { openTtyConsole } from '../../src/tty/tty-console.ts';
import { Port } from '../peers/port.ts';
import { tempFolder } from '../temp-folder.ts';
import { consoleContract, readUntilEnd } from './console-contract.ts';

describe('a tty that may be away for no time at all', () => {
  const open = following(openTtyConsole, { withinMs: 0, lockedBy: 'nobody', onChange: () => {} });
  consoleContract(open, { flushesAtOpen: 'never' });
});

describe.each([
  ['own', openTtyConsole, 115_200],
  ['serialport', openSerialConsole, 31_250], // which flushes at standard rates
] as const)('a tty that comes back, driver %s', (_name, open, baudRate) => {
  let port: Port;
  let changes: string[];

  beforeEach(() => {
    port = new Port(`${tempFolder()}/port`);
    changes = [];
  });
  afterEach(() => port[Symbol.dispose]());

  const openIt = (withinMs = 10_000, lockedBy: 'the lease' | 'nobody' = 'nobody'): Promise<Console> =>
    following(open, { withinMs, lockedBy, onChange: (text) => changes.push(text) })(port.path, {
      label: 'tty0',
      baudRate,
      hangUpOnClose: 'off',
    });

  test('is read on, with what it said before it was opened, and sent to again', async () => {
    await using console = await openIt();
    const heard = readUntilEnd(console);
    port.say('one ');
    await expect.poll(heard.text).toBe('one ');
    port.unplug();
    await expect.poll(() => console.isAway).toBe(true);
    const sent = console.send(Buffer.from('hello'));
    port.plugIn();
    port.say('two');
    await expect.poll(heard.text).toBe('one two');
    await sent;
    expect(port.heard()).toBe('hello');
    expect(changes).toEqual([expect.stringMatching(/^tty0: the tty went away/), 'tty0: is back']);
  });

  test('may go and come any number of times', async () => {
    await using console = await openIt();
    const heard = readUntilEnd(console);
    for (let times = 1; times <= 5; times++) {
      port.say('x');
      await expect.poll(heard.text).toBe('x'.repeat(times));
      port.unplug();
      port.plugIn();
    }
  });

  test('is gone when it does not, for who reads and who sends', async () => {
    await using console = await openIt(100);
    const heard = readUntilEnd(console);
    port.unplug();
    await expect.poll(() => console.isAway).toBe(true);
    const why = {
      blame: 'hardware',
      message: expect.stringMatching(
        /^tty0: the tty went away .*, and was not back within 100 ms$/,
      ) as string,
    };
    await expect(console.send(Buffer.from('x'))).rejects.toMatchObject(why);
    expect(await heard.ended).toMatchObject(why);
  });

  test('is not touched before its lease has locked it', async () => {
    await using console = await openIt(100, 'the lease');
    const heard = readUntilEnd(console);
    port.unplug();
    await expect.poll(() => console.isAway).toBe(true);
    port.plugIn();
    expect(await heard.ended).toMatchObject({
      message: expect.stringContaining('(it is there, its lease has not locked it)') as string,
    });
  });

  test('and never was away is waited for until its lease has locked it, in no time too', async () => {
    await using console = await openIt(0, 'the lease');
    const heard = readUntilEnd(console);
    const { masterFd, ttyFd } = port.board;
    const next = port.plugIn();
    for (const fd of [masterFd, ttyFd]) closeSync(fd);
    await expect.poll(() => changes.length).toBe(1);
    makeRaw(next.ttyFd, { baudRate, hangUpOnClose: false });
    expect(tryFlock(next.ttyFd)).toBe(true);
    port.say('on');
    await expect.poll(heard.text).toBe('on');
  });

  test('is waited for at the open, too', async () => {
    port.unplug();
    const opening = openIt();
    await expect.poll(() => changes.length).toBe(1);
    port.plugIn();
    await using console = await opening;
    const heard = readUntilEnd(console);
    port.say('hello');
    await expect.poll(heard.text).toBe('hello');
  });

  test('a release while it is away, or comes back, ends the reading and the sending', async () => {
    for (const state of ['away', 'coming']) {
      const console = await openIt();
      const heard = readUntilEnd(console);
      port.unplug();
      await expect.poll(() => console.isAway).toBe(true);
      const sent = console.send(Buffer.from('x')).catch((error: unknown) => String(error));
      if (state === 'coming') port.plugIn();
      await console[Symbol.asyncDispose]();
      await console[Symbol.asyncDispose]();
      expect(await heard.ended).toBeUndefined();
      expect(await sent).toContain('released');
      if (state === 'away') port.plugIn();
    }
  });

  test('a send is given up at once while it is away', async () => {
    await using console = await openIt();
    readUntilEnd(console);
    port.unplug();
    await expect.poll(() => console.isAway).toBe(true);
    const stopper = new AbortController();
    const sending = console.send(Buffer.from('x'), stopper.signal);
    stopper.abort(new Error('enough'));
    await expect(sending).rejects.toThrow('enough');
  });
});
