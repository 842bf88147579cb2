import { defineConfig } from 'vitest/config';

/** For the tests that run with the guest's own kernel: test/peers/guest-tests.ts starts them. */
export default defineConfig({
  test: { include: ['*.test.ts'], testTimeout: 30_000, pool: 'threads', fileParallelism: false },
});
