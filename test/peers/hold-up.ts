/**
 * Nothing in this process goes on for so long, as on a busy machine, from just after `act`; then its timers are due before
 * it can read.
 */
export function holdUpAfter(act: () => void, ms: number): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(() => {
      act();
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
      resolve();
    });
  });
}
