import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { describe, test } from 'vitest';
import { reasonOf } from '../../src/base/errors.ts';
import type { TestReport } from '../in-guest/vitest.ts';
import type { GpioGuest } from './gpio-guest.ts';
import { ROOT } from './running-lab.ts';

const FOLDER = join(ROOT, 'test/in-guest');

/**
 * Runs `file`, of test/in-guest, with the guest's kernel, and tells each of its tests as one of the host's; to be awaited
 * while tests are collected, which is when their names are wanted. `whyNot`: what this machine lacks.
 */
export async function guestTests(
  guest: GpioGuest | undefined,
  file: string,
  whyNot: string | undefined,
): Promise<void> {
  if (!guest || whyNot !== undefined) {
    test(`the tests of ${file} in the guest`, (context) => context.skip(true, whyNot));
    return;
  }
  // What goes wrong here is a failed test: the file's other tests and hooks run all the same, and end the guest.
  const failed = (error: unknown): TestReport[] => [{ name: 'all of it is run', problem: reasonOf(error) }];
  const reports = await guestReports(guest, file).catch(failed);
  describe(`in the guest, ${file}`, () => {
    for (const { name, problem } of reports) {
      test(name, () => {
        if (problem !== undefined) throw new Error(`in the guest: ${problem}`);
      });
    }
  });
}

/** No test takes as long, on no host: its own time is over by then. Who collects tests has no other limit. */
const LONGEST_SILENCE_MS = 300_000;
const BEGUN = 'begun: ';

/**
 * What became of each test of `file`. A process of its own each, started at the root: that is where the bundle finds
 * packages.
 *
 * @throws when it ends without saying so, or nothing has been begun for `longestSilenceMs`
 */
export async function guestReports(
  guest: GpioGuest,
  file: string,
  longestSilenceMs = LONGEST_SILENCE_MS,
): Promise<readonly TestReport[]> {
  const bundle = await bundleOf(file);
  const program = guest.start(process.execPath, ['-'], { cwd: ROOT, input: bundle });
  let last = 'nothing';
  let timer: NodeJS.Timeout | undefined;
  const stuck = new Promise<never>((_, reject) => {
    const renew = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        const limit = `${longestSilenceMs / 1000} s`;
        reject(new Error(`${file}: expected an end within ${limit} of what was begun last: ${last}`));
      }, longestSilenceMs);
    };
    renew();
    program.onLine((line) => {
      if (!line.startsWith(BEGUN)) return;
      last = line.slice(BEGUN.length);
      renew();
    });
  });
  try {
    const { status, stdout, stderr } = await Promise.race([program.outcome, stuck]);
    const json = stdout.split('\n').findLast((line) => line.startsWith('[{"'));
    if (json === undefined || status !== 0)
      throw new Error(`${file}: expected a report, got ${status}: ${stdout}${stderr}`);
    return JSON.parse(json) as TestReport[];
  } finally {
    clearTimeout(timer);
    program.kill('SIGKILL');
  }
}

/** Made here: an emulated machine would take ten seconds to read the sources. */
async function bundleOf(file: string): Promise<string> {
  const entry = `
    import { writeFileSync } from 'node:fs';
    import { runTests } from 'vitest';
    const begun = (name) => writeFileSync(1, '${BEGUN}' + name + '\\n');
    runTests('${file}', () => import('./${file}'), begun).then((reports) => {
      writeFileSync(1, JSON.stringify(reports) + '\\n');
      process.exit(0);
    });`;
  const { outputFiles } = await build({
    stdin: { contents: entry, resolveDir: FOLDER, loader: 'ts' },
    alias: { vitest: join(FOLDER, 'vitest.ts') },
    define: { 'import.meta.url': JSON.stringify(pathToFileURL(join(FOLDER, file)).href) },
    external: ['koffi', 'node-libgpiod'],
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20.19',
    write: false,
  });
  return outputFiles[0]?.text ?? '';
}
