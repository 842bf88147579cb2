import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Bench, SAI_DEVICE } from '../peers/bench.ts';
import { Bootloader } from '../peers/bootloader.ts';
import { needsProgram } from '../peers/needs.ts';
import { findingsIn, isLocked } from '../peers/onlookers.ts';
import { until } from '../until.ts';

const TOOL = `${process.execPath} ${SAI_DEVICE} --tool`;

const inside = (script: string): string[] => ['uno', 'sh', '-c', script];

/** Debian's Python has pyserial where another one comes first in the PATH. */
function pythonWithSerial(): string | undefined {
  return ['python3', '/usr/bin/python3'].find(
    (python) => spawnSync(python, ['-c', 'import serial']).status === 0,
  );
}

const SERIAL = 'import serial, sys; serial.Serial(sys.argv[1], exclusive=True); print("open")';

/** Programs that take the lock of the tty themselves, and end soon. */
const LOCKERS: Record<string, () => readonly [string, ...string[]] | undefined> = {
  flock: () => ['sh', '-c', 'flock -n "$0" echo open'],
  tio: () => ['sh', '-c', 'tio -n "$0" < /dev/null'],
  picocom: () => ['sh', '-c', 'picocom -qX "$0" && echo open'],
  pyserial: () => {
    const python = pythonWithSerial();
    return python === undefined ? undefined : [python, '-c', SERIAL];
  },
};

/** The same programs, for as long as their input is open. */
const STAYING: Record<string, string> = {
  flock: 'flock -n "$0" sh -c "echo open; cat"',
  tio: 'tio -n "$0"',
  picocom: 'picocom -q "$0"',
  pyserial: `exec "$1" -c 'import serial, sys; s = serial.Serial(sys.argv[1], exclusive=True); sys.stdin.read()' "$0"`,
};

describe.each(Object.entries(LOCKERS))('%s', (name, commandLine) => {
  test('is refused inside a lease, and works there with --tool', async (context) => {
    if (name !== 'pyserial') needsProgram(context, name);
    const command = commandLine();
    context.skip(command === undefined, 'needs pyserial (python3-serial)');
    await using bench = new Bench();
    const { ttyPath } = bench.board;
    const tool = [process.execPath, SAI_DEVICE, '--tool', '--', ...(command ?? []), ttyPath];
    const refused = await bench.run(['uno', ...(command ?? []), ttyPath]);
    expect(refused.status).not.toBe(0);
    const { status, stdout, stderr } = await bench.run(['uno', ...tool]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/open|Connected/);
    expect(bench.leftBehind()).toEqual([]);
  });

  test('excludes sai-device where it runs without a lease', async (context) => {
    if (name !== 'pyserial') needsProgram(context, name);
    const python = pythonWithSerial();
    context.skip(name === 'pyserial' && python === undefined, 'needs pyserial (python3-serial)');
    await using bench = new Bench();
    const { ttyPath } = bench.board;
    const child = spawn('sh', ['-c', STAYING[name] ?? '', ttyPath, python ?? '']);
    await until(() => isLocked(ttyPath), 'the program has the tty');
    const { status, stderr } = await bench.run(['--no-wait', 'uno', 'true']);
    child.stdin.end();
    child.kill('SIGTERM');
    expect(status).toBe(75);
    expect(stderr).toMatch(/uno1 is locked by process \d+ \(/);
    await once(child, 'exit');
    await until(() => !isLocked(ttyPath), 'the program is gone');
  });
});

describe('avrdude, which takes no lock', () => {
  const flash = (bench: Bench): string => {
    const image = bench.file('image');
    writeFileSync(image, Buffer.from(Array.from({ length: 300 }, (_, index) => index & 0xff)));
    return `${TOOL} --flash avrdude -p m328p -c arduino -P $SAI_DEVICE_TTY0 -D -U flash:w:${image}:r`;
  };

  test('flashes with --tool', async (context) => {
    needsProgram(context, 'avrdude');
    await using bench = new Bench();
    await using uno = new Bootloader(bench.board.masterFd);
    const findings = bench.file('findings');
    const { status } = await bench.run(inside(flash(bench)), { SAI_FINDINGS: findings });
    expect(status).toBe(0);
    expect(uno.flash.subarray(0, 300)).toEqual(readFileSync(bench.file('image')));
    expect(findingsIn(findings)).toEqual([]);
  });

  test('leaves a fault of the rig when it fails with --flash, and its status stands', async (context) => {
    needsProgram(context, 'avrdude');
    await using bench = new Bench();
    await using _other = new Bootloader(bench.board.masterFd, [1, 2, 3]);
    const findings = bench.file('findings');
    const { status, stderr } = await bench.run(inside(`${flash(bench)}; echo status $? >&2; exit 8`), {
      SAI_FINDINGS: findings,
    });
    expect(status).toBe(8);
    expect(stderr).toMatch(/^sai-device: flash failed: status 1 of avrdude .*\nstatus 1\n$/m);
    expect(findingsIn(findings)).toMatchObject([
      {
        tool: 'sai-device',
        verdict: 'infra',
        blame: 'hardware',
        device: 'uno1',
        evidence: expect.stringMatching(/^flash failed: status 1 of avrdude -p m328p/),
      },
    ]);
  });
});
