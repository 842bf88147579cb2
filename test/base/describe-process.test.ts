import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { describeProcess } from '../../src/base/describe-process.ts';

async function started(...args: readonly string[]): Promise<ChildProcess & { pid: number }> {
  const child = spawn(process.execPath, [...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(async () => {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  });
  await once(child.stdout, 'data');
  return child as typeof child & { pid: number };
}

const WAITS = 'console.log("up"); process.stdin.resume()';

test.each([
  [
    ['--no-memory-reducer', '--stack-size=900', '-e', WAITS, 'x'],
    ['-e', WAITS, 'x'],
  ],
  [
    ['--import', 'data:text/javascript,0', '-e', WAITS],
    ['--import', 'data:text/javascript,0', '-e', WAITS],
  ],
  [
    ['-e', WAITS, '--', '--no-follow'],
    ['-e', WAITS, '--', '--no-follow'],
  ],
])('a process started with %j is told without the flags of Node.js', async (args, shown) => {
  const { pid } = await started(...args);
  expect(describeProcess(pid)).toBe(`process ${pid} (${[process.execPath, ...shown].join(' ')})`);
});
