/**
 * Stands for `vitest` in the bundles of these tests: its own runner and matchers, without the server and the transforms
 * by which an emulated machine takes twenty times as long to begin.
 */

import {
  ASYMMETRIC_MATCHERS_OBJECT,
  chai,
  JestAsymmetricMatchers,
  JestChaiExpect,
  JestExtend,
} from '@vitest/expect';
import { type File, startTests, type Task, type VitestRunner, type VitestRunnerConfig } from '@vitest/runner';

// biome-ignore lint/performance/noBarrelFile: it stands for one
export { describe, onTestFinished, test } from '@vitest/runner';

chai.use(JestExtend);
chai.use(JestChaiExpect);
chai.use(JestAsymmetricMatchers);

const matchers = globalThis as unknown as Record<symbol, object>;

export const expect = Object.assign(
  (value: unknown, message?: string) => chai.expect(value, message),
  chai.expect,
  matchers[ASYMMETRIC_MATCHERS_OBJECT],
);

const TIMEOUT_MS = 120_000;

const CONFIG: Partial<VitestRunnerConfig> = {
  root: '/',
  setupFiles: [],
  sequence: { shuffle: false, concurrent: false, seed: 0, hooks: 'stack', setupFiles: 'parallel' },
  maxConcurrency: 1,
  testTimeout: TIMEOUT_MS,
  hookTimeout: TIMEOUT_MS,
  retry: 0,
  tags: [],
};

/** What became of one test. */
export interface TestReport {
  readonly name: string;
  readonly problem?: string;
}

/** Runs what `load` defines, one test after the other, and tells `onBegin` the name of each. */
export async function runTests(
  path: string,
  load: () => Promise<unknown>,
  onBegin: (name: string) => void,
): Promise<TestReport[]> {
  const runner: VitestRunner = {
    config: CONFIG as VitestRunnerConfig,
    importFile: load,
    onBeforeRunTask: ({ name }) => onBegin(name),
  };
  const alive = setInterval(() => {}, TIMEOUT_MS); // a test that waits for nothing is to be told, and its timer does not
  const files = await startTests([path], runner);
  clearInterval(alive);
  return files.flatMap((file) => reportsOf(file, file));
}

function reportsOf(task: Task, file: File, suites = ''): TestReport[] {
  const name = task === file ? '' : `${suites}${task.name}`;
  const errors = task.result?.errors?.map(({ message, diff }) => [message, diff].filter(Boolean).join('\n'));
  if (task.type === 'test') {
    const isPassed = task.result?.state === 'pass';
    return [
      isPassed ? { name } : { name, problem: errors?.join('\n') ?? `${task.result?.state ?? task.mode}` },
    ];
  }
  const own = errors?.length ? [{ name: name || 'it can be loaded', problem: errors.join('\n') }] : [];
  return [...own, ...task.tasks.flatMap((each) => reportsOf(each, file, name && `${name} > `))];
}
