import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { connectToUnixSocket, listenOnUnixSocket } from '../../src/base/unix-socket.ts';
import { tempFolder } from '../temp-folder.ts';

function server(): ReturnType<typeof createServer> {
  const made = createServer((socket) => socket.on('error', () => socket.destroy()).end('hello'));
  onTestFinished(() => {
    made.close();
  });
  return made;
}

test('a path that the kernel would cut is refused before anything listens', async () => {
  const path = `/tmp/${'x'.repeat(103)}`;
  await expect(listenOnUnixSocket(server(), path)).rejects.toMatchObject({
    blame: 'config',
    message: `${path}: expected a socket path of at most 107 bytes, got 108; use a shorter folder`,
  });
  expect(existsSync(path.slice(0, 107))).toBe(false);
});

test('a path of 107 bytes serves', async () => {
  const path = `${tempFolder()}/`.padEnd(107, 'x');
  await listenOnUnixSocket(server(), path);
  const socket = await connectToUnixSocket(path);
  expect(String((await once(socket, 'data'))[0])).toBe('hello');
});

test('the socket file of a killed server is taken over', async () => {
  const path = join(tempFolder(), 's');
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => console.log('up'))`;
  const killed = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(killed.stdout, 'data');
  killed.kill('SIGKILL');
  await once(killed, 'exit');
  expect(existsSync(path)).toBe(true);
  await listenOnUnixSocket(server(), path);
  (await connectToUnixSocket(path)).destroy();
});

test('the socket of a living server is left alone', async () => {
  const path = join(tempFolder(), 's');
  await listenOnUnixSocket(server(), path);
  await expect(listenOnUnixSocket(server(), path)).rejects.toMatchObject({ blame: 'config' });
  (await connectToUnixSocket(path)).destroy();
});

test('nobody there is said to be unavailable', async () => {
  const path = join(tempFolder(), 's');
  await expect(connectToUnixSocket(path)).rejects.toMatchObject({ blame: 'unavailable' });
});
