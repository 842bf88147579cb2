import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Those run with another kernel: test/peers/guest-tests.ts, scripts/test-pi.mjs.
    exclude: ['test/in-guest/**', 'test/pi/**'],
    globalSetup: ['test/build-commands.ts'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // One more than the cores of the machines that it is to be fast on: for a third of the time a file of tests waits,
    // for boards, for other programs, for time that is up.
    maxWorkers: 3,
    // Of one file's concurrent tests, each with a rig of several processes.
    maxConcurrency: 4,
  },
});
