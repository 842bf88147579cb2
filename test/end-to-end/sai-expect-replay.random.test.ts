import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { CHUNKINGS, DutOnPty } from '../peers/dut-on-pty.ts';
import { Workplace } from '../peers/expect-command.ts';
import { seededRandom } from '../peers/seeded-random.ts';

const SESSIONS = 6;

/** What a board may say at a time. */
const PIECES = ['ready\r\n', '> ', '$ ', 'rea', 'dy', '\r\n', '\xe9', 'ok\r\n', '*** PANIC: x\r\n', 'bad'];
const PAUSES_MS = [0, 0, 5, 30, 45, 55, 120];
const STEPS = [
  { expect: 'ready' },
  { regex: '^[>$] $' },
  { line: 'go' },
  'fresh',
  { expect: 'ok' },
  { break: '10ms' },
];

test('any script on two ttys comes to the same end from its recording, whatever was said and when', {
  timeout: 60_000,
}, async () => {
  const { pick } = seededRandom();
  const some = (count: number): unknown[] => Array.from({ length: count }, () => pick(STEPS));
  for (let index = 0; index < SESSIONS; index++) {
    await using place = new Workplace();
    await using one = new DutOnPty(pick(CHUNKINGS));
    await using two = new DutOnPty(pick(CHUNKINGS));
    place.lease(one.ttyPath, two.ttyPath);
    const steps = [...some(1), { parallel: { 0: some(2), 1: some(3) } }, ...some(1)];
    const script = join(place.folder, 's.json');
    const recording = join(place.folder, 'x.rec');
    writeFileSync(script, JSON.stringify({ steps, fail: ['bad'], timeout: '2s' }));
    const started = place.start(['--script', script, '--record', recording]);
    let isOver = false;
    void started.ended.then(() => {
      isOver = true;
    });
    for (let piece = 0; piece < 25 && !isOver; piece++) {
      pick([one, two]).say(Buffer.from(pick(PIECES), 'latin1'));
      await sleep(pick(PAUSES_MS));
    }
    const live = await started.ended;
    const replayed = await place.run('--script', script, '--replay', recording);
    // How long a step waited is measured twice.
    const timeless = ({ stderr, ...ended }: typeof live): object => ({
      ...ended,
      stderr: stderr.map((line) =>
        line.replace(/( within |; the whole run had ).*(?=; (?:last lines|nothing arrived))/, ' in time'),
      ),
    });
    expect(timeless(replayed), JSON.stringify(steps)).toEqual(timeless(live));
  }
});
