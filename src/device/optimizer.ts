/**
 * Does something for which V8 optimizes nothing: most of what a waiter would add to a bare Node.js is the compiler's own
 * code, four megabytes, for looks that come once a second. Afterwards all is as before; V8 takes no code that was compiled
 * ahead while its flags differ. For processes that are ours from start to end.
 * Source: node --v8-options.
 */
export async function withoutOptimizer<T>(work: () => Promise<T>): Promise<T> {
  const { setFlagsFromString } = await import('node:v8');
  setFlagsFromString('--no-opt');
  try {
    return await work();
  } finally {
    setFlagsFromString('--opt');
  }
}
