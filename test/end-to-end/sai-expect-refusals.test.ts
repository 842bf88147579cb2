import {
  chmodSync,
  chownSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import type { DutOnPty } from '../peers/dut-on-pty.ts';
import { type Workplace, workplaceOfTest } from '../peers/expect-command.ts';

let place: Workplace;
let dut: DutOnPty;

beforeEach(() => {
  place = workplaceOfTest();
});

test('--optional leaves no finding', async () => {
  const ended = await place.run('--tty', '/dev/not-there', '--expect', 'x', '--optional');
  expect(ended.status).toBe(74);
  expect(place.findings).toEqual([]);
});

test.each([
  ['a bad regex', ['--regex', '('], 64, /^sai-expect: --regex: unterminated group at character 1 of "\("$/],
  ['an unknown flag', ['--expcet', 'x'], 64, /unknown option '--expcet'.*--expect/],
  ['an argument too many', ['x'], 64, /expected no arguments besides options, got 1/],
  ['a flag without its value', ['--expect'], 64, /--expect: expected <text>, got nothing/],
  ['an empty text', ['--expect', ''], 64, /--expect: expected at least one byte of text, got none/],
  ['an unknown escape', ['--send', '\\q'], 64, /--send: expected one of .*, got "\\\\q"/],
  ['a time without a unit', ['--timeout', '10'], 64, /--timeout: expected a duration such as 300ms/],
  ['a bad rate', ['--baud', 'fast'], 64, /--baud/],
  ['a bad choice', ['--eol', 'x'], 64, /--eol: expected one of lf, cr, crlf, none/],
  [
    'no tty',
    ['--expect', 'x'],
    64,
    /--tty 0: expected SAI_DEVICE_TTY0 to name a tty, it is not set; run under sai-device/,
  ],
  [
    'a missing tty',
    ['--tty', '/dev/nope', '--expect', 'x'],
    74,
    /^sai-expect: \/dev\/nope: expected a tty, found nothing/,
  ],
  ['no tty at all', ['--tty', '/dev/null', '--expect', 'x'], 74, /expected a tty, found something else/],
])('%s is one line and its status', async (_what, args, status, message) => {
  const ended = await place.run(...args);
  expect(ended).toMatchObject({ status, signal: null, stdout: '' });
  expect(ended.stderr).toHaveLength(1);
  expect(ended.stderr[0]).toMatch(message);
  expect(place.findings).toMatchObject([{ verdict: status === 64 ? 'fail' : 'infra' }]);
});

test('an index or name that the lease does not have is refused, naming those it has', async () => {
  dut = place.newDut();
  place.lease(dut.ttyPath);
  const ended = await place.run('--tty', 'shel', '--expect', 'x');
  expect(ended).toMatchObject({
    status: 64,
    stderr: ['sai-expect: --tty shel: expected one of 0, shell, or a path (did you mean "shell"?)'],
  });
});

test('a finding that cannot be written is told after the failure, whose status stays', async () => {
  place.set('SAI_FINDINGS', join(place.folder, 'no', 'such', 'folder'));
  const ended = await place.run('--tty', '/dev/not-there', '--expect', 'x');
  expect(ended.status).toBe(74);
  expect(ended.stderr).toHaveLength(2);
  expect(ended.stderr[0]).toContain('/dev/not-there: expected a tty, found nothing');
  expect(ended.stderr[1]).toContain('cannot append a finding: ENOENT');
});

test('a lease that has ended is told', async () => {
  place.set('SAI_DEVICE_LEASE', '/run/no-such-lease');
  place.set('SAI_DEVICE_TTY0', '/dev/not-there');
  expect(await place.run('--expect', 'x')).toMatchObject({ status: 69 });
});

test('a lease record that is none is told', async () => {
  dut = place.newDut();
  writeFileSync(join(place.lease(dut.ttyPath), 'lease.json'), '{"version": 99}');
  expect(await place.run('--expect', 'x')).toMatchObject({ status: 76 });
});

test.each(['a link to a file of ours', 'a folder'])(
  '%s in the place of the lock is refused',
  async (what) => {
    dut = place.newDut();
    const { dev, ino } = statSync(dut.ttyPath);
    const lock = join(place.runDir, `sai-console-${dev}-${ino}.lock`);
    const victim = join(place.folder, 'victim');
    writeFileSync(victim, 'precious');
    if (what === 'a folder') mkdirSync(lock);
    else symlinkSync(victim, lock);
    const ended = await place.run('--tty', dut.ttyPath, '--expect', 'x', '--timeout', '300ms');
    expect(ended).toMatchObject({
      status: 69,
      stderr: [expect.stringContaining(`sai-expect: ${lock}: cannot lock the console: `)],
    });
    expect(readFileSync(victim, 'utf8')).toBe('precious');
    rmSync(lock, { recursive: true });
  },
);

test('a tty that this login may not open is refused', async ({ skip }) => {
  skip(process.getuid?.() !== 0, 'needs root to give up root: setpriv');
  dut = place.newDut();
  chownSync(dut.ttyPath, 0, 0);
  chmodSync(dut.ttyPath, 0o000);
  const bare = ['setpriv', '--bounding-set=-dac_override,-dac_read_search', '--inh-caps=-all', '--'];
  const ended = await place.start(['--tty', dut.ttyPath, '--expect', 'x'], bare).ended;
  expect(ended.status).toBe(74);
  expect(ended.stderr).toHaveLength(1);
  expect(ended.stderr[0]).toContain('cannot be opened for reading and writing (EACCES)');
});
