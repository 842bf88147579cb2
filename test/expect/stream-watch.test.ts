import { describe, expect, test } from 'vitest';
import { ByteRegex } from '../../src/expect/byte-regex.ts';
import { crashPatterns } from '../../src/expect/crash.ts';
import type { Pattern } from '../../src/expect/matcher.ts';
import { StreamWatch, UNREAD_LIMIT_BYTES, type WatchEvent } from '../../src/expect/stream-watch.ts';
import { CHUNKINGS } from '../peers/dut-on-pty.ts';
import { memoryInUse } from '../peers/memory-use.ts';

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const literal = (literal: string): Pattern => ({ kind: 'literal', bytes: Buffer.from(literal) });
const regex = (source: string): Pattern => ({ kind: 'regex', regex: new ByteRegex(source, '--regex') });

function armed(patterns: { pass?: string[]; fail?: string[] }): ConstructorParameters<typeof StreamWatch>[0] {
  const literals = (texts: string[] = []): Pattern[] => texts.map((each) => literal(each));
  return { pass: literals(patterns.pass), fail: literals(patterns.fail), crash: crashPatterns() };
}

describe.each(CHUNKINGS)('%s', (chunking) => {
  /** What the first decision is; what comes after it is only taken in. */
  const push = (watch: StreamWatch, said: string): WatchEvent | undefined => {
    const chunks = chunking === 'whole chunks' ? [said] : said.split('');
    const events = chunks.map((chunk) => watch.push(Buffer.from(chunk)));
    return events.find((event) => event !== undefined);
  };

  test('a match uses up what it matched, and the next step sees what follows', () => {
    const watch = new StreamWatch(armed({}));
    watch.expect(literal('one'));
    expect(push(watch, 'one one two')).toMatchObject({ kind: 'step' });
    expect(text(watch.unread.bytes)).toBe(' one two');
    expect(watch.expect(literal('one'))).toMatchObject({ kind: 'step' });
    expect(watch.expect(literal('one'))).toBeUndefined();
    expect(push(watch, ' one')).toMatchObject({ kind: 'step' });
    expect(text(watch.unread.bytes)).toBe('');
  });

  test('what arrives while a step sends or pauses is there for the next one', () => {
    const watch = new StreamWatch(armed({}));
    watch.idle();
    push(watch, 'early');
    expect(watch.expect(literal('early'))).toMatchObject({ kind: 'step' });
  });

  test('a fail text counts while a step sends or pauses', () => {
    const watch = new StreamWatch(armed({ fail: ['bad'] }));
    watch.idle();
    expect(push(watch, 'so bad')).toMatchObject({ kind: 'fail', index: 0 });
  });

  test('a fail text after the text that ends the last step is for the next session', () => {
    const watch = new StreamWatch(armed({ fail: ['bad'] }));
    watch.expect(literal('ok'));
    expect(push(watch, 'ok bad')).toMatchObject({ kind: 'step' });
    expect(text(watch.unread.bytes)).toBe(' bad');
  });

  test('a fail text that begins within what a step has used is seen', () => {
    const watch = new StreamWatch(armed({ fail: ['ok, not really'] }));
    watch.expect(literal('ok'));
    expect(push(watch, 'ok, not really')).toMatchObject({ kind: 'step' });
    expect(watch.expect(literal('never'))).toMatchObject({ kind: 'fail', index: 0 });
  });

  test('at the same byte a fail wins over the step', () => {
    const watch = new StreamWatch(armed({ fail: ['NO PASS'] }));
    watch.expect(literal('PASS'));
    expect(push(watch, 'NO PASS')).toMatchObject({ kind: 'fail', index: 0 });
  });

  test('a pass text ends the session while steps are left', () => {
    const watch = new StreamWatch(armed({ pass: ['done'] }));
    watch.expect(literal('never'));
    expect(push(watch, 'all done, rest')).toMatchObject({ kind: 'pass', index: 0 });
    expect(text(watch.unread.bytes)).toBe(', rest');
  });

  test('a crash line that the step matches in is no crash, and the next one is', () => {
    const watch = new StreamWatch(armed({}));
    watch.expect(literal('PANIC: over'));
    expect(push(watch, '*** PANIC: overflow\r\n')).toMatchObject({ kind: 'step' });
    watch.expect(literal('never'));
    expect(push(watch, '*** PANIC: again\r\n')).toMatchObject({ kind: 'crash', line: '*** PANIC: again' });
  });

  test('a regex step wins over the crash on the same line', () => {
    const watch = new StreamWatch(armed({}));
    watch.expect(regex('^\\*\\*\\* PANIC: .*$'));
    expect(push(watch, '*** PANIC: overflow\r\n')).toMatchObject({ kind: 'step' });
  });

  test('what was there before a fresh step matches no step, no armed text and no crash', () => {
    const watch = new StreamWatch(armed({ pass: ['PASS'], fail: ['FAIL'] }), { passCounts: 'when released' });
    expect(push(watch, 'PASS FAIL step\r\n*** PANIC: old\r\nPA')).toBeUndefined();
    watch.discard();
    expect(push(watch, 'SS FAIL step PA')).toBeUndefined();
    watch.releaseFresh('from now on');
    expect(text(watch.unread.bytes)).toBe('');
    expect(watch.expect(literal('step'))).toBeUndefined();
    expect(push(watch, 'SS')).toBeUndefined();
    expect(push(watch, 'PASS')).toMatchObject({ kind: 'pass', index: 0 });
  });

  test('while a fresh step is to come, a pass text is none and a fail text is one', () => {
    const watch = new StreamWatch(armed({ pass: ['PASS'], fail: ['FAIL'] }), { passCounts: 'when released' });
    watch.expect(literal('never'));
    expect(push(watch, 'PASS')).toBeUndefined();
    expect(push(watch, 'FAIL')).toMatchObject({ kind: 'fail', index: 0 });
  });

  test('a pass text that is none yet hides no fail text that begins with it, or before it', () => {
    for (const fail of [literal('PASS but FAILED'), regex('^test: PASS.*FAIL')]) {
      const watch = new StreamWatch(
        { pass: [literal('PASS')], fail: [fail], crash: [] },
        { passCounts: 'when released' },
      );
      watch.expect(literal('never'));
      expect(push(watch, 'test: PASS but FAILED\r\n')).toMatchObject({ kind: 'fail', index: 0 });
    }
  });

  test('while a pass settles, others like it are used up, and a fail text is one', () => {
    const watch = new StreamWatch(armed({ pass: ['PASS'], fail: ['FAIL'] }));
    watch.finish();
    expect(push(watch, 'PASS')).toMatchObject({ kind: 'pass' });
    expect(watch.settle()).toBeUndefined();
    expect(push(watch, ' PASS PASS, rest')).toBeUndefined();
    expect(text(watch.unread.bytes)).toBe(', rest');
    expect(push(watch, ' FAIL')).toMatchObject({ kind: 'fail', index: 0 });
  });

  test('a fail text that comes right after a pass is seen while that settles', () => {
    const watch = new StreamWatch(armed({ pass: ['PASS'], fail: ['FAIL'] }));
    watch.finish();
    const event = push(watch, 'PASS FAIL');
    expect(event).toMatchObject({ kind: 'pass' });
    expect(watch.settle()).toMatchObject({ kind: 'fail', index: 0 });
  });

  test('a crash line that had begun before a fresh step is none after it', () => {
    const watch = new StreamWatch(armed({}));
    watch.expect(literal('never'));
    push(watch, '*** PANIC: old');
    watch.discard();
    expect(watch.crashInUnfinishedLine()).toBeUndefined();
    push(watch, 'er');
    watch.releaseFresh('from now on');
    watch.expect(literal('never'));
    expect(push(watch, ' one\r\n')).toBeUndefined();
  });

  test('what comes after the verdict is kept for the next session and matches nothing', () => {
    const watch = new StreamWatch(armed({ fail: ['bad'] }));
    watch.expect(literal('late'));
    push(watch, 'early ');
    watch.end();
    expect(push(watch, 'late bad')).toBeUndefined();
    expect(text(watch.unread.bytes)).toBe('early late bad');
  });

  test('quiet decides a regex on a prompt, also one that had arrived before the step', () => {
    const watch = new StreamWatch(armed({}));
    watch.idle();
    push(watch, 'boot\r\n$ ');
    expect(watch.expect(regex('^\\$ $'))).toBeUndefined();
    expect(watch.caresForQuiet).toBe(true);
    expect(watch.quiet()).toMatchObject({ kind: 'step' });
    expect(watch.caresForQuiet).toBe(false);
  });

  test('a crash that lacks the end of its line is known when time is up', () => {
    const watch = new StreamWatch(armed({}));
    watch.expect(literal('never'));
    push(watch, '*** PANIC: de');
    expect(watch.quiet()).toBeUndefined();
    expect(watch.crashInUnfinishedLine()).toMatchObject({
      kind: 'crash',
      family: 'sai-uno',
      line: '*** PANIC: de',
    });
  });
});

