import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { beforeEach, expect, test } from 'vitest';
import type { DutOnPty } from '../peers/dut-on-pty.ts';
import { type Workplace, workplaceOfTest } from '../peers/expect-command.ts';

let place: Workplace;
let dut: DutOnPty;

beforeEach(() => {
  place = workplaceOfTest();
  dut = place.newDut().on('version\n', '1.2.3\r\n');
});

const ASK = ['--line', 'version', '--expect', '1.2.3'];

/** A program that has the tty locked until it is ended. */
async function foreignHolder(): Promise<{ pid: number; end: () => Promise<void> }> {
  const script = 'echo $$; exec sleep 1000';
  const child = spawn('flock', [dut.ttyPath, 'sh', '-c', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const end = async (): Promise<void> => {
    process.kill(Number(line.toString()));
    await once(child, 'exit');
  };
  return { pid: child.pid ?? 0, end };
}

test('a tty that another program has locked is not read: 75 when time is up, naming that program', async () => {
  const holder = await foreignHolder();
  const ended = await place.run('--tty', dut.ttyPath, ...ASK, '--timeout', '300ms');
  expect(ended.status).toBe(75);
  expect(ended.stderr.at(-1)).toMatch(
    new RegExp(
      `expected a free tty, process ${holder.pid} \\(flock ${dut.ttyPath} sh -c .*\\) has locked it`,
    ),
  );
  expect(dut.heard()).toBe('');
  expect(place.findings).toMatchObject([{ verdict: 'infra', blame: 'busy' }]);
  await holder.end();
});

test('a tty that comes free in time is read', async () => {
  const holder = await foreignHolder();
  const { child, ended } = place.start(['--tty', dut.ttyPath, ...ASK]);
  const [line] = (await once(child.stderr, 'data')) as [Buffer];
  expect(line.toString()).toContain(`waiting for process ${holder.pid} (flock `);
  await holder.end();
  expect((await ended).status).toBe(0);
});

test('nobody else gets the tty while it is read', async () => {
  const { child, ended } = place.start(['--tty', dut.ttyPath, '--expect', 'go', '--echo']);
  dut.say('up\r\n');
  await once(child.stdout, 'data');
  const other = spawn('flock', ['-n', dut.ttyPath, 'true'], { stdio: 'ignore' });
  expect(await once(other, 'exit')).toEqual([1, null]);
  dut.say('go');
  expect((await ended).status).toBe(0);
});

test.each([
  ['flock(1) around the command', (tty: string) => ['flock', tty]],
  [
    'a lock on a descriptor of the shell',
    (tty: string) => ['sh', '-c', `exec 9<>${tty}; flock 9; "$@"; exit $?`, 'sh'],
  ],
])('%s is a lock that was taken for it', async (_name, wrapper) => {
  const { ended } = place.start(['--tty', dut.ttyPath, ...ASK], wrapper(dut.ttyPath));
  expect(await ended).toMatchObject({ status: 0, stderr: [] });
});
