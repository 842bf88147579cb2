import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import {
  isAlive,
  readProcess,
  readProcessEnvironment,
  readProcessTable,
  withDescendants,
} from '../../src/base/process-table.ts';

test('a process, its parent and its start are found, whatever its name holds', async () => {
  const script = 'process.title = "a) S 1 (b"; console.log("up"); setInterval(() => {}, 1e6)';
  const child = spawn(process.execPath, ['-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { MARK: 'yes' },
    detached: true,
  });
  await once(child.stdout, 'data');
  const found = readProcess(child.pid ?? 0);
  expect(found).toMatchObject({ pid: child.pid, ppid: process.pid, name: 'a) S 1 (b' });
  expect(found).toMatchObject({ pgid: child.pid, sid: child.pid, foregroundPgid: -1 });
  expect(readProcessEnvironment(child.pid ?? 0)).toContain('MARK=yes');
  expect(found && isAlive(found)).toBe(true);
  expect(found && isAlive({ pid: found.pid, startTicks: found.startTicks - 1 })).toBe(false);
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(found && isAlive(found)).toBe(false);
  expect(readProcess(child.pid ?? 0)).toBeUndefined();
});

test('the descendants of this process include its grandchildren and not its parent', async () => {
  const child = spawn('sh', ['-c', 'sleep 1000 & echo $!; wait'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const grandchild = Number(String((await once(child.stdout, 'data'))[0]));
  const pids = withDescendants(readProcessTable(), [process.pid]).map((each) => each.pid);
  expect(pids).toEqual(expect.arrayContaining([process.pid, child.pid, grandchild]));
  expect(pids).not.toContain(process.ppid);
  process.kill(grandchild);
  await once(child, 'exit');
});
