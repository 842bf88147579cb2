import { describe, test } from 'vitest';
import { startMicrobitBoard } from '../../src/virtual-lab/microbit-board.ts';
import { whyNoBoard } from '../peers/needs.ts';
import { tempFolder } from '../temp-folder.ts';
import { boardContract } from './board-contract.ts';
import { TtyUser } from './tty-user.ts';

const PROMPT = '\r\n>>> ';
const missing = whyNoBoard('microbit');

async function reachPrompt(user: TtyUser): Promise<string> {
  const banner = await user.until(PROMPT);
  user.type('from microbit import *\r');
  await user.until(PROMPT);
  return banner;
}

describe('micro:bit', () => {
  if (missing !== undefined) {
    test('is a board of the lab', ({ skip }) => skip(missing));
    return;
  }

  boardContract({
    start: startMicrobitBoard,
    bootText: () =>
      /^\0MicroPython v1\.9\.2[^\r]*micro:bit[^\r]*\r\nType "help\(\)" for more information\.\r\n>>> $/,
    reachPrompt,
    prompt: PROMPT,
    sayHello: "print('hel' + 'lo')",
    withoutPower: 'ttys go',
    output: { line: 'pin1', on: 'pin1.write_digital(1)', off: 'pin1.write_digital(0)' },
    input: {
      line: 'pin0',
      idle: 0,
      watch: "while not pin0.read_digital(): sleep(1)\r\rprint('se' + 'en')\r",
      seen: 'seen',
    },
  });

  test('a line keeps its level through a reset of the chip', async () => {
    await using board = await startMicrobitBoard({ name: 'dut', dir: tempFolder(), env: process.env });
    await using user = new TtyUser(board.ttys[0] ?? '');
    await reachPrompt(user);
    board.lines.drive('pin0', 1);
    board.lines.drive('button-b', 0);
    await board.reset();
    await reachPrompt(user);
    user.type('pin0.read_digital(), pin5.read_digital(), pin11.read_digital()\r');
    await user.until('\r\n(1, 1, 0)\r\n'); // pin 5 is button A, pin 11 button B
  });
});
