import { spawnSync } from 'node:child_process';
import type { TestContext } from 'vitest';

/** Skips the test, with the reason, where the machine lacks a program. */
export function needsProgram(context: TestContext, name: string): void {
  const { status } = spawnSync('sh', ['-c', `command -v ${name}`]);
  context.skip(status !== 0, `needs the program ${name}`);
}

/** Skips the test, with the reason, for everybody but root. */
export function needsRoot(context: TestContext, why: string): void {
  context.skip(process.getuid?.() !== 0, `needs root: ${why}`);
}
