import { defineConfig } from 'vitest/config';

/** For the tests on an emulated Raspberry Pi: scripts/test-pi.mjs starts them. A minute, where the host is busy. */
export default defineConfig({
  test: { include: ['*.test.ts'], testTimeout: 120_000, hookTimeout: 300_000 },
});
