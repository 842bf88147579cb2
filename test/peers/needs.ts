import { spawnSync } from 'node:child_process';
import type { TestContext } from 'vitest';
import { reasonOf } from '../../src/base/errors.ts';
import { boardType } from '../../src/virtual-lab/board-types.ts';
import { ROOT } from './running-lab.ts';

/** Skips the test, with the reason, where the machine lacks a program. */
export function needsProgram(context: TestContext, name: string): void {
  context.skip(!hasProgram(name), `needs the program ${name}`);
}

export function hasProgram(name: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${name}`]).status === 0;
}

/** Skips the test, with the reason, for everybody but root. */
export function needsRoot(context: TestContext, why: string): void {
  context.skip(process.getuid?.() !== 0, `needs root: ${why}`);
}

/** Why sai-jig has no libgpiod here; undefined when it has. */
export function whyNoLibgpiod(): string | undefined {
  const { status } = spawnSync(process.execPath, ['-e', "require('node-libgpiod')"], { cwd: ROOT });
  return status === 0 ? undefined : 'needs node-libgpiod, which scripts/setup.mjs --heavy builds';
}

/** Why a board of the virtual lab cannot be started here; undefined when it can. */
export function whyNoBoard(type: string): string | undefined {
  try {
    boardType(type).check(process.env);
    return undefined;
  } catch (error) {
    return reasonOf(error);
  }
}

/** Skips the test, with the reason, where a board of the virtual lab cannot be started. */
export function needsBoard(context: TestContext, type: string): void {
  const why = whyNoBoard(type);
  context.skip(why !== undefined, why);
}
