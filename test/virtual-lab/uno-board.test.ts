import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { startUnoBoard } from '../../src/virtual-lab/uno-board.ts';
import { boardContract } from './board-contract.ts';

boardContract({
  start: startUnoBoard,
  bootText: (cause) => `\r\nsai-uno 1.0.0 (reset: ${cause})\r\nready\r\n> `,
  prompt: '\r\n> ',
  sayHello: 'echo hello',
  output: { line: 'led', on: 'led on', off: 'led off' },
  input: { line: 'button', seen: 'button pressed' },
});

test('a board whose firmware cannot be loaded does not start, and leaves nothing', async () => {
  const dir = mkdtempSync('/tmp/sai-board-');
  const firmware = `${dir}/bad.hex`;
  writeFileSync(firmware, 'no hex');
  await expect(startUnoBoard({ name: 'dut', dir, firmware })).rejects.toMatchObject({
    blame: 'unavailable',
    message: `${firmware}: expected the chip to start, it ended with status 78`,
  });
  expect(readdirSync(dir)).toEqual(['bad.hex']);
  rmSync(dir, { recursive: true });
});
