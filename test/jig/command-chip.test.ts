import { describe, expect, test } from 'vitest';
import { CommandLines } from '../../src/jig/command-chip.ts';
import type { Level, LineSettings } from '../../src/jig/gpio.ts';
import { gpioContract } from './gpio-contract.ts';

const NAMES = ['reset', 'boot', 'power', 'spare'];

/** Relays whose commands are `NAME LEVEL`; `broken` fails. */
class Relays {
  readonly levels = new Map<string, string>();
  readonly changes: string[] = [];
  readonly ran: string[] = [];
  readonly broken = new Set<string>();
  readonly lines: CommandLines;
  #running = 0;

  constructor({ release = true } = {}) {
    const lines = NAMES.map((name) => ({
      name,
      high: [name, '1'],
      low: [name, '0'],
      release: release ? [name, 'z'] : undefined,
    }));
    this.lines = new CommandLines('chip relays', lines, async (argv) => {
      expect(++this.#running).toBe(1);
      await new Promise((resolve) => setImmediate(resolve));
      this.#running -= 1;
      this.ran.push(argv.join(' '));
      if (this.broken.has(argv.join(' '))) return { status: 3, stdout: '', stderr: 'no relay\n' };
      const [name = '', to] = argv;
      const level = to === '1' ? '1' : '0'; // pulled down
      if ((this.levels.get(name) ?? '0') !== level) this.changes.push(`${name}=${level}`);
      this.levels.set(name, level);
      return { status: 0, stdout: '', stderr: '' };
    });
  }
}

gpioContract(
  'commands',
  async () => {
    const relays = new Relays();
    return {
      open: () => relays.lines.open(),
      levelAt: (offset) => (relays.levels.get(NAMES[offset] ?? '') === '1' ? 1 : 0),
      driveFromBoard: () => {},
      changes: relays.changes,
      unplug: async () => {},
      plug: async () => {},
    };
  },
  { lines: NAMES, cannot: ['be an input', 'go away'] },
);

function output(initial: Level | 'released', mode: 'push-pull' | 'open-drain' = 'push-pull'): LineSettings {
  return { direction: 'output', mode, bias: 'as-is', initial };
}

describe('lines that are commands', () => {
  test('that fail say which, with its last words, and those before are let go of', async () => {
    const relays = new Relays();
    relays.broken.add('boot 1');
    await using chip = await relays.lines.open();
    const both = new Map([
      [0, output(1)],
      [1, output(1)],
    ]);
    await expect(chip.request('a test', both)).rejects.toMatchObject({
      blame: 'hardware',
      message: 'chip relays: boot: boot 1: expected status 0, got 3: "no relay"',
    });
    expect(relays.ran).toEqual(['reset 1', 'boot 1', 'reset z', 'boot z']);
    relays.broken.clear();
    await using _lines = await chip.request('a test', both);
    expect(relays.levels.get('boot')).toBe('1');
  });

  test('are let go of each, also where one fails', async () => {
    const relays = new Relays();
    const chip = await relays.lines.open();
    await chip.request(
      'a test',
      new Map([
        [0, output(1)],
        [1, output(1)],
      ]),
    );
    relays.broken.add('reset z');
    await expect(chip[Symbol.asyncDispose]()).rejects.toThrow(
      'chip relays: reset: reset z: expected status 0',
    );
    expect(relays.ran.slice(2)).toEqual(['reset z', 'boot z']);
    expect(relays.lines.lines().map(({ consumer }) => consumer)).toEqual(NAMES.map(() => undefined));
  });

  test('that cannot be let go of keep their levels, and say so in a config that wants it', async () => {
    const relays = new Relays({ release: false });
    const chip = await relays.lines.open();
    const message = 'chip relays: reset: expected a "release" command, to let go of it';
    for (const settings of [output('released'), output(1, 'open-drain')]) {
      await expect(chip.request('a test', new Map([[0, settings]]))).rejects.toMatchObject({
        blame: 'config',
        message,
      });
    }
    await chip.request('a test', new Map([[0, output(1)]]));
    await chip[Symbol.asyncDispose]();
    expect(relays.ran).toEqual(['reset 1']);
  });
});
