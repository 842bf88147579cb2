/** Closed until opened, once. Nothing is kept of those who waited and have gone. */
export class Gate {
  #waiting: Set<() => void> | undefined = new Set();

  open(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const pass of waiting) pass();
  }

  /** Resolves once it is open. @throws the reason of `gone` */
  async passed(gone: AbortSignal): Promise<void> {
    gone.throwIfAborted();
    const waiting = this.#waiting;
    if (!waiting) return;
    await new Promise<void>((resolve, reject) => {
      const onGone = (): void => {
        waiting.delete(pass);
        reject(gone.reason as Error);
      };
      const pass = (): void => {
        gone.removeEventListener('abort', onGone);
        resolve();
      };
      waiting.add(pass);
      gone.addEventListener('abort', onGone, { once: true });
    });
  }
}
