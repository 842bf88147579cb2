import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { RigError } from '../../src/base/errors.ts';
import { type DeviceMatch, loadPool, matchDevices, type PooledDevice } from '../../src/device/pool.ts';
import { printedSeed } from '../peers/seeded-random.ts';

const folder = mkdtempSync(join(tmpdir(), 'pool-'));
const path = join(folder, 'conf');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const word = fc.oneof(
  fc.constantFrom(
    'uno',
    'uno1',
    'esp32',
    'esp32-heltec',
    '',
    ' ',
    'a,b',
    'x=1',
    'ä',
    '__proto__',
    'constructor',
  ),
  fc.string({ maxLength: 8 }),
);
const anything = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  word,
  fc.constantFrom('10m', '0s', 'forever', '/dev/null', 'http://pi:44000', -1, 1e99),
);
const key = fc.constantFrom(
  ...[
    'name',
    'type',
    'compatible',
    'tags',
    'ttys',
    'locks',
    'env',
    'jig',
    'wait',
    'maxLease',
    'usb',
    'probe',
  ],
  ...['reappear', 'lend', 'description', 'nmae', '__proto__', 'toString'],
);
const tty = fc.oneof(
  fc.constantFrom('/dev/ttyUSB0', '/dev/ttyUSB1', 'ttyUSB0', '/dev/\0'),
  fc.record(
    { tty: fc.constantFrom('/dev/ttyUSB0', '/dev/ttyUSB2'), name: word, rate: anything, lock: fc.boolean() },
    { requiredKeys: ['tty'] },
  ),
);
/** Mostly right, so that it is not always the first key that is refused. */
const device = fc.oneof(
  fc.record(
    {
      name: word,
      type: word,
      ttys: fc.array(tty, { maxLength: 3 }),
      compatible: fc.oneof(word, fc.array(word)),
      tags: fc.array(word),
      wait: anything,
      jig: anything,
      env: fc.dictionary(word, anything),
    },
    { requiredKeys: ['name', 'type', 'ttys'] },
  ),
  fc.dictionary(key, anything),
  anything,
);
const config = fc.oneof(
  fc.record({ devices: fc.array(device, { maxLength: 4 }) }),
  fc.record({ devices: fc.array(device, { maxLength: 4 }), home: anything, more: anything }),
  anything,
);
/** JSON, and what becomes of it when an editor or a disk goes wrong. */
const text = fc.oneof(
  config.map((value) => JSON.stringify(value)),
  fc.tuple(config, fc.nat(), word).map(([value, at, extra]) => {
    const whole = JSON.stringify(value) ?? '';
    const cut = at % (whole.length + 1);
    return whole.slice(0, cut) + extra + whole.slice(cut);
  }),
  fc.string({ maxLength: 60 }),
);

/** Every refusal is ours, of the blame that is documented, and one line. */
function refusal(error: unknown): undefined {
  expect(error).toBeInstanceOf(RigError);
  expect(error).toMatchObject({ blame: 'config' });
  expect((error as Error).message).not.toMatch(/[\n\r]/);
  expect((error as Error).message).not.toMatch(/\[object /);
  return undefined;
}

async function load(content: string): Promise<PooledDevice[] | undefined> {
  writeFileSync(path, content);
  return await loadPool(path).catch(refusal);
}

function match(
  pool: readonly PooledDevice[],
  type: string,
  tags: readonly string[],
): DeviceMatch | undefined {
  try {
    return matchDevices(pool, { type, tags });
  } catch (error) {
    return refusal(error);
  }
}

test('any text is a pool of devices, or one line about what is wrong with it', async () => {
  await fc.assert(
    fc.asyncProperty(text, async (content) => {
      await load(content);
    }),
    { numRuns: 2000, seed: printedSeed() },
  );
});

test('what a pool accepts has names of its own, and something to lock on each', async () => {
  await fc.assert(
    fc.asyncProperty(config, async (value) => {
      const pool = (await load(JSON.stringify(value))) ?? [];
      expect(new Set(pool.map(({ name }) => name)).size).toBe(pool.length);
      for (const { ttys, locks } of pool)
        expect(ttys.some(({ locked }) => locked) || locks.length > 0).toBe(true);
    }),
    { numRuns: 500, seed: printedSeed() },
  );
});

test('a request gets devices that answer to it and bear its tags, or one line', async () => {
  await fc.assert(
    fc.asyncProperty(config, word, fc.array(word, { maxLength: 2 }), async (value, type, tags) => {
      const found = match((await load(JSON.stringify(value))) ?? [], type, tags);
      if (!found) return;
      expect(found.devices.length).toBeGreaterThan(0);
      for (const each of found.devices) {
        expect(each.answersTo).toContain(found.prefix ?? type);
        for (const tag of tags) expect(each.tags).toContain(tag);
      }
    }),
    { numRuns: 1000, seed: printedSeed() },
  );
});
