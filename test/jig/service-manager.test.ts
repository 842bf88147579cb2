import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ServiceManager } from '../../src/jig/service-manager.ts';
import { needsProgram } from '../peers/needs.ts';
import { tempFolder } from '../temp-folder.ts';
import { until } from '../until.ts';

/** A service manager with a watchdog, and what it has heard. */
async function listening(path: string): Promise<{ manager: ServiceManager; heard: () => string }> {
  const child = spawn('socat', ['-u', `UNIX-RECV:${path}`, '-'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  onTestFinished(async () => {
    child.kill('SIGKILL');
    if (child.signalCode === null) await once(child, 'close');
  });
  await until(() => existsSync(path), 'it listens');
  const env = { NOTIFY_SOCKET: path, WATCHDOG_USEC: '20000', WATCHDOG_PID: `${process.pid}` };
  const manager = new ServiceManager(env, () => {});
  onTestFinished(() => manager[Symbol.dispose]());
  return { manager, heard: () => text };
}

test('a jig one of whose chips hangs does not say that it lives, until that has answered', async (context) => {
  needsProgram(context, 'socat');
  const folder = tempFolder();
  const living = await listening(join(folder, 'living'));
  const hanging = await listening(join(folder, 'hanging'));
  let answer: () => void = () => {};
  let checks = 0;
  hanging.manager.watch(async () => {
    checks += 1;
    await new Promise<void>((resolve) => (answer = resolve));
  });
  living.manager.watch(async () => {});
  await until(() => living.heard().split('\n').length > 5, 'another has said it some times');
  expect(hanging.heard()).toBe('');
  expect(checks).toBe(1);
  answer();
  await until(() => hanging.heard() === 'WATCHDOG=1\n', 'it says it');
});

test('without a service manager nobody is told, and nothing asked', async () => {
  const remarks: string[] = [];
  for (const env of [{}, { NOTIFY_SOCKET: '' }, { WATCHDOG_USEC: '1' }]) {
    using manager = new ServiceManager(env, (text) => remarks.push(text));
    await manager.ready('ready');
    manager.watch(() => Promise.reject(new Error('asked')));
    await manager.stopping(0);
  }
  expect(remarks).toEqual([]);
});

test('a service manager that has gone is remarked once, and again after it was back', async (context) => {
  needsProgram(context, 'socat');
  const remarks: string[] = [];
  const path = join(tempFolder(), 'notify');
  const env = { NOTIFY_SOCKET: path, WATCHDOG_USEC: '2000' };
  using manager = new ServiceManager(env, (text) => remarks.push(text));
  let checks = 0;
  manager.watch(async () => void checks++);
  await until(() => checks > 5, 'it is told some times');
  expect(remarks).toEqual([expect.stringMatching(/notify: cannot tell the service manager: .*ENOENT/)]);
  const back = await listening(path);
  await until(() => back.heard() !== '', 'it hears again');
  rmSync(path);
  await until(() => remarks.length > 1, 'it has gone again');
  const then = checks;
  await until(() => checks > then + 5, 'it is told some times');
  expect(remarks).toHaveLength(2);
});

test('that power takes longer than systemd waits is told it, at the start and at the stop', async (context) => {
  needsProgram(context, 'socat');
  const { manager, heard } = await listening(join(tempFolder(), 'notify'));
  await manager.starting(0);
  await manager.starting(310_000);
  await manager.ready('ready');
  await manager.stopping(310_000);
  const text = `EXTEND_TIMEOUT_USEC=310000000
READY=1
STATUS=ready
STOPPING=1
EXTEND_TIMEOUT_USEC=310000000
`;
  await until(() => heard() === text, 'all is heard');
});
