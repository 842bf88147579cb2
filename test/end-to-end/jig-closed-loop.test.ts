import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { GpioGuest, GUEST_HTTP_PORT, needsGpioGuest } from '../peers/gpio-guest.ts';
import { needsBoard } from '../peers/needs.ts';
import { askJig } from '../peers/running-jig.ts';
import { ROOT } from '../peers/running-lab.ts';
import { TracedChip } from '../peers/traced-chip.ts';
import { WiredUBoot } from '../peers/wired-u-boot.ts';
import { tempFolder } from '../temp-folder.ts';
import { until } from '../until.ts';

const SEQUENCES = [
  { name: 'on', seq: [{ gpio_name: 'power', value: 1 }] },
  { name: 'off', seq: [{ gpio_name: 'power', value: 0 }] },
  { name: 'reset', seq: [{ pulse: 'reset', for: '50ms' }] },
  { name: 'tap', seq: [{ pulse: 'reset', for: '1ms' }] },
];

/** Each of them ends with a board that starts anew. */
const ROUNDS = ['on', 'reset', 'tap'];

/** Two emulated machines, and six boots of one of them. */
const PATIENCE_MS = 90_000;

/** Stops the countdown of U-Boot, and waits for its prompt. */
const TO_PROMPT = ['--expect', 'Hit any key to stop autoboot', '--send', ' ', '--expect', '=> '];

test(
  'a board is reset and powered over the lines of a kernel, and seen to be on its console',
  async (context) => {
    needsGpioGuest(context);
    needsBoard(context, 'u-boot');
    const path = join(tempFolder(), 'board.tty0');
    await using board = await WiredUBoot.start(path);
    await using guest = await GpioGuest.start();
    const chip = await TracedChip.add(guest, 'header', ['GPIO17', 'GPIO22']);
    const gpios = [
      { name: 'power', chip: 'header', line: 'GPIO17' },
      { name: 'reset', chip: 'header', line: 'GPIO22', activeLow: true },
    ];
    const config = { schema: 'sai-jig', targets: [{ name: 'dut', gpios, sequences: SEQUENCES }] };
    await guest.run('tee', ['/tmp/jig.json'], { input: JSON.stringify(config) });
    await chip.follow((event) => {
      const [, line, level] = /^(GPIO17|GPIO22) set ([01])$/.exec(event) ?? [];
      if (line) board.wire(line === 'GPIO17' ? 'power' : 'reset', level === '1' ? 1 : 0);
    });
    const where = ['--host', '0.0.0.0', '--port', `${GUEST_HTTP_PORT}`];
    const jig = guest.start(join(ROOT, 'bin/sai-jig'), ['--config', '/tmp/jig.json', ...where]);
    await jig.line(/ready on/);
    const url = `http://127.0.0.1:${guest.httpPort}/dut`;
    const saiExpect = async (...steps: string[]): Promise<string> => {
      const args = ['--tty', path, '--timeout', '25s', ...steps];
      const child = spawn(join(ROOT, 'bin/sai-expect'), args, {
        env: { PATH: process.env['PATH'], SAI_DEVICE_JIG: url, SAI_RUN_DIR: join(path, '..') },
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      const [complaint, [status]] = await Promise.all([text(child.stderr), once(child, 'close')]);
      return `${status}: ${complaint}`;
    };

    for (let cycle = 0; cycle < 2; cycle += 1) {
      for (const sequence of ROUNDS) {
        expect(await saiExpect('--jig', sequence, ...TO_PROMPT)).toMatch(/^0: /);
      }
      expect((await askJig(guest.httpPort, '/dut/off')).status).toBe(200);
      await until(() => !board.isRunning, 'the board is without power');
      const said = board.said;
      expect(await saiExpect('--line', 'version')).toMatch(/^0: /);
      expect((await askJig(guest.httpPort, '/dut/reset')).status).toBe(200);
      expect(board.said).toBe(said);
    }
    expect(board.said.match(/U-Boot 20\d\d/g)).toHaveLength(2 * ROUNDS.length);
  },
  PATIENCE_MS,
);
