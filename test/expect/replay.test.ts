import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { parseCommandLine } from '../../src/expect/cli.ts';
import { Recorder } from '../../src/expect/recorder.ts';
import { type Recording, readRecording } from '../../src/expect/recording-file.ts';
import { Replay, recordedEarly } from '../../src/expect/replay.ts';
import type { Request } from '../../src/expect/request.ts';
import { Session, type SessionParts } from '../../src/expect/session.ts';
import { NoUnreadBytes } from '../../src/expect/unread-bytes.ts';
import { TimeUp } from '../../src/expect/verdict.ts';
import { openTtyConsole } from '../../src/tty/tty-console.ts';
import { DutOnPty } from '../peers/dut-on-pty.ts';
import { seededRandom } from '../peers/seeded-random.ts';
import { tempFolder } from '../temp-folder.ts';

const SESSIONS = 24;
const TIMEOUT_MS = 20_000;

/** What a board may say at a time. */
const PIECES = [
  'ready\r\n',
  '> ',
  '$ ',
  'rea',
  'dy',
  '\r\n',
  'é',
  '\xff',
  'ok 1 - a\r\n',
  '*** PANIC: x\r\n',
  'bad',
];
const PAUSES_MS = [0, 0, 5, 30, 45, 49, 55, 120];
/** No pauses: how long one really took depends on the machine. */
const STEPS: readonly (readonly string[])[] = [
  ['--expect', 'ready'],
  ['--regex', '^[>$] $'],
  ['--line', 'go'],
  ['--fresh'],
];

const COMMON: Omit<SessionParts, 'console' | 'script' | 'unread' | 'runJig'> = {
  onBytes: () => {},
  detail: () => {},
  logGapBytes: () => 0,
  onLoss: () => {},
};

function sessionOn(replay: Replay, recording: Recording, { script }: Request): Session {
  return new Session({
    ...COMMON,
    console: replay.console(0),
    script,
    unread: recordedEarly(recording, 0),
    runJig: replay.jig(0),
    clock: replay.clock(0),
  });
}

function outcome(running: Promise<void>): Promise<string> {
  return running.then(
    () => 'pass',
    (error: Error) => error.message,
  );
}

test('any session comes to the same end from its recording, whatever was said and when', {
  timeout: 60_000,
}, async () => {
  const { pick } = seededRandom();
  const folder = tempFolder();
  const runJig = async (): Promise<undefined> => undefined;
  for (let index = 0; index < SESSIONS; index++) {
    const steps = Array.from({ length: 4 }, () => pick(STEPS)).flat();
    const request = parseCommandLine(['--tty', '/x', ...steps, '--fail', 'bad'], undefined) as Request;
    const said = Array.from({ length: 8 }, () => [pick(PIECES), pick(PAUSES_MS)] as const);
    const path = join(folder, `${index}.rec`);

    await using dut = new DutOnPty(pick(['whole chunks', 'one byte at a time'] as const));
    const recorder = new Recorder(path, { ttys: [{ label: 't', path: 't', baudRate: 115_200 }] });
    const console = await openTtyConsole(dut.ttyPath, {
      label: 't',
      baudRate: 115_200,
      hangUpOnClose: 'off',
    });
    const deadline = new AbortController();
    const timer = setTimeout(() => deadline.abort(new TimeUp(TIMEOUT_MS)), TIMEOUT_MS);
    const live = outcome(
      new Session({
        ...COMMON,
        console: recorder.console(console, 0),
        script: request.script,
        unread: recorder.unread(new NoUnreadBytes(), 0),
        onQuiet: () => recorder.quiet(0),
        runJig,
      }).run(deadline.signal),
    );
    for (const [text, pauseMs] of said) {
      dut.say(Buffer.from(text, 'latin1'));
      if (pauseMs > 0) await sleep(pauseMs);
    }
    await sleep(60);
    dut.unplug();
    const liveOutcome = await live;
    clearTimeout(timer);
    recorder.close();

    const recording = readRecording(path, '--replay');
    const differences: string[] = [];
    const replay = new Replay(recording, [0], (text) => differences.push(text));
    const replayDeadline = new AbortController();
    replay.after(TIMEOUT_MS, () => replayDeadline.abort(new TimeUp(TIMEOUT_MS)));
    const session = sessionOn(replay, recording, request);
    const replayed = outcome(
      replay.opened(0, replayDeadline.signal).then(() => session.run(replayDeadline.signal)),
    );
    await replay.run(replayed);
    expect(await replayed, `${steps.join(' ')} of ${JSON.stringify(said)}`).toBe(liveOutcome);
  }
});

test.each([
  ['a little early, just before more came', [59.2], ['--regex', '^> $'], 59.6],
  ['twice, the first time a little early', [59.2, 110.3], ['--fresh', '--fresh', '--expect', 'x'], 130],
])('quiet that was told %s, is quiet again', async (_what, quietsMs, steps, laterMs) => {
  const path = join(tempFolder(), 'x.rec');
  const lines = [
    { format: 'sai-recording', version: 1, startedAtMs: 0, ttys: [{ label: 't', path: 't', baudRate: 1 }] },
    { ms: 0, tty: 0, is: 'open' },
    { ms: 10, tty: 0, is: 'in', text: '> ' },
    ...quietsMs.map((ms) => ({ ms, tty: 0, is: 'quiet' })),
    { ms: laterMs, tty: 0, is: 'in', text: 'x' },
    { ms: laterMs + 1, tty: 0, is: 'gone', error: 'gone' },
  ];
  writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  const recording = readRecording(path, '--replay');
  const request = parseCommandLine(['--tty', '/x', ...steps], undefined) as Request;
  const replay = new Replay(recording, [0], () => {});
  const session = sessionOn(replay, recording, request);
  const never = new AbortController().signal;
  const replayed = outcome(replay.opened(0, never).then(() => session.run(never)));
  await replay.run(replayed);
  expect(await replayed).toBe('pass');
});
