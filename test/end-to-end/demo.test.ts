import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readProcessEnvironment, readProcessTable } from '../../src/base/process-table.ts';
import { ROOT } from '../peers/running-lab.ts';
import { tempFolder } from '../temp-folder.ts';
import { until } from '../until.ts';

/** Every process that was started with this mark in its environment, the demo's daemons included. */
function marked(mark: string): string[] {
  return readProcessTable()
    .filter((each) => each.state !== 'Z' && readProcessEnvironment(each.pid).includes(`DEMO_MARK=${mark}`))
    .map((each) => `${each.pid} ${each.name}`);
}

function startDemo(
  scratch: string,
  args: readonly string[],
): {
  exited: Promise<unknown[]>;
  said: (text: RegExp) => Promise<void>;
  interrupt: () => void;
  output: () => string;
} {
  const child = spawn(process.execPath, [join(ROOT, 'scripts/demo.mjs'), ...args], {
    env: { ...process.env, TMPDIR: scratch, DEMO_MARK: scratch },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const take = (chunk: Buffer): void => {
    output += chunk.toString();
  };
  child.stdout.on('data', take);
  child.stderr.on('data', take);
  return {
    exited: once(child, 'close'),
    said: async (text) => {
      while (!text.test(output)) await once(child.stdout, 'data');
    },
    interrupt: () => child.kill('SIGINT'),
    output: () => output,
  };
}

test('the demo passes its tests, says so, and leaves nothing behind', { timeout: 60_000 }, async () => {
  const scratch = tempFolder();
  const demo = startDemo(scratch, []);
  expect(await demo.exited, demo.output()).toEqual([0, null]);
  expect(demo.output()).toMatch(/^demo: 5 of 5 tests passed on the virtual Uno, in .* s; status 0$/m);
  const [log, ...others] = readdirSync(scratch);
  expect(others).toEqual([]);
  const tty0 = join(scratch, log ?? '', 'tty0.log');
  expect(demo.output()).toMatch(
    new RegExp(`^demo: the log of the run is in ${join(scratch, log ?? '')}: .*tty0\\.log$`, 'm'),
  );
  expect(readFileSync(tty0, 'utf8')).toContain('sai-uno 1.0.0 (reset: external)');
  const jig = readFileSync(join(scratch, log ?? '', 'jig.log'), 'utf8');
  expect(jig).toMatch(
    /^sai-expect: reset: asked for\nsai-expect: reset: done in [\d.]+ ms, at most [\d.]+ ms late\n/,
  );
  expect(jig).toMatch(/^sai-expect: press: done in /m);
  expect(marked(scratch)).toEqual([]);
});

test('Ctrl-C in the middle of a test ends the demo with 130 and leaves nothing behind', {
  timeout: 60_000,
}, async () => {
  const scratch = tempFolder();
  const demo = startDemo(scratch, []);
  await demo.said(/Start 1: boot_banner/);
  demo.interrupt();
  expect(await demo.exited, demo.output()).toEqual([130, null]);
  expect(readdirSync(scratch).filter((name) => !name.startsWith('sai-demo-log-'))).toEqual([]);
  expect(marked(scratch)).toEqual([]);
});

test('stopped before a test has begun, the demo leaves no log folder without a log', {
  timeout: 60_000,
}, async () => {
  const scratch = tempFolder();
  const demo = startDemo(scratch, []);
  await demo.said(/^demo: \$ sai-logproxy/m);
  const hasBegun = (): boolean =>
    readdirSync(scratch).some((folder) => existsSync(join(scratch, folder, 'run.json')));
  await until(hasBegun, 'the log has begun');
  demo.interrupt();
  expect(await demo.exited, demo.output()).toEqual([130, null]);
  const isEmpty = (folder: string): boolean =>
    readdirSync(join(scratch, folder)).every((name) => name === 'run.json');
  expect(readdirSync(scratch).filter(isEmpty)).toEqual([]);
  expect(marked(scratch)).toEqual([]);
});

test('--keep leaves the board up, says what to try, and ends at Ctrl-C', { timeout: 60_000 }, async () => {
  const scratch = tempFolder();
  const demo = startDemo(scratch, ['--keep']);
  await demo.said(/The board stays up until Ctrl-C/);
  expect(marked(scratch).length).toBeGreaterThan(1);
  demo.interrupt();
  expect(await demo.exited, demo.output()).toEqual([130, null]);
  expect(readdirSync(scratch).filter((name) => !name.startsWith('sai-demo-log-'))).toEqual([]);
  expect(marked(scratch)).toEqual([]);
});

test('an unknown option is refused', async () => {
  const demo = startDemo(tempFolder(), ['--kep']);
  expect(await demo.exited).toEqual([64, null]);
  expect(demo.output()).toBe('demo: expected --keep or nothing, got --kep\n');
});
