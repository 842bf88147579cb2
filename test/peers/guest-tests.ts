import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { describe, test } from 'vitest';
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
  const reports = await reportsOf(guest, file);
  describe(`in the guest, ${file}`, () => {
    for (const { name, problem } of reports) {
      test(name, () => {
        if (problem !== undefined) throw new Error(`in the guest: ${problem}`);
      });
    }
  });
}

/** A process of its own each, started at the root: that is where the bundle finds packages. */
async function reportsOf(guest: GpioGuest, file: string): Promise<readonly TestReport[]> {
  const { status, stdout, stderr } = await guest.run(process.execPath, ['-'], {
    cwd: ROOT,
    input: await bundleOf(file),
  });
  const json = stdout.split('\n').find((line) => line.startsWith('[{"'));
  if (json === undefined) throw new Error(`${file}: expected a report, got ${status}: ${stdout}${stderr}`);
  return JSON.parse(json) as TestReport[];
}

/** Made here: an emulated machine would take ten seconds to read the sources. */
async function bundleOf(file: string): Promise<string> {
  const entry = `
    import { writeFileSync } from 'node:fs';
    import { runTests } from 'vitest';
    runTests('${file}', () => import('./${file}')).then((reports) => {
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