test.each([
  ['fresh', 'SS\r\n', 'SS\r\n'],
  ['fresh', '\x07ok', 'ok'],
  ['used up', 'SS\r\n', 'SS\r\n'],
  ['used up', '\x07ok', 'ok'],
])('of an ignored sequence that had begun before all was %s, nothing is left', (how, said, plain) => {
  for (const chunks of [[said], said.split('')]) {
    const watch = new StreamWatch(armed({ pass: ['PASS'] }), { escapeSequences: 'ignored' });
    watch.idle();
    watch.push(Buffer.from('old\x1b[0m\x1b]0;PA'));
    expect(text(watch.unread.bytes)).toBe('old\x1b[0m\x1b]0;PA');
    if (how === 'fresh') {
      watch.discard();
      watch.releaseFresh('from now on');
    } else watch.useUp();
    expect(text(watch.unread.bytes)).toBe('');
    watch.finish();
    for (const chunk of chunks) expect(watch.push(Buffer.from(chunk))).toBeUndefined();
    watch.end();
    expect(text(watch.unread.bytes)).toBe(said);
    expect(watch.expect(literal(plain))).toMatchObject({ kind: 'step' });
  }
});

test('of what no pattern uses, the last 64 KiB are kept', () => {
  const watch = new StreamWatch(armed({}));
  watch.expect(literal('never'));
  for (let i = 0; i < 100; i++) watch.push(Buffer.alloc(10_000, i));
  expect(watch.unread.bytes).toHaveLength(UNREAD_LIMIT_BYTES);
  expect(watch.unread.bytes[UNREAD_LIMIT_BYTES - 1]).toBe(99);
  expect(watch.droppedBytes).toBe(0);
});

