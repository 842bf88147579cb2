import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startUnoBoard } from '../../src/virtual-lab/uno-board.ts';
import { boardContract } from './board-contract.ts';
import { TtyUser } from './tty-user.ts';

boardContract({
  start: startUnoBoard,
  bootText: (cause) => new RegExp(`^\\r\\nsai-uno 1\\.0\\.0 \\(reset: ${cause}\\)\\r\\nready\\r\\n> $`),
  reachPrompt: (user) => user.until('\r\n> '),
  prompt: '\r\n> ',
  sayHello: 'echo hello',
  withoutPower: 'ttys stay',
  output: { line: 'led', on: 'led on', off: 'led off' },
  input: { line: 'button', idle: 1, watch: '', seen: 'button pressed' },
});

test('more than the chip is given ahead arrives all the same, at the pace of its wire', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'sai-board-'));
  {
    await using board = await startUnoBoard({ name: 'dut', dir });
    await using user = new TtyUser(board.ttys[0] ?? '');
    await user.until('\r\n> ');
    // The shell shows the first 127 of a line and drops the rest: only then can it keep up with a full wire.
    user.type(`${'x'.repeat(5000)}\x03`);
    expect(await user.until('\r\n> ')).toBe(`${'x'.repeat(127)}^C\r\n> `);
    user.type(`${'y'.repeat(5000)}\x03`);
    user.type('echo all there\r');
    await user.until('\r\nall there\r\n> ');
  }
  rmSync(dir, { recursive: true });
});

test('a board whose firmware cannot be loaded does not start, and leaves nothing', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'sai-board-'));
  const firmware = `${dir}/bad.hex`;
  writeFileSync(firmware, 'no hex');
  await expect(startUnoBoard({ name: 'dut', dir, firmware })).rejects.toMatchObject({
    blame: 'unavailable',
    message: `${firmware}: expected the chip to start, it ended with status 78`,
  });
  expect(readdirSync(dir)).toEqual(['bad.hex']);
  rmSync(dir, { recursive: true });
});
