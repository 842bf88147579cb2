import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, createReadStream, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type DescriptorNews, DescriptorWatch } from '../../src/native/descriptor-watch.ts';
import { openPipe } from '../../src/native/pipe.ts';
import { until } from '../until.ts';

const bytes = Buffer.alloc(8);

test('what can be read is told of as long as it can, of each descriptor to who watches it', async () => {
  const watch = new DescriptorWatch();
  const [first, second] = [openPipe(), openPipe()];
  const told: string[] = [];
  const stops = [
    watch.watch(first.readFd, 'reading', () => told.push(`first ${readSync(first.readFd, bytes)}`)),
    watch.watch(second.readFd, 'reading', () => told.push(`second ${readSync(second.readFd, bytes)}`)),
  ];
  writeSync(second.writeFd, 'twelve bytes');
  await until(() => told.length === 2, 'both reads are told');
  writeSync(first.writeFd, '!');
  await until(() => told.length === 3, 'the third is told');
  expect(told).toEqual(['second 8', 'second 4', 'first 1']);
  for (const stop of stops) await stop();
  writeSync(first.writeFd, '!');
  for (const { readFd, writeFd } of [first, second]) for (const fd of [readFd, writeFd]) closeSync(fd);
  expect(told).toHaveLength(3);
});

test('the end is told once, also to who does not want to read', async () => {
  const watch = new DescriptorWatch();
  const { readFd, writeFd } = openPipe();
  const news: DescriptorNews[] = [];
  const stop = watch.watch(readFd, 'end', (each) => news.push(each));
  writeSync(writeFd, 'unread');
  closeSync(writeFd);
  await until(() => news.length > 0, 'the end is told');
  await stop();
  expect(news).toEqual([{ isReadable: false, isOver: true }]);
  closeSync(readFd);
});

test('a descriptor that is not watched any more is closed when it is closed', async () => {
  const watch = new DescriptorWatch();
  const [watched, other] = [openPipe(), openPipe()];
  const stopOther = watch.watch(other.readFd, 'reading', () => {});
  const stop = watch.watch(watched.writeFd, 'end', () => {});
  const reader = createReadStream('', { fd: watched.readFd }).resume();
  await stop();
  closeSync(watched.writeFd);
  await once(reader, 'end');
  await stopOther();
  for (const fd of [other.readFd, other.writeFd]) closeSync(fd);
});

test('a process that watches nothing any more ends by itself, and one that watches does at its exit', () => {
  const build = join(import.meta.dirname, '../../node_modules/esbuild/lib/main.js');
  const source = join(import.meta.dirname, '../../src/native/descriptor-watch.ts');
  const script = (end: string): string => `
    const { buildSync } = require(${JSON.stringify(build)});
    const { outputFiles: [file] } = buildSync({
      entryPoints: [${JSON.stringify(source)}], bundle: true, platform: 'node', write: false, external: ['koffi'],
      define: { 'import.meta.url': ${JSON.stringify(JSON.stringify(`file://${source}`))} },
    });
    const module = { exports: {} };
    new Function('module', 'require', file.text)(module, require);
    const stop = new module.exports.DescriptorWatch().watch(0, 'end', () => {});
    ${end}`;
  for (const end of ['void stop();', 'process.exit(0);']) {
    const { status, signal, stderr } = spawnSync(process.execPath, ['-e', script(end)], {
      stdio: ['pipe', 'pipe', 'pipe'],
      encoding: 'utf8',
      timeout: 20_000,
    });
    expect({ status, signal, stderr }).toEqual({ status: 0, signal: null, stderr: '' });
  }
});
