import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { needsBoard } from '../peers/needs.ts';
import { isRunning } from '../peers/onlookers.ts';
import { ROOT } from '../peers/running-lab.ts';
import { tempFolder } from '../temp-folder.ts';
import { until } from '../until.ts';

test('a command that a stopped lab does not answer ends when told to', async () => {
  const path = join(tempFolder(), 'silent.chip');
  const silent = createServer();
  await new Promise<void>((resolve) => {
    silent.listen(path, resolve);
  });
  const accepted = once(silent, 'connection') as Promise<[Socket]>;
  const reset = spawn(join(ROOT, 'bin/sai-virtual-lab'), ['reset', '--chip', path]);
  const [asked] = await accepted;
  await once(asked, 'data');
  reset.kill('SIGTERM');
  expect(await once(reset, 'close')).toEqual([143, null]);
  expect(reset.stderr.read()).toBeNull();
  asked.destroy();
  silent.close();
});

test('a lab that is told to stop while an emulator does not answer stops, and leaves nothing', async (context) => {
  needsBoard(context, 'u-boot');
  const folder = tempFolder();
  const emulator = join(folder, 'qemu-system-aarch64');
  writeFileSync(emulator, '#!/bin/sh\necho $$ > "$STARTED"\nexec sleep 1000\n', { mode: 0o755 });
  const started = join(folder, 'started');
  const lab = spawn(join(ROOT, 'bin/sai-virtual-lab'), ['up', '--dir', join(folder, 'lab'), 'u-boot'], {
    env: { ...process.env, PATH: `${folder}:${process.env['PATH']}`, STARTED: started },
  });
  await until(() => existsSync(started) && readFileSync(started, 'utf8') !== '', 'the emulator runs');
  const pid = Number(readFileSync(started, 'utf8'));
  lab.kill('SIGTERM');
  expect(await once(lab, 'close')).toEqual([143, null]);
  expect(lab.stderr.read()).toBeNull();
  expect(isRunning(pid)).toBe(false);
  expect(existsSync(join(folder, 'lab'))).toBe(false);
});
