import { describe, test } from 'vitest';
import { GpioGuest, whyNoGpioGuest } from './gpio-guest.ts';
import { ROOT } from './running-lab.ts';

interface JsonReport {
  readonly testResults: readonly {
    readonly message: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

/**
 * Runs `file`, of test/in-guest, with the guest's kernel, and tells each of its tests as one of the host's; to be awaited
 * while tests are collected, which is when their names are wanted. `whyNot`: what this machine lacks besides a guest.
 */
export async function guestTests(file: string, whyNot?: string): Promise<void> {
  const why = whyNoGpioGuest() ?? whyNot;
  if (why !== undefined) {
    test(`the tests of ${file} in the guest`, (context) => context.skip(true, why));
    return;
  }
  const { testResults } = await reportOf(file);
  const [result] = testResults;
  describe('in the guest', () => {
    if (!result?.assertionResults.length) {
      test(`the tests of ${file} are found`, () => {
        throw new Error(result?.message ?? 'expected a report of one file, got none');
      });
    }
    for (const { fullName, status, failureMessages } of result?.assertionResults ?? []) {
      test(fullName, () => {
        if (status !== 'passed') throw new Error(`${status} in the guest: ${failureMessages.join('\n')}`);
      });
    }
  });
}

async function reportOf(file: string): Promise<JsonReport> {
  await using guest = await GpioGuest.start();
  const { stdout, stderr } = await guest.run(process.execPath, [
    `${ROOT}/node_modules/vitest/vitest.mjs`,
    ...['run', file, `--root=${ROOT}/test/in-guest`, '--configLoader=runner', '--reporter=json'],
  ]);
  const json = stdout.split('\n').find((line) => line.startsWith('{"'));
  if (json === undefined) throw new Error(`expected a report of ${file}, got: ${stdout}${stderr}`);
  return JSON.parse(json) as JsonReport;
}
