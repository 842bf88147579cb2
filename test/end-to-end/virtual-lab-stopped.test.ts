import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '../peers/running-lab.ts';
import { tempFolder } from '../temp-folder.ts';

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
