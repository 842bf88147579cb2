import { describe, expect, test } from 'vitest';
import type { RigError } from '../../src/base/errors.ts';
import type { EdgeEvent, GpioChip, Level, LineSettings } from '../../src/jig/gpio.ts';
import { until } from '../until.ts';

/** A chip, seen from both sides. Line 4, `led`, is driven by the board; nothing pulls the others but down. */
export interface GpioBench {
  open(): Promise<GpioChip>;
  /** What the board sees. */
  levelAt(offset: number): Level;
  driveFromBoard(offset: number, level: Level): void;
  /** Every change that the board has seen, as `reset=1`. */
  readonly changes: readonly string[];
  unplug(): Promise<void>;
  plug(): Promise<void>;
}

export const BENCH_LINES = ['reset', 'boot', 'power', 'spare', 'led'];
const RESET = 0;
const BOOT = 1;
const LED = 4;

/** What a back end cannot, by its nature. */
export interface ContractLimits {
  /** Names of its lines, of which the first two are `reset` and `boot`. */
  readonly lines?: readonly string[];
  readonly cannot?: readonly ('be an input' | 'let go' | 'go away')[];
}

/** What every back end promises. `make` gives a bench that the test's end takes down. */
export function gpioContract(
  name: string,
  make: () => Promise<GpioBench>,
  { lines: names = BENCH_LINES, cannot = [] }: ContractLimits = {},
): void {
  /** Defines nothing for what the back end cannot do on any machine. */
  const testUnless = (what: (typeof cannot)[number]): typeof test | (() => void) =>
    cannot.includes(what) ? () => {} : test;

  describe(`a GPIO chip, ${name}`, () => {
    test('lists its lines by offset, with their names and holders', async () => {
      const bench = await make();
      await using chip = await bench.open();
      await chip.request('a test', new Map([[BOOT, output(0)]]));
      const lines = await chip.lines();
      expect(lines.map((line) => line.name)).toEqual(names);
      expect(lines.map((line) => line.offset)).toEqual([...names.keys()]);
      expect(lines.map((line) => line.consumer !== undefined)).toEqual(names.map((_, at) => at === BOOT));
    });

    test('gives lines their first levels in one step, with none before', async () => {
      const bench = await make();
      await using chip = await bench.open();
      await using request = await chip.request(
        'a test',
        new Map([
          [RESET, output(1)],
          [BOOT, output(0)],
        ]),
      );
      expect(bench.changes).toEqual(['reset=1']);
      expect([await request.get(RESET), await request.get(BOOT)]).toEqual([1, 0]);
    });

    test('changes lines in the order in which it is told', async () => {
      const bench = await make();
      await using chip = await bench.open();
      await using request = await chip.request(
        'a test',
        new Map([
          [RESET, output(0)],
          [BOOT, output(0)],
        ]),
      );
      const told = [
        request.set(new Map([[RESET, 1]])),
        request.set(new Map([[BOOT, 1]])),
        request.set(
          new Map([
            [RESET, 0],
            [BOOT, 0],
          ]),
        ),
      ];
      await Promise.all(told);
      expect(bench.changes).toEqual(['reset=1', 'boot=1', 'reset=0', 'boot=0']);
    });

    test('takes all lines of a request or none', async () => {
      const bench = await make();
      await using first = await bench.open();
      await using second = await bench.open();
      await first.request('a test', new Map([[BOOT, output(0)]]));
      const both = new Map([
        [RESET, output(1)],
        [BOOT, output(1)],
      ]);
      expect(await blameOf(second.request('another', both))).toBe('busy');
      expect(bench.changes).toEqual([]);
      expect((await second.lines())[RESET]?.consumer).toBeUndefined();
    });

    test('refuses an offset that it has not', async () => {
      const bench = await make();
      await using chip = await bench.open();
      const unknown = new Map([
        [RESET, output(1)],
        [names.length, output(1)],
      ]);
      expect(await blameOf(chip.request('a test', unknown))).toBe('config');
      expect(bench.changes).toEqual([]);
    });

    testUnless('let go')('holds a line without driving it', async () => {
      const bench = await make();
      await using chip = await bench.open();
      await using request = await chip.request('a test', new Map([[RESET, output('released')]]));
      expect(bench.changes).toEqual([]);
      await request.set(new Map([[RESET, 1]]));
      await request.set(new Map([[RESET, 'released']]));
      expect(bench.changes).toEqual(['reset=1', 'reset=0']);
      await using other = await bench.open();
      expect(await blameOf(other.request('another', new Map([[RESET, output(1)]])))).toBe('busy');
    });

    testUnless('let go')(
      'drives an open-drain line low only, and an open-source line high only',
      async () => {
        const bench = await make();
        await using chip = await bench.open();
        const settings = { direction: 'output', bias: 'as-is', initial: 1 } as const;
        await using _request = await chip.request(
          'a test',
          new Map<number, LineSettings>([
            [RESET, { ...settings, mode: 'open-drain' }],
            [BOOT, { ...settings, mode: 'open-source' }],
          ]),
        );
        // The board's resistor pulls down: only what is really driven is high.
        expect([bench.levelAt(RESET), bench.levelAt(BOOT)]).toEqual([0, 1]);
      },
    );

    testUnless('be an input')('tells the level of an input, and each of its changes', async () => {
      const bench = await make();
      await using chip = await bench.open();
      await using request = await chip.request(
        'a test',
        new Map([[LED, { direction: 'input', bias: 'as-is' }]]),
      );
      const edges: EdgeEvent[] = [];
      const stop = request.onEdge((edge) => edges.push(edge));
      expect(await request.get(LED)).toBe(0);
      bench.driveFromBoard(LED, 1);
      await until(() => edges.length === 1, 'there is an edge');
      expect(await request.get(LED)).toBe(1);
      bench.driveFromBoard(LED, 0);
      await until(() => edges.length === 2, 'there is a second edge');
      expect(edges.map(({ offset, level }) => [offset, level])).toEqual([
        [LED, 1],
        [LED, 0],
      ]);
      expect(edges[0]?.monotonicMs).toBeLessThanOrEqual(edges[1]?.monotonicMs ?? 0);
      stop();
      bench.driveFromBoard(LED, 1);
      expect(await request.get(LED)).toBe(1);
      expect(edges).toHaveLength(2);
    });

    testUnless('be an input')('does not drive an input', async () => {
      const bench = await make();
      await using chip = await bench.open();
      await using request = await chip.request(
        'a test',
        new Map([[LED, { direction: 'input', bias: 'as-is' }]]),
      );
      expect(await blameOf(request.set(new Map([[LED, 1]])))).toBe('usage');
    });

    test('lets go of lines at their release, which may be said twice', async () => {
      const bench = await make();
      await using chip = await bench.open();
      const request = await chip.request('a test', new Map([[RESET, output(1)]]));
      await request[Symbol.asyncDispose]();
      await request[Symbol.asyncDispose]();
      expect(bench.changes).toEqual(['reset=1', 'reset=0']);
      expect(await blameOf(request.set(new Map([[RESET, 1]])))).toBe('usage');
      expect(await blameOf(request.get(RESET))).toBe('usage');
      await using _again = await chip.request('a test', new Map([[RESET, output(1)]]));
      expect(bench.levelAt(RESET)).toBe(1);
    });

    test('lets go of every line when it is closed', async () => {
      const bench = await make();
      const chip = await bench.open();
      await chip.request('a test', new Map([[RESET, output(1)]]));
      await chip.request('a test', new Map([[BOOT, output(1)]]));
      await chip[Symbol.asyncDispose]();
      await until(() => bench.levelAt(RESET) === 0 && bench.levelAt(BOOT) === 0, 'the lines fall');
    });

    testUnless('go away')(
      'that goes away ends its requests, and can be opened again once it is back',
      async () => {
        const bench = await make();
        await using chip = await bench.open();
        const request = await chip.request('a test', new Map([[RESET, output(1)]]));
        const gone = new Promise((resolve) => chip.gone.addEventListener('abort', resolve));
        await bench.unplug();
        await gone;
        expect((chip.gone.reason as RigError).blame).toBe('unavailable');
        expect(await blameOf(request.set(new Map([[RESET, 0]])))).toBe('unavailable');
        expect(await blameOf(request.get(RESET))).toBe('unavailable');
        expect(await blameOf(chip.request('a test', new Map([[BOOT, output(1)]])))).toBe('unavailable');
        expect(await blameOf(bench.open())).toBe('unavailable');
        await request[Symbol.asyncDispose]();
        await bench.plug();
        await using again = await bench.open();
        await using _request = await again.request('a test', new Map([[RESET, output(1)]]));
        expect(bench.levelAt(RESET)).toBe(1);
      },
    );
  });
}

function output(initial: Level | 'released'): LineSettings {
  return { direction: 'output', mode: 'push-pull', bias: 'as-is', initial };
}

async function blameOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'nobody';
  } catch (error) {
    return (error as RigError).blame;
  }
}
