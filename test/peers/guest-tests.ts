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
 * Runs a file of test/in-guest, `file`, with the guest's kernel, and tells each of its tests as one of the host's; to be awaited
 * while tests are collected, which is when their names are wanted.
 */
export async function guestTests(file: string, nodeOptions: readonly string[] = []): Promise<void> {
  const why = whyNoGpioGuest();
  if (why !== undefined) {
    test(`the tests of ${file} in the guest`, (context) => context.skip(true, why));
    return;
  }
  const { testResults } = await reportOf(file, nodeOptions);
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

async function reportOf(file: string, nodeOptions: readonly string[]): Promise<JsonReport> {
  await using guest = await GpioGuest.start();
  const { stdout, stderr } = await guest.run(process.execPath, [
    ...nodeOptions,
    `${ROOT}/node_modules/vitest/vitest.mjs`,
    ...['run', file, `--root=${ROOT}/test/in-guest`, '--configLoader=runner', '--reporter=json'],
  ]);
  const json = stdout.split('\n').find((line) => line.startsWith('{"'));
  if (json === undefined) throw new Error(`expected a report of ${file}, got: ${stdout}${stderr}`);
  return JSON.parse(json) as JsonReport;
}
