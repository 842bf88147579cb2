import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Those run with another kernel: test/peers/guest-tests.ts, scripts/test-pi.mjs.
    exclude: ['test/in-guest/**', 'test/pi/**'],
    globalSetup: ['test/build-commands.ts'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    maxWorkers: 2,
    // Of one file's concurrent tests, each with a rig of several processes.
    maxConcurrency: 4,
  },
});
