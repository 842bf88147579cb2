import { expect, test } from 'vitest';
import { RigError } from '../../src/base/errors.ts';
import type { Script, Step } from '../../src/expect/script.ts';
import { Session, type SessionParts } from '../../src/expect/session.ts';
import { ResultsOfSession } from '../../src/expect/session-results.ts';
import type { SessionResults } from '../../src/expect/session-tests.ts';
import { NoUnreadBytes } from '../../src/expect/unread-bytes.ts';
import { type ExpectationError, TimeUp } from '../../src/expect/verdict.ts';
import type { Console } from '../../src/tty/console.ts';
import { openTtyConsole } from '../../src/tty/tty-console.ts';
import { countingConsole } from '../peers/counting-console.ts';
import { DutOnPty } from '../peers/dut-on-pty.ts';
import { holdUpAfter } from '../peers/hold-up.ts';
import { until } from '../until.ts';

interface Outcome {
  readonly failure: ExpectationError | undefined;
  readonly details: readonly string[];
  readonly losses: readonly RigError[];
}

function expectation(text: string): Step {
  return {
    kind: 'expect',
    text: `--expect "${text}"`,
    choice: [{ kind: 'literal', bytes: Buffer.from(text) }],
    shown: `"${text}"`,
  };
}

function partsFor(console: Console, step: Step, more: Partial<Script> = {}): SessionParts {
  return {
    console,
    script: { steps: [step], pass: [], fail: [], crash: 'none', escapeSequences: 'seen', ...more },
    unread: new NoUnreadBytes(),
    onBytes: () => {},
    runJig: async () => undefined,
    detail: () => {},
    logGapBytes: () => 7,
    onLoss: () => {},
  };
}

interface RunOptions {
  readonly results?: SessionResults;
  readonly more?: Partial<Script>;
}

async function run(console: Console, text: string, { results, more }: RunOptions = {}): Promise<Outcome> {
  const details: string[] = [];
  const losses: RigError[] = [];
  const deadline = new AbortController();
  const session = new Session({
    ...partsFor(console, expectation(text), more),
    onBytes: () => {
      // What is complete, or settles, ends by itself.
      if (!more?.settleMs) setImmediate(() => results?.isComplete || deadline.abort(new TimeUp(50)));
    },
    detail: (detail) => details.push(detail),
    onLoss: (loss) => losses.push(loss),
    results,
  });
  const failure = await session.run(deadline.signal).then(
    () => undefined,
    (error: unknown) => error as ExpectationError,
  );
  return { failure, details, losses };
}

test('what had come before a transfer that does not begin is shown once, and a test in it counts once', async () => {
  const heard: Uint8Array[] = [];
  const seen: string[] = [];
  const results: SessionResults = {
    push: (chunk) => seen.push(Buffer.from(chunk).toString()),
    isComplete: false,
    hasFailed: false,
    conclude: () => undefined,
  };
  const transfer = { program: 'sb', path: 'x' } as const;
  const step: Step = { kind: 'transfer', text: '--ysend "x"', transfer };
  const parts = partsFor(countingConsole('ok 1 - a\n', 0), step);
  const session = new Session({
    ...parts,
    script: { ...parts.script, steps: [expectation('ok'), step] },
    results,
    startTransfer: () => ({
      push: (chunk) => heard.push(chunk),
      end: async () => ({ failure: 'nobody asked for it', rest: Buffer.concat(heard) }),
    }),
  });
  await expect(session.run(new AbortController().signal)).rejects.toMatchObject({ tail: ['ok 1 - a'] });
  expect(Buffer.concat(heard).toString()).toBe(' 1 - a\n');
  expect(seen).toEqual(['ok 1 - a\n']);
});

test('a pass that lost nothing says so', async () => {
  const { failure, details, losses } = await run(countingConsole('all ok', 0), 'ok');
  expect(failure).toBeUndefined();
  expect(details.at(-1)).toBe('tty0: 6 bytes read, 0 bytes lost, 7 bytes not in the log');
  expect(losses).toEqual([]);
});

