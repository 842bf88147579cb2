import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { isAlive } from '../../src/base/process-table.ts';
import { type KnownProcess, knownProcess, ProcessTree, signalEach } from '../../src/device/process-tree.ts';

async function sleeper(env: NodeJS.ProcessEnv = {}): Promise<KnownProcess> {
  const child = spawn('sleep', ['1000'], { env: { PATH: process.env['PATH'], ...env }, detached: true });
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child, 'spawn');
  const known = child.pid === undefined ? undefined : knownProcess(child.pid);
  if (!known) throw new Error('it sleeps');
  return known;
}

/** As somebody would remember it who knew the process that had this pid before. */
const formerOf = ({ pid, startTicks }: KnownProcess): KnownProcess => ({ pid, startTicks: startTicks - 1 });

test('a process that got the pid of a known one is neither found nor signalled', async () => {
  const stranger = await sleeper();
  const tree = new ProcessTree({ variable: 'MARK=none', inherited: 1 }, 0);
  tree.know(formerOf(stranger));
  expect(tree.scan()).toEqual([]);
  expect(signalEach([formerOf(stranger)], 'SIGKILL')).toEqual([]);
  expect(isAlive(stranger)).toBe(true);
  expect(isAlive(formerOf(stranger))).toBe(false);
});

test('a process that bears the mark but is older than the lease is not found', async () => {
  const mark = { variable: `MARK=${process.pid}`, inherited: 1 };
  const old = await sleeper({ MARK: String(process.pid) });
  const pids = (sinceTicks: number): number[] =>
    new ProcessTree(mark, sinceTicks).scan().map(({ pid }) => pid);
  expect(pids(old.startTicks)).toEqual([old.pid]);
  expect(pids(old.startTicks + 1)).toEqual([]);
});

test('a process that gave up its parents, session and environment bears what it has inherited', async () => {
  const mark = Date.now();
  const daemon = 'env -i setsid sh -c "echo \\$\\$; exec sleep 1000" &';
  const { stdout } = spawn('prlimit', [`--locks=${mark}:unlimited`, 'sh', '-c', daemon]);
  const [said] = (await once(stdout, 'data')) as [Buffer];
  const pid = Number(said.toString());
  onTestFinished(() => void process.kill(pid, 'SIGKILL'));
  const tree = new ProcessTree({ variable: 'MARK=none', inherited: mark }, 0);
  expect(tree.scan().map((each) => each.pid)).toEqual([pid]);
});
