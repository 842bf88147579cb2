/** What test runners show of a wait that has failed: its message and its stack, and nothing else. */

import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Console, openConsole } from 'sai-rig/expect';
import { beforeEach, describe, expect, test } from 'vitest';
import type { DutOnPty } from '../peers/dut-on-pty.ts';
import { type Workplace, workplaceOfTest } from '../peers/expect-command.ts';
import { ROOT, runCommand } from '../peers/running-lab.ts';

let place: Workplace;
let dut: DutOnPty;
let env: NodeJS.ProcessEnv;

beforeEach(() => {
  place = workplaceOfTest();
  dut = place.newDut();
  const folder = place.lease(dut.ttyPath);
  env = { SAI_DEVICE_LEASE: folder, SAI_DEVICE_TTY0: dut.ttyPath, SAI_RUN_DIR: place.runDir };
});

const open = (): Promise<Console> => openConsole('0', { env, timeoutMs: 10_000 });

const stackOf = async (call: Promise<unknown>): Promise<string[]> => {
  const error: unknown = await call.catch((reason: unknown) => reason);
  return (error as Error).stack?.split('\n') ?? [];
};

describe('the stack of a failure begins at the line of the test', () => {
  test.each<[string, (console: Console) => Promise<unknown>]>([
    ['expect', (console) => console.expect('never', { timeoutMs: 10 })],
    ['verdict', (console) => console.verdict()],
    ['send', (console) => console.send(Buffer.alloc(100_000), { timeoutMs: 10 })],
    ['jig', (console) => console.jig('reset')],
    ['lines', (console) => console.lines({ timeoutMs: 10 })[Symbol.asyncIterator]().next()],
  ])('of %s', async (_name, call) => {
    await using console = await open();
    const frames = (await stackOf(call(console))).filter((line) => /^ {4}at /.test(line));
    expect(frames[0]).toContain('library-failures.test.ts');
  });

  test('of an open', async () => {
    const frames = (await stackOf(openConsole('7', { env }))).filter((line) => /^ {4}at /.test(line));
    expect(frames[0]).toContain('library-failures.test.ts');
  });

  test('of each call that comes after a tty has gone away', async () => {
    const console = await open();
    const first = stackOf(console.expect('never'));
    dut.unplug();
    const second = stackOf(first.then(() => console.line('x')));
    expect((await first)[0]).toContain('while waiting for "never"');
    expect((await second)[0]).not.toContain('never');
    await console.release();
  });
});

test.each([
  [
    'vitest',
    `import { test } from 'vitest';`,
    (file: string) => [join(ROOT, 'node_modules/vitest/vitest.mjs'), 'run', '--root', join(file, '..')],
  ],
  ["Node's own runner", `import { test } from 'node:test';`, (file: string) => ['--test', file]],
])(
  '%s shows the last lines, and the line of the test that failed',
  { timeout: 60_000 },
  async (_name, head, args) => {
    dut.say('U-Boot 2024.01\r\nHit any key\r\n');
    const project = join(place.folder, 'project');
    mkdirSync(join(project, 'node_modules'), { recursive: true });
    symlinkSync(ROOT, join(project, 'node_modules/sai-rig'));
    symlinkSync(join(ROOT, 'node_modules/vitest'), join(project, 'node_modules/vitest'));
    const file = join(project, 'board.test.mjs');
    writeFileSync(
      file,
      `${head}
import { openConsole } from 'sai-rig/expect';

test('boots', async () => {
  const console = await openConsole('0');
  try {
    await console.expect('login: ', { timeoutMs: 300 });
  } finally {
    await console.release();
  }
});
`,
    );
    const outcome = await runCommand(process.execPath, args(file), {
      env: { PATH: process.env['PATH'], NO_COLOR: '1', ...env },
      cwd: project,
    });
    const shown = outcome.stdout + outcome.stderr;
    expect(outcome.status, shown).toBe(1);
    expect(shown).toContain('expected "login: " within 300 ms; last lines:');
    expect(shown).toMatch(/^ *\| U-Boot 2024\.01\n *\| Hit any key$/m);
    expect(shown).toContain('board.test.mjs:7:19');
  },
);

test.each<[string, (console: Console) => Promise<unknown>, RegExp]>([
  [
    'expect',
    (console) => console.expect('x', { timeout: 5 } as object),
    /^expect: unknown key "timeout" \(did you mean "timeoutMs"\?\)$/,
  ],
  [
    'line',
    (console) => console.line('x', { timeoutMs: '5s' as never }),
    /^line: timeoutMs: expected a number, got "5s"$/,
  ],
  [
    'lines',
    (console) =>
      console
        .lines({ maxByte: 5 } as object)
        [Symbol.asyncIterator]()
        .next(),
    /^lines: unknown key "maxByte"/,
  ],
  ['pause', (console) => console.pause(1, { timeoutMs: 5 } as object), /^pause: unknown key "timeoutMs"$/],
  [
    'drive',
    (console) => console.drive({ DTR: 'on' } as object),
    /^drive: unknown key "DTR" \(did you mean "dtr"\?\)$/,
  ],
  [
    'jig',
    (console) => console.jig('nope'),
    /^jig\("nope"\): expected the device to have a jig, found none; /,
  ],
  [
    'a regular expression',
    (console) => console.expect(/a(?=b)/),
    /^expect: a look-ahead .* cannot be matched in bounded time; write it without$/,
  ],
])('%s is refused in the words of a program', async (_what, call, message) => {
  await using console = await open();
  await expect(call(console)).rejects.toThrow(message);
});

test.each<[string, object, RegExp]>([
  ['0', { timeout: 5 }, /^openConsole: unknown key "timeout" \(did you mean "timeoutMs"\?\)$/],
  ['0', { crash: 'never' }, /^openConsole: crash: expected .*, got "never"$/],
  ['7', {}, /^openConsole\("7"\): expected one of 0, shell, or a path$/],
  [
    '0',
    { env: {} },
    /^openConsole\("0"\): expected SAI_DEVICE_TTY0 to name a tty, it is not set; run under sai-device, or open one by its path$/,
  ],
])('an open of %s with %j is refused in the words of a program', async (tty, options, message) => {
  await expect(openConsole(tty, { env, ...options })).rejects.toThrow(message);
});

test('who has not released a console is told so of itself', async () => {
  await using _console = await open();
  await expect(openConsole('0', { env, timeoutMs: 50 })).rejects.toThrow(
    'expected its console to be free, this process still reads it',
  );
});
