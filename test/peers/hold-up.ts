/** Nothing in this process goes on for so long, as on a busy machine; then its timers are the first to. */
export function holdUp(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(() => {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
      resolve();
    });
  });
}