test('what a paused session cannot keep for its next step is counted', () => {
  const watch = new StreamWatch(armed({}));
  watch.idle();
  for (let i = 0; i < 20; i++) watch.push(Buffer.alloc(1024 * 1024));
  watch.expect(literal('x'));
  expect(watch.droppedBytes).toBeGreaterThan(0);
  expect(watch.droppedBytes).toBeLessThanOrEqual(12 * 1024 * 1024);
});

test.each<[string, (watch: StreamWatch) => void]>([
  ['ends', (watch) => watch.end()],
  ['waits for a pass', (watch) => watch.finish()],
  [
    'begins afresh',
    (watch) => {
      watch.discard();
      watch.releaseFresh('from now on');
      watch.expect(literal('x'));
    },
  ],
])('a session that %s after a pause has lost nothing in it', (_what, goOn) => {
  const watch = new StreamWatch(armed({}));
  watch.idle();
  for (let i = 0; i < 20; i++) watch.push(Buffer.alloc(1024 * 1024));
  goOn(watch);
  expect(watch.droppedBytes).toBe(0);
});

test('after the verdict no more is held than is kept, however much the board says', () => {
  const watch = new StreamWatch(armed({ pass: ['PASS'] }));
  watch.idle();
  watch.push(Buffer.from('PASS'));
  const before = memoryInUse().arrayBuffers;
  for (let i = 0; i < 2000; i++) watch.push(Buffer.alloc(64 * 1024, i));
  expect(memoryInUse().arrayBuffers - before).toBeLessThan(32 * 1024 * 1024);
  expect(watch.unread.bytes).toHaveLength(UNREAD_LIMIT_BYTES);
});

test('what a step has used does not come again when a pass that ends before it is decided later', () => {
  const watch = new StreamWatch({ pass: [regex('PASS')], fail: [], crash: [] });
  watch.expect(literal('> '));
  expect(watch.push(Buffer.from('PASS > rest'))).toMatchObject({ kind: 'step' });
  watch.finish();
  expect(watch.push(Buffer.from('\n'))).toMatchObject({ kind: 'pass' });
  expect(text(watch.unread.bytes)).toBe('rest\n');
});

describe.each(['seen', 'ignored'] as const)('with escape sequences %s, a dump', (escapeSequences) => {
  test.each([1, 7, 1000])('in chunks of %d takes its own lines along, and no more', (size) => {
    const watch = new StreamWatch(armed({}), { escapeSequences });
    const own = `*** PANIC: \x1b[1;31mx\x1b[0m\r\n${'\x1b[33mr0 0\x1b[0m\r\n'.repeat(9)}`;
    const next = '\x1b[32mboot\x1b[0m\r\nok\r\n';
    const said = Buffer.from(own + next);
    let left = 10;
    const reader = (bytes: Uint8Array): number => {
      let used = 0;
      for (let at = 0; left > 0; left--) {
        const end = bytes.indexOf(10, at) + 1;
        if (end === 0) break;
        used += end - at;
        at = end;
      }
      return used;
    };
    let hasCrashed = false;
    watch.idle();
    for (let at = 0; at < said.length; at += size) {
      const event = watch.push(said.subarray(at, at + size));
      hasCrashed ||= event?.kind === 'crash';
    }
    expect(hasCrashed).toBe(true);
    watch.readDump(reader);
    expect(text(watch.unread.bytes)).toBe(next);
  });
});

test('with no step to come nothing is counted as lost', () => {
  const watch = new StreamWatch(armed({ pass: ['done'] }));
  watch.finish();
  for (let i = 0; i < 20; i++) watch.push(Buffer.alloc(1024 * 1024));
  expect(watch.droppedBytes).toBe(0);
  expect(watch.push(Buffer.from('done'))).toMatchObject({ kind: 'pass', index: 0 });
});
