import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readProcessTable, withDescendants } from '../../src/base/process-table.ts';
import type { Board, BoardPlace, LineEdge } from '../../src/virtual-lab/board.ts';
import type { Level } from '../../src/wire/sim-chip.ts';
import { TtyUser } from './tty-user.ts';

/** What a board's firmware says, as far as the contract has to know. */
export interface BoardUnderTest {
  readonly start: (place: BoardPlace) => Promise<Board>;
  /** All that it says from its reset vector to its first prompt. */
  readonly bootText: (cause: 'power-on' | 'external') => RegExp;
  /** What a user does until the board answers; resolves with what it said until its first prompt. */
  readonly reachPrompt: (user: TtyUser) => Promise<string>;
  readonly prompt: string;
  /** A line that it answers with `hello`. */
  readonly sayHello: string;
  /** What becomes of its ttys with the power. */
  readonly withoutPower: 'ttys stay' | 'ttys go';
  /** Drives its output line to 1, and back to 0; undefined for a board without any. */
  readonly output?: { readonly line: string; readonly on: string; readonly off: string };
  /** An input line other than `reset`; what is typed so that the board tells of it, and what it says at the change. */
  readonly input?: {
    readonly line: string;
    readonly idle: Level;
    readonly watch: string;
    readonly seen: string;
  };
}

/** What every board of the lab does, whatever it is made of. */
export function boardContract(firmware: BoardUnderTest): void {
  describe('as every board', () => defineContract(firmware));
}

function defineContract(firmware: BoardUnderTest): void {
  const { start, bootText, reachPrompt, prompt, sayHello, withoutPower, output, input } = firmware;
  let dir: string;
  let board: Board;
  let tty: string;
  let edges: string[];
  let edgeSeen: () => void;

  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'sai-board-'));
    board = await start({ name: 'dut', dir, env: process.env });
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
    expect(board.ttys).toEqual(board.ttys.map((_, index) => `${dir}/dut.tty${index}`));
    await using user = new TtyUser(tty);
    expect(await reachPrompt(user)).toMatch(bootText('power-on'));
    user.type(`${sayHello}\r`);
    expect(await user.until(`hello${prompt}`)).toContain(`${sayHello}\r\nhello`);
  });

  test('what it says while nobody has the tty open is kept', async () => {
    {
      await using user = new TtyUser(tty);
      await reachPrompt(user);
    }
    await board.reset();
    await edge('reset 1');
    await using user = new TtyUser(tty);
    expect(await reachPrompt(user)).toMatch(bootText('external'));
    expect(board.lostBytes).toBe(0);
  });

  test('without power it is deaf and silent; with power it boots', async () => {
    await using user = new TtyUser(tty);
    await reachPrompt(user);
    await board.setPower('off');
    expect(existsSync(tty)).toBe(withoutPower === 'ttys stay');
    if (withoutPower === 'ttys stay') user.type(`${sayHello}\r`);
    else await user.hungUp;
    await board.setPower('on');
    await using again = withoutPower === 'ttys stay' ? user : new TtyUser(tty);
    expect(await reachPrompt(again)).toMatch(bootText('power-on'));
  });

  test('held in reset it is deaf and silent; let go it boots', async () => {
    await using user = new TtyUser(tty);
    await reachPrompt(user);
    board.lines.drive('reset', 0);
    await edge('reset 0');
    user.type(`${sayHello}\r`);
    await board.reset(); // the button on top of a line that is held changes nothing
    expect(board.lines.levelOf('reset')).toBe(0);
    board.lines.drive('reset', 'released');
    await edge('reset 1');
    expect(await reachPrompt(user)).toMatch(bootText('external'));
    expect(edges).toEqual(['reset 0', 'reset 1']);
  });

  test('every byte that is typed passes the place where faults are injected', async () => {
    await using faulty = await start({
      name: 'faulty',
      dir,
      env: process.env,
      passages: { toBoard: (bytes, pass) => pass(Buffer.from(bytes.toString().toLowerCase())) },
    });
    await using user = new TtyUser(faulty.ttys[0] ?? '');
    await reachPrompt(user);
    user.type(`${sayHello.toUpperCase()}\r`);
    expect(await user.until(`hello${prompt}`)).toContain(`${sayHello}\r\nhello`);
  });

  test('a line that is not there is refused', () => {
    const usage = expect.objectContaining({ blame: 'usage' });
    expect(() => board.lines.drive('rest', 1)).toThrow(usage);
    expect(() => board.lines.levelOf('__proto__')).toThrow(usage);
  });

  test('unplugged, users hang up and the path is gone; plugged in again, the session goes on', async () => {
    await using stale = new TtyUser(tty);
    await reachPrompt(stale);
    await board.unplug();
    await stale.hungUp;
    expect(existsSync(tty)).toBe(false);
    await board.plug();
    await using user = new TtyUser(tty);
    user.type(`${sayHello}\r`);
    expect(await user.until(prompt)).toBe(`${sayHello}\r\nhello${prompt}`);
    expect(edges).toEqual([]);
  });

  test('when its process is killed it says that it is broken, and can still be disposed', async () => {
    const [child] = descendants();
    process.kill(child?.pid ?? 0, 'SIGKILL');
    expect(await board.broken).toMatchObject({ blame: 'unavailable' });
    await expect(board.setPower('off')).rejects.toMatchObject({ blame: 'unavailable' });
  });

  if (input) {
    test('an input has a level when nobody drives it, and the firmware sees when somebody does', async () => {
      const { lines } = board;
      const { line, idle, watch, seen } = input;
      const driven = idle === 1 ? 0 : 1;
      expect([lines.directionOf('reset'), lines.levelOf('reset')]).toEqual(['input', 1]);
      expect([lines.directionOf(line), lines.levelOf(line)]).toEqual(['input', idle]);
      await using user = new TtyUser(tty);
      await reachPrompt(user);
      user.type(watch);
      lines.drive(line, driven);
      await user.until(seen);
      expect(lines.levelOf(line)).toBe(driven);
      lines.drive(line, 'released');
      expect(lines.levelOf(line)).toBe(idle);
      await edge(`${line} ${idle}`);
      expect(edges).toEqual([`${line} ${driven}`, `${line} ${idle}`]);
    });
  }

  if (output) {
    test('an output is not to be driven from outside', () => {
      expect(board.lines.names).toContain(output.line);
      expect([board.lines.directionOf(output.line), board.lines.levelOf(output.line)]).toEqual(['output', 0]);
      expect(() => board.lines.drive(output.line, 1)).toThrow(expect.objectContaining({ blame: 'usage' }));
    });

    test('a change by the firmware is seen at its time, until nobody listens', async () => {
      const seen: LineEdge[] = [];
      const stop = board.lines.onEdge((each) => seen.push(each));
      await using user = new TtyUser(tty);
      await reachPrompt(user);
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

    test('what the firmware drives stays when the cable goes, and falls at a reset', async () => {
      await using user = new TtyUser(tty);
      await reachPrompt(user);
      user.type(`${output.on}\r`);
      await edge(`${output.line} 1`);
      await board.unplug();
      await board.plug();
      expect(board.lines.levelOf(output.line)).toBe(1);
      await board.reset();
      await edge(`${output.line} 0`);
      expect(board.lines.levelOf(output.line)).toBe(0);
    });
  }
}

function descendants(): { pid: number; name: string }[] {
  return withDescendants(readProcessTable(), [process.pid])
    .filter(({ pid, state, name }) => pid !== process.pid && state !== 'Z' && name !== 'esbuild')
    .map(({ pid, name }) => ({ pid, name }));
}
