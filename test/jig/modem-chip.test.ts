import { closeSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { RigError } from '../../src/base/errors.ts';
import type { Level, LineSettings } from '../../src/jig/gpio.ts';
import { type ModemLevels, ModemTty } from '../../src/jig/modem-chip.ts';
import { modemSource } from '../../src/jig/modem-port.ts';
import { openPty } from '../../src/native/pty.ts';
import { gpioContract } from './gpio-contract.ts';

/** A tty in memory, whose lines the contract calls `reset` and `boot`. */
class Adapter {
  levels: ModemLevels = { dtr: false, rts: false };
  isThere = true;
  openCount = 0;
  readonly changes: string[] = [];
  /** Each call that set the lines. */
  readonly calls: ModemLevels[] = [];
  readonly tty = new ModemTty({
    name: '/dev/ttyUSB0',
    isThere: () => this.isThere,
    open: (levels) => {
      if (!this.isThere) throw new RigError('unavailable', 'gone');
      this.openCount += 1;
      this.#see(levels);
      this.calls.push(levels);
      const use = (): void => {
        if (!this.isThere) throw new Error('EIO: ioctl');
      };
      return {
        set: (levels) => {
          use();
          this.#see(levels);
          this.calls.push(levels);
        },
        get: () => {
          use();
          return this.levels;
        },
        hasHungUp: () => !this.isThere,
        close: () => {
          this.openCount -= 1;
        },
      };
    },
  });

  unplug(): void {
    this.isThere = false;
    this.#see({ dtr: false, rts: false });
  }

  #see(levels: ModemLevels): void {
    if (levels.dtr !== this.levels.dtr) this.changes.push(`reset=${levels.dtr ? 1 : 0}`);
    if (levels.rts !== this.levels.rts) this.changes.push(`boot=${levels.rts ? 1 : 0}`);
    this.levels = levels;
  }
}

gpioContract(
  'modem lines',
  async () => {
    const adapter = new Adapter();
    return {
      open: () => adapter.tty.open(),
      levelAt: (offset) => ((offset === 0 ? adapter.levels.dtr : adapter.levels.rts) ? 1 : 0),
      driveFromBoard: () => {},
      changes: adapter.changes,
      unplug: async () => adapter.unplug(),
      plug: async () => {
        adapter.isThere = true;
      },
    };
  },
  { lines: ['dtr', 'rts'], cannot: ['be an input', 'let go'] },
);

function output(initial: Level | 'released', more: object = {}): LineSettings {
  return { direction: 'output', mode: 'push-pull', bias: 'as-is', initial, ...more };
}

describe('modem lines', () => {
  test('are opened once for all who hold some, at the first request, and closed with the last', async () => {
    const adapter = new Adapter();
    const first = await adapter.tty.open();
    const second = await adapter.tty.open();
    expect(adapter.openCount).toBe(0);
    await first.request('one', new Map([[0, output(1)]]));
    await second.request('two', new Map([[1, output(1)]]));
    expect(adapter.openCount).toBe(1);
    expect(adapter.calls).toEqual([
      { dtr: true, rts: false },
      { dtr: true, rts: true },
    ]);
    await first[Symbol.asyncDispose]();
    expect([adapter.openCount, adapter.levels]).toEqual([1, { dtr: false, rts: true }]);
    await second[Symbol.asyncDispose]();
    expect([adapter.openCount, adapter.levels]).toEqual([0, { dtr: false, rts: false }]);
  });

  test('change over in one call', async () => {
    const adapter = new Adapter();
    await using chip = await adapter.tty.open();
    await using lines = await chip.request(
      'a test',
      new Map([
        [0, output(1)],
        [1, output(0)],
      ]),
    );
    await lines.set(
      new Map([
        [0, 0],
        [1, 1],
      ]),
    );
    expect(adapter.calls).toEqual([
      { dtr: true, rts: false },
      { dtr: false, rts: true },
    ]);
  });

  test.each([
    [2, output(0), '/dev/ttyUSB0: line 2: expected 0 (dtr) or 1 (rts)'],
    [
      0,
      { direction: 'input', bias: 'as-is' },
      '/dev/ttyUSB0: dtr: expected an output, a modem line is no input',
    ],
    [0, output(0, { bias: 'pull-up' }), '/dev/ttyUSB0: dtr: expected no bias, an adapter has none'],
    [
      1,
      output(0, { mode: 'open-drain' }),
      '/dev/ttyUSB0: rts: expected push-pull, an adapter has nothing else',
    ],
    [1, output('released'), '/dev/ttyUSB0: rts: expected safe 0 or 1, an adapter always drives'],
  ] as [number, LineSettings, string][])(
    'refuse what they cannot: line %d as %j',
    async (offset, settings, message) => {
      const adapter = new Adapter();
      await using chip = await adapter.tty.open();
      await expect(chip.request('a test', new Map([[offset, settings]]))).rejects.toMatchObject({
        blame: 'config',
        message,
      });
      expect(adapter.openCount).toBe(0);
    },
  );

  test('are not those of a pty, which says so', async () => {
    const { masterFd, ttyFd, ttyPath } = openPty();
    const chip = await new ModemTty(modemSource(ttyPath)).open();
    await expect(chip.request('a test', new Map([[0, output(0)]]))).rejects.toMatchObject({
      blame: 'config',
      message: `${ttyPath}: expected a tty with modem lines, it has none`,
    });
    closeSync(ttyFd);
    closeSync(masterFd);
  });

  test('of an adapter that is not there are unavailable', async () => {
    await expect(new ModemTty(modemSource('/dev/none')).open()).rejects.toMatchObject({
      blame: 'unavailable',
      message: '/dev/none: the tty is not there',
    });
  });
});
