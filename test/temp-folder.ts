import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** An empty folder with a path short enough for sockets; gone when the test is. */
export function tempFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sai-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
