import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readProcessTable, withDescendants } from '../../src/base/process-table.ts';
import type { Board, LineEdge } from '../../src/virtual-lab/board.ts';
import { TtyUser } from './tty-user.ts';

/** What a board's firmware says, as far as the contract has to know. */
export interface BoardUnderTest {
  readonly start: (options: { readonly name: string; readonly dir: string }) => Promise<Board>;
  /** All that it says from its reset vector to its first prompt. */
  readonly bootText: (cause: 'power-on' | 'external') => string;
  readonly prompt: string;
  /** A line that it answers with `hello`. */
  readonly sayHello: string;
  /** Drives its output line to 1, and back to 0. */
  readonly output: { readonly line: string; readonly on: string; readonly off: string };
  /** An input line other than `reset`, and what it says when that goes to 0. */
  readonly input: { readonly line: string; readonly seen: string };
}

/** What every board of the lab does, whatever it is made of. */
export function boardContract({ start, bootText, prompt, sayHello, output, input }: BoardUnderTest): void {
  let dir: string;
  let board: Board;
  let tty: string;
  let edges: string[];
  let edgeSeen: () => void;

  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'sai-board-'));
    board = await start({ name: 'dut', dir });
    tty = board.ttys[0] ?? '';
    edges = [];
    edgeSeen = () => {};
    board.lines.onEdge(({ line, level }) => {
      edges.push(`${line} ${level}`);
      edgeSeen();
    });
  });
  afterEach(async () => {
    await board[Symbol.asyncDispose]();
    expect(readdirSync(dir)).toEqual([]);
    expect(descendants()).toEqual([]);
    rmSync(dir, { recursive: true });
  });

  const edge = async (text: string): Promise<void> => {
    while (!edges.includes(text)) {
      await new Promise<void>((resolve) => {
        edgeSeen = resolve;
      });
    }
  };

  test('its ttys are where it says, and the firmware answers there', async () => {
    expect(board.ttys.map((path) => path.startsWith(`${dir}/dut.tty`))).toEqual(board.ttys.map(() => true));
    await using user = new TtyUser(tty);
    expect(await user.until(prompt)).toBe(bootText('power-on'));
    user.type(`${sayHello}\r`);
    expect(await user.until(`hello${prompt}`)).toContain(`${sayHello}\r\nhello`);
  });

  test('what it says while nobody has the tty open is kept', async () => {
    {
      await using user = new TtyUser(tty);
      await user.until(prompt);
      user.type(`${output.on}\r`);
      await user.until(prompt);
    }
    await edge(`${output.line} 1`);
    await board.reset();
    await edge(`${output.line} 0`);
    await using user = new TtyUser(tty);
    expect(await user.until(prompt)).toBe(bootText('external'));
    expect(board.lostBytes).toBe(0);
  });

  test('without power it is deaf and silent; with power it boots', async () => {
    await using user = new TtyUser(tty);
    await user.until(prompt);
    await board.setPower('off');
    expect(existsSync(tty)).toBe(true);
    user.type(`${sayHello}\r`);
    await board.setPower('on');
    expect(await user.until(prompt)).toBe(bootText('power-on'));
  });

  test('held in reset it is deaf and silent; let go it boots', async () => {
    await using user = new TtyUser(tty);
    await user.until(prompt);
    board.lines.drive('reset', 0);
    await edge('reset 0');
    user.type(`${sayHello}\r`);
    await board.reset(); // the button on top of a line that is held changes nothing
    expect(board.lines.levelOf('reset')).toBe(0);
    board.lines.drive('reset', 'released');
    await edge('reset 1');
    expect(await user.until(prompt)).toBe(bootText('external'));
    expect(edges).toEqual(['reset 0', 'reset 1']);
  });

  test('its lines have directions and idle levels, and inputs can be driven', async () => {
    const { lines } = board;
    expect(lines.names).toEqual(expect.arrayContaining(['reset', input.line, output.line]));
    expect(lines.directionOf(input.line)).toBe('input');
    expect(lines.directionOf(output.line)).toBe('output');
    expect([lines.levelOf('reset'), lines.levelOf(input.line), lines.levelOf(output.line)]).toEqual([
      1, 1, 0,
    ]);
    await using user = new TtyUser(tty);
    await user.until(prompt);
    lines.drive(input.line, 0);
    await user.until(input.seen);
    expect(lines.levelOf(input.line)).toBe(0);
    lines.drive(input.line, 'released');
    expect(lines.levelOf(input.line)).toBe(1);
    await edge(`${input.line} 1`);
    expect(edges).toEqual([`${input.line} 0`, `${input.line} 1`]);
  });

  test('a line that is not there or not to be driven is refused', () => {
    const usage = expect.objectContaining({ blame: 'usage' });
    expect(() => board.lines.drive(output.line, 1)).toThrow(usage);
    expect(() => board.lines.drive('rest', 1)).toThrow(usage);
    expect(() => board.lines.levelOf('__proto__')).toThrow(usage);
  });

  test('a change by the firmware is seen at its time, until nobody listens', async () => {
    const seen: LineEdge[] = [];
    const stop = board.lines.onEdge((each) => seen.push(each));
    await using user = new TtyUser(tty);
    await user.until(prompt);
    const before = Number(process.hrtime.bigint()) / 1e6;
    user.type(`${output.on}\r`);
    await edge(`${output.line} 1`);
    const after = Number(process.hrtime.bigint()) / 1e6;
    expect(board.lines.levelOf(output.line)).toBe(1);
    expect(seen.map(({ line, level }) => ({ line, level }))).toEqual([{ line: output.line, level: 1 }]);
    expect(seen[0]?.monotonicMs).toBeGreaterThan(before - 50); // the chip may lag behind a busy host so much
    expect(seen[0]?.monotonicMs).toBeLessThan(after);
    stop();
    user.type(`${output.off}\r`);
    await edge(`${output.line} 0`);
    expect(seen).toHaveLength(1);
  });

  test('unplugged, users hang up and the path is gone; plugged in again, the session goes on', async () => {
    await using stale = new TtyUser(tty);
    await stale.until(prompt);
    stale.type(`${output.on}\r`);
    await stale.until(prompt);
    await board.unplug();
    await stale.hungUp;
    expect(existsSync(tty)).toBe(false);
    await board.plug();
    await using user = new TtyUser(tty);
    user.type(`${sayHello}\r`);
    expect(await user.until(prompt)).toBe(`${sayHello}\r\nhello${prompt}`);
    expect(board.lines.levelOf(output.line)).toBe(1);
    expect(edges).toEqual([`${output.line} 1`]);
  });

  test('when its process is killed it says that it is broken, and can still be disposed', async () => {
    const [child] = descendants();
    process.kill(child?.pid ?? 0, 'SIGKILL');
    expect(await board.broken).toMatchObject({ blame: 'unavailable' });
    await expect(board.setPower('off')).rejects.toMatchObject({ blame: 'unavailable' });
  });
}

function descendants(): { pid: number; name: string }[] {
  return withDescendants(readProcessTable(), [process.pid])
    .filter(({ pid, state, name }) => pid !== process.pid && state !== 'Z' && name !== 'esbuild')
    .map(({ pid, name }) => ({ pid, name }));
}