test('a pass although the kernel lost bytes is told as a fault of the rig', async () => {
  const { failure, details, losses } = await run(countingConsole('all ok', 2), 'ok');
  expect(failure).toBeUndefined();
  expect(details.at(-1)).toMatch(/^tty0: 6 bytes read, at least 2 bytes lost,/);
  expect(losses).toEqual([
    new RigError(
      'hardware',
      'tty0: the kernel lost bytes 2 times, as nobody took them in time; lower the load or the speed',
    ),
  ]);
});

test('silence is not the firmware’s doing where the kernel lost bytes', async () => {
  const { failure } = await run(countingConsole('o', 1), 'ok');
  expect(failure).toMatchObject({
    blame: 'hardware',
    message:
      'tty0: expected "ok" within 50 ms, but 1 byte read, at least 1 byte lost, 7 bytes not in the log; last lines:',
  });
});

test('silence is a verdict where nothing is known to be lost', async () => {
  const { failure, details } = await run(countingConsole('o', undefined), 'ok');
  expect(failure).toMatchObject({ blame: 'verdict' });
  expect(details.at(-1)).toContain('0 bytes lost (this tty does not count overruns)');
});

const ENDED = '2 Tests 0 Failures 0 Ignored\nOK\n';

test.each<[string, string, number, string, string]>([
  ['missing, and nothing was lost', `a.c:1:t:PASS\n${ENDED}`, 0, 'verdict', '2 tests were planned'],
  ['missing, and the kernel lost bytes', `a.c:1:t:PASS\n${ENDED}`, 1, 'hardware', ', but '],
  ['failed, and the kernel lost bytes', `a.c:1:t:FAIL\n${ENDED}`, 1, 'verdict', '2 tests were planned'],
  ['failed before silence, and the kernel lost bytes', 'a.c:1:t:FAIL\n', 1, 'verdict', 'within 50 ms'],
  ['silent, and the kernel lost bytes', 'a.c:1:t:PASS\n', 1, 'hardware', 'within 50 ms'],
])('a test that is %s is blamed on who did it', async (_name, said, overruns, blame, told) => {
  const request = { format: 'unity', junit: undefined, json: undefined } as const;
  const results = new ResultsOfSession(request, 'board', () => {});
  const { failure } = await run(countingConsole(said, overruns), 'a.c', { results });
  expect(failure).toMatchObject({ blame, message: expect.stringContaining(told) });
});

test('what came while this process was held up past the time of a step is no silence', async () => {
  await using dut = new DutOnPty();
  await using console = await openTtyConsole(dut.ttyPath, {
    label: 'tty0',
    baudRate: 115_200,
    hangUpOnClose: 'off',
  });
  const session = new Session(partsFor(console, { ...expectation('ready'), withinMs: 100 }));
  const running = session.run(new AbortController().signal);
  await holdUpAfter(() => dut.say('ready'), 300);
  await running;
});

test('an echo that came while this process was held up past its time is one', async () => {
  await using dut = new DutOnPty();
  await using console = await openTtyConsole(dut.ttyPath, {
    label: 'tty0',
    baudRate: 115_200,
    hangUpOnClose: 'off',
  });
  const step: Step = { kind: 'send', text: '--line "version"', bytes: Buffer.from('version\n') };
  const parts = partsFor(console, step);
  const sending = { paceMs: 0, linePaceMs: 0, echoMs: 100 };
  const next: Step = { kind: 'pause', text: '--pause 10ms', pauseMs: 10 };
  const session = new Session({ ...parts, script: { ...parts.script, steps: [step, next], sending } });
  const running = session.run(new AbortController().signal);
  await until(() => dut.heard() === 'version\n', 'the board has the line');
  await holdUpAfter(() => dut.say('version\r\n'), 300);
  await running;
});

test('a pass that settles while the board goes on saying it ends the session once', async () => {
  const { failure, details } = await run(countingConsole('x'.repeat(60_000), 0), 'x', {
    more: {
      pass: [{ pattern: { kind: 'literal', bytes: Buffer.from('x') }, shown: '"x"' }],
      settleMs: 1,
    },
  });
  expect(failure).toBeUndefined();
  expect(details.at(-1)).toMatch(/^tty0: 60000 bytes read, 0 bytes lost/);
});
