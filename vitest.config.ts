import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Those run with another kernel: test/peers/guest-tests.ts, scripts/test-pi.mjs.
    exclude: ['test/in-guest/**', 'test/pi/**'],
    globalSetup: ['test/build-commands.ts'],
    // Upper bounds for what hangs, on a host that does much else besides: nothing is measured by them.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 60_000 } },
    maxWorkers: 2,
    // Of one file's concurrent tests, each with a rig of several processes.
    maxConcurrency: 4,
  },
});
