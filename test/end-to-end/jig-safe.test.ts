import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, test } from 'vitest';
import { RecordingBoard } from '../peers/recording-board.ts';
import { RunningJig } from '../peers/running-jig.ts';
import { tempFolder } from '../temp-folder.ts';
import { until } from '../until.ts';

/** `reset` is safe high and active low; `power` is safe low; `mode` is let go of. */
function config(chip: string): object {
  return {
    targets: [
      {
        name: 'dut',
        gpios: [
          { name: 'reset', chip, line: 'reset', activeLow: true, safe: 0 },
          { name: 'power', chip, line: 'power', safe: 0 },
          { name: 'mode', chip, line: 'mode', safe: 'release' },
          { name: 'led', chip, line: 'led', direction: 'in' },
        ],
        sequences: [
          {
            name: 'steps',
            seq: [
              { gpio_name: 'power', value: 1 },
              { value: 20 },
              { gpio_name: 'reset', value: 1 },
              { value: 20 },
              { gpio_name: 'mode', value: 1 },
              { value: 20 },
              { gpio_name: 'reset', value: 0 },
              { value: 60_000 },
            ],
          },
          { name: 'power-up', seq: [{ gpio_name: 'power', value: 1 }] },
          {
            name: 'see',
            seq: [
              { gpio_name: 'power', value: 1 },
              { wait_for: 'led', value: 1, within: '50ms' },
            ],
          },
        ],
      },
    ],
  };
}

const SAFE = [
  { line: 'reset', drive: 1 },
  { line: 'power', drive: 0 },
  { line: 'mode', drive: 'released' },
];

interface Bench {
  readonly folder: string;
  readonly chip: string;
  readonly board: RecordingBoard;
  readonly config: object;
  /** Until the board has seen so many things done to it. */
  seen(count: number): Promise<void>;
}

function bench(): Bench {
  const folder = tempFolder();
  const chip = join(folder, 'dut.chip');
  const board = new RecordingBoard(['reset', 'power', 'mode'], ['led']);
  const seen = (count: number): Promise<void> =>
    until(() => board.lines.history.length >= count, `there are ${count} drives`);
  return { folder, chip, board, config: config(chip), seen };
}

