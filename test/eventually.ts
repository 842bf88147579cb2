const POLL_MS = 5;

/** For what the kernel has no event for: resolves once `condition` holds. @throws when it does not within the time */
export async function eventually(what: string, condition: () => boolean, limitMs = 10_000): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`expected ${what} within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
