/** A promise that `start` is told how to settle, unless `over` is aborted before: then it rejects with that reason. */
export function untilDone<T>(
  over: AbortSignal,
  start: (resolve: (value: T) => void, reject: (error: unknown) => void) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(over.reason as Error);
    if (over.aborted) {
      stop();
      return;
    }
    over.addEventListener('abort', stop, { once: true });
    const settle = (settled: () => void): void => {
      over.removeEventListener('abort', stop);
      settled();
    };
    start(
      (value) => settle(() => resolve(value)),
      (error) => settle(() => reject(error as Error)),
    );
  });
}
