import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { afterAll, describe, expect, test } from 'vitest';
import { packageFile } from '../../src/base/package-file.ts';
import { consoleContract } from './uno-firmware.ts';

const FOLDER = packageFile('src/virtual-lab/firmware/uno');
const HEX = join(FOLDER, 'uno.hex');
const Note = v.strictObject({ compiler: v.string(), sha256: v.string() });
const committed = v.parse(Note, JSON.parse(readFileSync(`${HEX}.json`, 'utf8')));
const compiler = installedCompiler();

test('the note beside the image is about that image', () => {
  expect(createHash('sha256').update(readFileSync(HEX)).digest('hex')).toBe(committed.sha256);
});

describe.skipIf(compiler === undefined)(
  `the firmware rebuilt${compiler ? ` with ${compiler}` : ', skipped: no avr-gcc here'}`,
  () => {
    const scratch = mkdtempSync('/tmp/sai-uno-');
    const rebuilt = join(scratch, 'uno.hex');
    afterAll(() => rmSync(scratch, { recursive: true }));
    if (compiler !== undefined) execFileSync(join(FOLDER, 'build.sh'), [rebuilt], { cwd: '/' });

    test.skipIf(compiler !== committed.compiler)(
      `is byte for byte the committed one (skipped unless built with ${committed.compiler})`,
      () => {
        expect(readFileSync(rebuilt)).toEqual(readFileSync(HEX));
        expect(readFileSync(`${rebuilt}.json`)).toEqual(readFileSync(`${HEX}.json`));
      },
    );

    // The same bytes behave the same; another compiler's have to show it.
    if (compiler !== undefined && compiler !== committed.compiler) consoleContract(rebuilt, compiler);
  },
);

function installedCompiler(): string | undefined {
  try {
    return `avr-gcc ${execFileSync('avr-gcc', ['-dumpversion'], { encoding: 'utf8', stdio: 'pipe' }).trim()}`;
  } catch {
    return undefined; // the question was whether there is one
  }
}
