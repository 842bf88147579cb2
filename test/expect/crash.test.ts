import { describe, expect, test } from 'vitest';
import { crashPatterns } from '../../src/expect/crash.ts';
import { StreamWatch, type WatchEvent } from '../../src/expect/stream-watch.ts';
import { CHUNKINGS } from '../peers/dut-on-pty.ts';

/** What boards print, and the crash line in it. */
const SAMPLES: readonly [family: string, text: string, line: string][] = [
  [
    'sai-uno',
    'sai-uno 1.0.0 (reset: external)\r\nready\r\n> panic\r\n*** PANIC: requested on the console\r\n',
    '*** PANIC: requested on the console',
  ],
  [
    'esp-idf',
    "I (312) main: start\r\nGuru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.\r\n\r\nCore  0 register dump:\r\n",
    "Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.",
  ],
  [
    'esp-idf',
    "Guru Meditation Error: Core  1 panic'ed (Interrupt wdt timeout on CPU1). \r\n",
    "Guru Meditation Error: Core  1 panic'ed (Interrupt wdt timeout on CPU1). ",
  ],
  [
    'esp-idf',
    'assert failed: app_main main.c:12 (0)\r\n\r\nabort() was called at PC 0x400d6c3f on core 0\r\n\r\nBacktrace: 0x40081b2e:0x3ffb5f30\r\n',
    'abort() was called at PC 0x400d6c3f on core 0',
  ],
  [
    'zephyr',
    '[00:00:00.010,000] <err> os: >>> ZEPHYR FATAL ERROR 4: Kernel panic on CPU 0\r\n',
    '[00:00:00.010,000] <err> os: >>> ZEPHYR FATAL ERROR 4: Kernel panic on CPU 0',
  ],
  [
    'zephyr',
    '\x1b[0m[00:00:01.250,000] \x1b[1;31m<err> os: >>> ZEPHYR FATAL ERROR 0: CPU exception on CPU 0\x1b[0m\r\n',
    '\x1b[0m[00:00:01.250,000] \x1b[1;31m<err> os: >>> ZEPHYR FATAL ERROR 0: CPU exception on CPU 0\x1b[0m',
  ],
  [
    'zephyr',
    'E: ***** BUS FAULT *****\r\nE: >>> ZEPHYR FATAL ERROR 25: Unknown error on CPU 0\r\n',
    'E: >>> ZEPHYR FATAL ERROR 25: Unknown error on CPU 0',
  ],
  [
    'linux',
    '[    1.337420] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\r\n',
    '[    1.337420] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)',
  ],
  [
    'linux',
    '<0>[   12.000001][    T1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b\r\n',
    '<0>[   12.000001][    T1] Kernel panic - not syncing: Attempted to kill init! exitcode=0x0000000b',
  ],
  ['linux', 'Kernel panic - not syncing: Fatal exception\r\n', 'Kernel panic - not syncing: Fatal exception'],
];

/** What healthy boards print, with the same words in it. */
const NEAR_MISSES: readonly string[] = [
  'test_panic: checks that *** PANIC: is printed ... ok\r\n',
  '> echo *** PANIC: not mine\r\n',
  "I (99) doc: a Guru Meditation Error: Core  0 panic'ed (x) looks like this\r\n",
  'Guru Meditation Error handler installed\r\n',
  'W (12) app: abort() was called at PC by the test double\r\n',
  'abort() was called by the user on core 0\r\n',
  '[00:00:00.010,000] <inf> doc: look for >>> ZEPHYR FATAL ERROR 4: in the log\r\n',
  '>>> ZEPHYR FATAL ERROR count: 0\r\n',
  '[    0.000000] Kernel command line: panic=1 console=ttyS0\r\n',
  '[    0.500000] pstore: will save Kernel panic - not syncing: lines\r\n',
  'Kernel panic - not syncing\r\n',
];

describe.each(CHUNKINGS)('%s', (chunking) => {
  const eventOf = (text: string): WatchEvent | undefined => {
    const watch = new StreamWatch({ pass: [], fail: [], crash: crashPatterns() });
    watch.expect({ kind: 'literal', bytes: Buffer.from('never') });
    const bytes = Buffer.from(text, 'latin1');
    const chunks = chunking === 'whole chunks' ? [bytes] : [...bytes].map((byte) => Buffer.of(byte));
    for (const chunk of chunks) {
      const event = watch.push(chunk);
      if (event) return event;
    }
    return undefined;
  };

  test.each(SAMPLES)('a crash of %s is known: %j', (family, text, line) => {
    expect(eventOf(text)).toEqual({ kind: 'crash', family, line });
  });

  test.each(NEAR_MISSES)('no crash: %j', (text) => {
    expect(eventOf(text)).toBeUndefined();
  });
});

test('every family has a sample', () => {
  const families = new Set(crashPatterns().map(({ family }) => family));
  expect(new Set(SAMPLES.map(([family]) => family))).toEqual(families);
});
