import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { sendNow } from '../../src/native/socket-send.ts';
import { tempFolder } from '../temp-folder.ts';

test('a socket is given what it has room for, in order, and then answers EAGAIN', async () => {
  const path = join(tempFolder(), 'socket');
  const server = createServer().listen(path);
  await once(server, 'listening');
  const sender = connect(path);
  const [reader] = (await once(server, 'connection')) as [Socket];
  onTestFinished(() => {
    sender.destroy();
    reader.destroy();
    server.close();
  });
  const text = Buffer.from(Array.from({ length: 1000 }, (_, line) => `line ${line}\n`).join(''));
  let sentBytes = 0;
  const fd = fdOf(sender);
  expect(() => {
    for (;;) sentBytes += sendNow(fd, text.subarray(sentBytes % text.length));
  }).toThrow('EAGAIN: sendto');
  let seen = Buffer.alloc(0);
  while (seen.length < sentBytes) {
    const [chunk] = (await once(reader, 'data')) as [Buffer];
    seen = Buffer.concat([seen, chunk]);
  }
  expect(seen.equals(Buffer.alloc(sentBytes, text))).toBe(true);
});

function fdOf(socket: Socket): number {
  return (socket as unknown as { _handle: { fd: number } })._handle.fd;
}
