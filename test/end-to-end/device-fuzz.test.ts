import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Bench } from '../peers/bench.ts';
import { printedSeed } from '../peers/seeded-random.ts';

const RUNS = process.env['SAI_TEST_REQUIRE'] === 'all' ? 600 : 100;

/** What the help promises, and what `sh` may answer. */
const DOCUMENTED = [0, 1, 2, 64, 69, 74, 75, 78, 126, 127];

const flag = fc.constantFrom(
  ...[
    '--name',
    '--tag',
    '--wait',
    '--max-lease',
    '--grace',
    '--config',
    '--priority',
    '--and',
    '--quarantine',
  ],
  ...[
    '--release',
    '--reason',
    '--keep-daemons',
    '--no-wait',
    '--new',
    '--list',
    '--json',
    '--optional',
    '--force',
  ],
  ...['-q', '-v', '--check', '--scan', '--doctor', '--tool', '--flash', '--help', '--nonsense', '-x', '--'],
);
const word = fc.oneof(
  fc.constantFrom(
    'uno',
    'uno1',
    'esp32',
    'PORT=0',
    'PORT=9',
    'SAI_X=0',
    'a=',
    '=',
    '10ms',
    '1h',
    'forever',
    '5',
  ),
  fc.constantFrom(
    'true',
    'false',
    '/dev/null',
    '/',
    '',
    'peer=uno',
    'peer=peer',
    '-1',
    '99999999999h',
    'ü\u0000',
  ),
  fc.string({ maxLength: 6 }),
);
/** Something of a command line that is right, in the midst of what is not. */
const line = fc
  .tuple(
    fc.array(fc.oneof(flag, flag, word), { maxLength: 5 }),
    fc.constantFrom([], ['--no-wait', 'uno', 'true']),
  )
  .map(([some, end]) => [...some, ...end].map((each) => each.replaceAll('\0', '')));

test('any command line ends soon, with a documented status and without a stack', {
  timeout: 120_000,
}, async () => {
  await using bench = new Bench();
  const seed = printedSeed();
  await fc.assert(
    fc.asyncProperty(line, async (args) => {
      const started = bench.start(args);
      started.closeInput();
      const { status, signal, stderr } = await started.ended;
      expect({ args, signal, isDocumented: DOCUMENTED.includes(status ?? -1), status }).toEqual({
        args,
        signal: null,
        isDocumented: true,
        status,
      });
      expect(stderr).not.toMatch(/^\s+at |node:internal|TypeError|undefined/m);
      for (const each of stderr.split('\n').filter((text) => text !== ''))
        expect(each).toMatch(/^sai-device: /);
    }),
    { numRuns: RUNS, seed },
  );
  expect(bench.leftBehind()).toEqual([]);
});
