import { createHash } from 'node:crypto';
import { beforeEach, describe, expect, test } from 'vitest';
import { CHUNKINGS, type DutOnPty } from '../peers/dut-on-pty.ts';
import { type Workplace, workplaceOfTest } from '../peers/expect-command.ts';

let place: Workplace;
let dut: DutOnPty;

beforeEach(() => {
  place = workplaceOfTest();
});

describe.each(CHUNKINGS)('a board that talks in %s', (chunking) => {
  beforeEach(() => {
    dut = place.newDut(chunking);
  });

  test('--ignore-ansi matches the text between colours and cursor queries, and echoes all', async () => {
    const said = '\x1b[1mU-Boot\x1b[0m\r\n\x1b[6nlog\x1b[6nin\x1b]0;x\x07: ';
    dut.say(said);
    const steps = ['--regex', '^U-Boot$', '--expect', 'login: '];
    const ended = await place.run('--tty', dut.ttyPath, '--ignore-ansi', '--echo', ...steps);
    expect(ended).toEqual({ status: 0, signal: null, stdout: said, stderr: [] });
  });

  test('what is left of escape sequences is there for the next call as it came', async () => {
    place.lease(dut.ttyPath);
    dut.say('a \x1b[1mb\x1b[0m c');
    expect(await place.run('--ignore-ansi', '--expect', 'a ')).toMatchObject({ status: 0 });
    expect(await place.run('--expect', '\\e[1mb\\e[0m c', '--timeout', '5s')).toMatchObject({
      status: 0,
      stderr: [],
    });
  });

  test('a --pass-regex is decided in a prompt when the board is quiet', async () => {
    dut.say('boot\r\nready 12> ');
    const ended = await place.run(
      '--tty',
      dut.ttyPath,
      '--pass-regex',
      '^ready \\d+> $',
      '--expect',
      'never',
    );
    expect(ended).toMatchObject({ status: 0, stderr: [] });
  });

  test('a --fail-regex ends the wait at the end of its line', async () => {
    dut.say('3 Tests 1 Failures\r\n');
    const ended = await place.run(
      '--tty',
      dut.ttyPath,
      '--fail-regex',
      '[1-9]\\d* Failures',
      '--expect',
      'never',
    );
    expect(ended.status).toBe(1);
    expect(ended.stderr[0]).toContain(
      'the board said /[1-9]\\d* Failures/, a fail text, while waiting for "never"',
    );
  });
});

test('--unsafe-regex runs what is refused without it', async () => {
  dut = place.newDut();
  dut.say('id=17 17\r\n');
  const step = ['--tty', dut.ttyPath, '--regex', '(?<=id=)(\\d+) \\1'];
  const refused = await place.run(...step);
  expect(refused).toMatchObject({
    status: 64,
    stderr: [
      'sai-expect: --regex: a look-behind at character 1 of "(?<=id=)(\\\\d+) \\\\1" cannot be matched in bounded time; write it without, or give --unsafe-regex',
    ],
  });
  expect(await place.run('--unsafe-regex', ...step)).toMatchObject({ status: 0, stderr: [] });
});

test('an unsafe regex that finds no end is given up', async () => {
  dut = place.newDut();
  dut.say(`${'a'.repeat(60)}b\n`);
  const ended = await place.run('--unsafe-regex', '--tty', dut.ttyPath, '--regex', '(?=a)(a+)+$');
  expect(ended).toMatchObject({ status: 64 });
  expect(ended.stderr[0]).toContain('--regex: "(?=a)(a+)+$" took over 1000 ms on 62 bytes');
});

test('-v tells how much was read, and that nothing is known to be lost', async () => {
  dut = place.newDut();
  dut.say('boot ok');
  const ended = await place.run('-v', '--tty', dut.ttyPath, '--expect', 'ok');
  expect(ended.stderr).toEqual([
    `sai-expect: ${dut.ttyPath}: --expect "ok"`,
    `sai-expect: ${dut.ttyPath}: 7 bytes read, 0 bytes lost (this tty does not count overruns)`,
  ]);
});

test('four boards at 300 kB/s at once lose nothing', { timeout: 60_000 }, async () => {
  const boards = Array.from({ length: 4 }, () => place.newDut());
  const line = Buffer.from(`${'0123456789abcdef'.repeat(6)}\r\n`);
  const all = Buffer.concat([...Array.from({ length: 4000 }, () => line), Buffer.from('the end')]);
  const outcomes = await Promise.all(
    boards.map(async (board) => {
      board.on('go', () => void pacedSay(board, all));
      return await place.run('--tty', board.ttyPath, '--echo', '--send', 'go', '--expect', 'the end');
    }),
  );
  for (const { status, stdout } of outcomes) {
    expect({ status, sha: sha256(Buffer.from(stdout, 'latin1')) }).toEqual({ status: 0, sha: sha256(all) });
  }
});

/** As a UART at 3 Mbaud does. */
async function pacedSay(board: DutOnPty, bytes: Buffer): Promise<void> {
  const start = performance.now();
  for (let sent = 0; sent < bytes.length; ) {
    const due = Math.min(bytes.length, Math.ceil((performance.now() - start) * 300));
    await board.sayAll(bytes.subarray(sent, due));
    sent = due;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