describe('the lines of a board', () => {
  // Each change of `steps`: killed after it, before the next.
  test.each([1, 2, 3, 4])(
    'are safe first of all when a jig that was killed after change %d is back',
    async (change) => {
      const { folder, chip, board, config, seen } = bench();
      await using _server = await board.serve(chip);
      const jig = await RunningJig.start(folder, config);
      expect(board.lines.history).toEqual(SAFE);
      const client = jig.ask('/dut/steps');
      await seen(SAFE.length + change);
      expect(await jig.stop('SIGKILL')).toBe('SIGKILL');
      expect((await client).count).toBe(0);
      // The kernel let go of them.
      await seen(SAFE.length + change + SAFE.length);
      const before = board.lines.history.length;
      expect(board.lines.history.slice(-SAFE.length).map(({ drive }) => drive)).toEqual(
        Array(3).fill('released'),
      );
      const next = await RunningJig.start(folder, config);
      expect(board.lines.history.slice(before)).toEqual(SAFE);
      expect((await next.ask('/dut/power-up')).status).toBe(200);
    },
  );

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    'are made safe and let go of when the jig is stopped by %s in the middle, which its client is told',
    async (signal) => {
      const { folder, chip, board, config, seen } = bench();
      await using _server = await board.serve(chip);
      const jig = await RunningJig.start(folder, config);
      const client = jig.ask('/dut/steps');
      const queued = jig.ask('/dut/power-up?wait=1m');
      await seen(SAFE.length + 2);
      expect(await jig.stop(signal)).toBe(128 + { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 }[signal]);
      const stopped = { count: 1, status: 503, body: { error: 'dut: the jig stops', code: 'stopping' } };
      expect(await client).toEqual(stopped);
      expect(await queued).toEqual(stopped);
      await until(() => board.lines.history.at(-1)?.drive === 'released', 'the lines are let go of');
      const history = board.lines.history.slice(-2 * SAFE.length);
      expect(history.slice(0, SAFE.length)).toEqual(SAFE);
      expect(history.slice(SAFE.length).map(({ drive }) => drive)).toEqual(Array(3).fill('released'));
    },
  );

  test.each([1, 2, 3, 4])(
    'are made safe when the client goes away after change %d, if it asked for that',
    async (change) => {
      const { folder, chip, board, config, seen } = bench();
      await using _server = await board.serve(chip);
      const jig = await RunningJig.start(folder, config);
      await jig.ask('/dut/steps?on-disconnect=abort', { hangUp: seen(SAFE.length + change) });
      await until(
        () => isDeepStrictEqual(board.lines.history.slice(SAFE.length + change).slice(-SAFE.length), SAFE),
        'they are safe',
      );
      expect((await jig.ask('/dut/power-up?wait=5s')).status).toBe(200);
    },
  );

  test.each([1, 2, 3, 4])(
    'are made safe by an abort after change %d, also when nothing runs',
    async (change) => {
      const { folder, chip, board, config, seen } = bench();
      await using _server = await board.serve(chip);
      const jig = await RunningJig.start(folder, config);
      const client = jig.ask('/dut/steps');
      await seen(SAFE.length + change);
      const aborted = await jig.ask('/targets/dut/abort', { method: 'POST' });
      expect(aborted).toEqual({ count: 1, status: 200, body: { target: 'dut', state: 'safe' } });
      expect(board.lines.history.slice(-SAFE.length)).toEqual(SAFE);
      expect(await client).toMatchObject({ count: 1, status: 410, body: { code: 'aborted' } });
      expect((await jig.ask('/dut/power-up')).status).toBe(200);
      expect((await jig.ask('/targets/dut/abort', { method: 'POST' })).status).toBe(200);
      expect(board.lines.history.slice(-SAFE.length)).toEqual(SAFE);
    },
  );

  test('are made safe when the board does not do what a sequence waits for', async () => {
    const { folder, chip, board, config } = bench();
    await using _server = await board.serve(chip);
    const jig = await RunningJig.start(folder, config);
    expect(await jig.ask('/dut/see')).toMatchObject({
      status: 504,
      body: {
        error: 'dut: see: seq.1: wait for led=1 within 50 ms: it did not come; led is 0',
        code: 'not-in-time',
      },
    });
    expect(board.lines.history.slice(-SAFE.length)).toEqual(SAFE);
    board.lines.setLevel('led', 1);
    expect((await jig.ask('/dut/see')).status).toBe(200);
  });

  test('are taken again, at their safe values, when their chip went away and is back', async () => {
    const { folder, chip, board, config, seen } = bench();
    const server = await board.serve(chip);
    const jig = await RunningJig.start(folder, config);
    const client = jig.ask('/dut/steps');
    await seen(SAFE.length + 2);
    await server[Symbol.asyncDispose]();
    expect(existsSync(chip)).toBe(false);
    const gone = { count: 1, status: 503, body: { code: 'line-unavailable' } };
    expect(await client).toMatchObject({ ...gone, body: { error: `dut: ${chip}: the chip has gone` } });
    expect(await jig.ask('/dut/power-up')).toMatchObject(gone);
    expect(await jig.ask('/healthz')).toEqual({ count: 1, status: 503, body: { unavailable: ['dut'] } });
    expect((await jig.ask('/targets/dut')).body).toMatchObject({ state: 'unavailable' });
    const before = board.lines.history.length;
    await using _back = await board.serve(chip);
    await seen(before + SAFE.length);
    expect(board.lines.history.slice(before)).toEqual(SAFE);
    expect((await jig.ask('/dut/power-up')).status).toBe(200);
    expect((await jig.ask('/healthz')).status).toBe(200);
    expect(jig.stderr.split('\n').slice(-3)).toEqual([
      `sai-jig: dut: ${chip}: the chip has gone; waiting for it to return`,
      'sai-jig: dut: the chip is back, its lines are safe',
      '',
    ]);
  });
});
