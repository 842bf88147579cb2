/** For a process that ends with whoever started it: resolves once nobody can write to its standard input any more. */
export function stdinEnd(): Promise<undefined> {
  return new Promise((resolve) => {
    for (const event of ['end', 'close', 'error']) process.stdin.once(event, () => resolve(undefined));
    process.stdin.resume();
  });
}
