import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
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

describe('the firmware, rebuilt', () => {
  if (compiler === undefined) {
    test('is the committed one', ({ skip }) => skip('there is no avr-gcc here'));
    return;
  }
  const scratch = mkdtempSync(join(tmpdir(), 'sai-uno-'));
  const rebuilt = join(scratch, 'uno.hex');
  beforeAll(() => {
    execFileSync(join(FOLDER, 'build.sh'), [rebuilt], { cwd: '/' });
  });
  afterAll(() => rmSync(scratch, { recursive: true }));

  if (compiler === committed.compiler) {
    test('is the committed one, byte for byte', () => {
      expect(readFileSync(rebuilt, 'utf8')).toBe(readFileSync(HEX, 'utf8'));
      expect(readFileSync(`${rebuilt}.json`, 'utf8')).toBe(readFileSync(`${HEX}.json`, 'utf8'));
    });
  } else {
    // Another compiler's bytes differ; what they do must not.
    consoleContract(rebuilt, compiler);
  }
});

function installedCompiler(): string | undefined {
  try {
    return `avr-gcc ${execFileSync('avr-gcc', ['-dumpversion'], { encoding: 'utf8', stdio: 'pipe' }).trim()}`;
  } catch {
    return undefined; // the question was whether there is one
  }
}
