import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { PtyProxy, type PtyProxyOptions } from '../../src/virtual-lab/pty-proxy.ts';
import { TtyUser } from './tty-user.ts';

let dir: string;
let path: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sai-pty-'));
  path = join(dir, 'uno-1.tty0');
});
afterEach(() => rmSync(dir, { recursive: true }));

/** A proxy and what the board has got so far. */
function proxyWithBoard(passages?: PtyProxyOptions['passages']): {
  proxy: PtyProxy;
  board: { text: string; got: (text: string) => Promise<void> };
} {
  let arrived = (): void => {};
  const board = {
    text: '',
    got: async (text: string): Promise<void> => {
      while (!board.text.includes(text)) {
        await new Promise<void>((resolve) => {
          arrived = resolve;
        });
      }
    },
  };
  const proxy = new PtyProxy(path, {
    toBoard: (bytes) => {
      board.text += bytes.toString('latin1');
      arrived();
    },
    ...(passages && { passages }),
  });
  return { proxy, board };
}

test('bytes pass unchanged in both directions', async () => {
  const { proxy, board } = proxyWithBoard();
  using _ = proxy;
  await using user = new TtyUser(path);
  user.type('\x03\r\x00\xff!');
  await board.got('!');
  expect(board.text).toBe(Buffer.from('\x03\r\x00\xff!').toString('latin1'));
  proxy.send(Buffer.from('a\r\n\x00\xffb', 'latin1'));
  expect(await user.until('b')).toBe('a\r\n\x00\xffb');
});

test('what the board said before anybody looked is kept up to a bound, and the rest counted as lost', async () => {
  const { proxy } = proxyWithBoard();
  using _ = proxy;
  const line = (index: number): string => `${String(index).padStart(15, '0')}\n`;
  const lines = 8192;
  for (let index = 0; index < lines; index++) proxy.send(Buffer.from(line(index)));
  const kept = lines * 16 - proxy.lostBytes;
  expect(kept).toBeGreaterThanOrEqual(64 * 1024 + 4096);
  expect(proxy.lostBytes).toBeGreaterThan(0);
  await using user = new TtyUser(path);
  const expected = Array.from({ length: lines }, (_, index) => line(index))
    .join('')
    .slice(0, kept);
  expect(await user.until(expected.slice(-17))).toBe(expected);
  const lostBefore = proxy.lostBytes;
  proxy.send(Buffer.from('again'));
  expect(await user.until('again')).toBe('again');
  expect(proxy.lostBytes).toBe(lostBefore);
});

test('unplugging hangs the user up and takes the path away; plugging gives the same path back', async () => {
  const { proxy, board } = proxyWithBoard();
  using _ = proxy;
  const before = readlinkSync(path);
  await using stale = new TtyUser(path);
  proxy.unplug();
  await stale.hungUp;
  expect(readdirSync(dir)).toEqual([]);
  proxy.send(Buffer.from('into the void'));
  expect(proxy.lostBytes).toBe(13);
  proxy.plug();
  proxy.plug();
  expect(readlinkSync(path)).toMatch(/^\/dev\/pts\/\d+$/);
  await using user = new TtyUser(path);
  user.type('back');
  await board.got('back');
  proxy.send(Buffer.from('here'));
  expect(await user.until('here')).toBe('here');
  expect(before).toMatch(/^\/dev\/pts\/\d+$/);
});

test('what nobody had read when the cable is taken out is counted as lost', () => {
  const { proxy } = proxyWithBoard();
  using _ = proxy;
  proxy.send(Buffer.alloc(60_000, 'x')); // more than the kernel holds
  expect(proxy.lostBytes).toBe(0);
  proxy.unplug();
  expect(proxy.lostBytes).toBe(60_000);
});

test('while the board does not take input it waits in the tty', async () => {
  const { proxy, board } = proxyWithBoard();
  using _ = proxy;
  await using user = new TtyUser(path);
  user.type('a');
  await board.got('a');
  proxy.setInput('paused');
  user.type('b');
  proxy.send(Buffer.from('still talking'));
  await user.until('still talking');
  expect(board.text).toBe('a');
  proxy.setInput('flowing');
  await board.got('ab');
});

test('every byte passes the place where faults are injected', async () => {
  const { proxy, board } = proxyWithBoard({
    toTty: (bytes, pass) => pass(Buffer.from(bytes.toString().toLowerCase())),
    toBoard: (bytes, pass) => pass(Buffer.from(bytes.toString().toUpperCase())),
  });
  using _ = proxy;
  await using user = new TtyUser(path);
  proxy.send(Buffer.from('Shout'));
  expect(await user.until('shout')).toBe('shout');
  user.type('Abc');
  await board.got('ABC');
});

test('the stale link of a killed lab is replaced, and a new one removed at the end', () => {
  symlinkSync('/dev/pts/987654', path);
  {
    using _ = proxyWithBoard().proxy;
    expect(readlinkSync(path)).not.toBe('/dev/pts/987654');
  }
  expect(existsSync(path)).toBe(false);
  expect(readdirSync(dir)).toEqual([]);
});

test('a link that has become somebody else’s is left alone at the end', () => {
  const { proxy } = proxyWithBoard();
  rmSync(path);
  symlinkSync('/dev/null', path);
  proxy[Symbol.dispose]();
  expect(readlinkSync(path)).toBe('/dev/null');
});

test.each([
  ['file', () => writeFileSync(path, 'mine'), 'a file that is not a link'],
  ['link', () => symlinkSync('/dev/null', path), 'a link to /dev/null'],
])('a foreign %s at the path is refused and kept', (_kind, occupy, found) => {
  occupy();
  const before = lstatSync(path).ino;
  expect(() => proxyWithBoard()).toThrow(
    expect.objectContaining({
      blame: 'config',
      message: `${path}: expected a free place for a tty's link, found ${found}; move it away or use another folder`,
    }),
  );
  expect(lstatSync(path).ino).toBe(before);
  expect(readdirSync(dir)).toHaveLength(1);
});
