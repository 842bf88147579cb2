import { expect, test } from 'vitest';
import { ChunkQueue, QUEUE_LIMIT_BYTES } from '../../src/tty/chunk-queue.ts';

test('what was pushed before the end is read before the end is told', async () => {
  const queue = new ChunkQueue(() => {});
  queue.push(Buffer.from('a'));
  queue.push(Buffer.from('b'));
  const reason = new Error('gone');
  queue.end(reason);
  queue.end();
  expect(queue.push(Buffer.from('c'))).toBe(false);
  const read: string[] = [];
  const reading = (async () => {
    for await (const chunk of queue) read.push(Buffer.from(chunk).toString());
  })();
  await expect(reading).rejects.toBe(reason);
  expect(read).toEqual(['a', 'b']);
});

test('a driver is told to stop when nobody reads, and to go on when all is read', async () => {
  let emptied = 0;
  const queue = new ChunkQueue(() => {
    emptied++;
    queue.end();
  });
  expect(queue.push(Buffer.alloc(QUEUE_LIMIT_BYTES - 1))).toBe(true);
  expect(queue.push(Buffer.alloc(1))).toBe(false);
  let sizeBytes = 0;
  for await (const chunk of queue) sizeBytes += chunk.length;
  expect(sizeBytes).toBe(QUEUE_LIMIT_BYTES);
  expect(emptied).toBe(1);
});

test('a reader that breaks off reads on where it stopped', async () => {
  const queue = new ChunkQueue(() => {});
  for (const text of ['a', 'b', 'c']) queue.push(Buffer.from(text));
  for await (const _chunk of queue) break;
  queue.end();
  const rest: string[] = [];
  for await (const chunk of queue) rest.push(Buffer.from(chunk).toString());
  expect(rest).toEqual(['b', 'c']);
});
