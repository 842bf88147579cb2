import { expect, test } from 'vitest';
import { RigError } from '../../src/base/errors.ts';
import type { Script, Step } from '../../src/expect/script.ts';
import { Session } from '../../src/expect/session.ts';
import { NoUnreadBytes } from '../../src/expect/unread-bytes.ts';
import { type ExpectationError, TimeUp } from '../../src/expect/verdict.ts';
import type { Console } from '../../src/tty/console.ts';

/** A tty whose driver counts overruns, as no pty does. */
function countingConsole(said: string, overruns: number | undefined): Console {
  let release = (): void => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  return {
    label: 'tty0',
    overruns,
    bytes: (async function* () {
      yield Buffer.from(said);
      await released;
    })(),
    send: async () => {},
    sendBreak: async () => {},
    drive: () => {},
    [Symbol.asyncDispose]: async () => release(),
  };
}

interface Outcome {
  readonly failure: ExpectationError | undefined;
  readonly details: readonly string[];
  readonly losses: readonly RigError[];
}

async function run(console: Console, text: string, more: Partial<Script> = {}): Promise<Outcome> {
  const step: Step = {
    kind: 'expect',
    text: `--expect "${text}"`,
    choice: [{ kind: 'literal', bytes: Buffer.from(text) }],
    shown: `"${text}"`,
  };
  const script: Script = {
    steps: [step],
    pass: [],
    fail: [],
    crash: 'none',
    escapeSequences: 'seen',
    ...more,
  };
  const details: string[] = [];
  const losses: RigError[] = [];
  const deadline = new AbortController();
  const session = new Session({
    console,
    script,
    unread: new NoUnreadBytes(),
    onBytes: () => {
      if (!more.settleMs) setImmediate(() => deadline.abort(new TimeUp(50)));
    },
    runJig: async () => undefined,
    detail: (detail) => details.push(detail),
    logGapBytes: () => 7,
    onLoss: (loss) => losses.push(loss),
  });
  const failure = await session.run(deadline.signal).then(
    () => undefined,
    (error: unknown) => error as ExpectationError,
  );
  return { failure, details, losses };
}

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

test('a pass that settles while the board goes on saying it ends the session once', async () => {
  const { failure, details } = await run(countingConsole('x'.repeat(60_000), 0), 'x', {
    pass: [{ pattern: { kind: 'literal', bytes: Buffer.from('x') }, shown: '"x"' }],
    settleMs: 1,
  });
  expect(failure).toBeUndefined();
  expect(details.at(-1)).toMatch(/^tty0: 60000 bytes read, 0 bytes lost/);
});
