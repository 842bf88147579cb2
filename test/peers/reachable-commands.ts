import { chmodSync, cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

const ROOT = new URL('../..', import.meta.url).pathname;

/** What the built `sai-device` loads. */
const PARTS = ['bin', 'dist', 'package.json', 'node_modules/koffi', 'node_modules/@koromix'];

/** Path of a copy of `sai-device` that any user may run, wherever this tree lies; gone when the test is. */
export function reachableSaiDevice(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sai-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const part of PARTS) cpSync(join(ROOT, part), join(folder, part), { recursive: true });
  chmodSync(folder, 0o755);
  return join(folder, 'bin', 'sai-device');
}
