import { defineConfig } from 'vitest/config';

// One console: files one after the other. Each wait of a console ends by itself, and says more than the runner could.
export default defineConfig({
  test: { include: ['*.test.js'], fileParallelism: false, testTimeout: 60_000 },
});
