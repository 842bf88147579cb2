import type { Console } from '../../src/tty/console.ts';

/** A tty whose driver counts overruns, as no pty does. */
export function countingConsole(said: string, overruns: number | undefined): Console {
  let release = (): void => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  return {
    label: 'tty0',
    overruns,
    bytes: (async function* () {
      yield Buffer.from(said);
      await released;
    })(),
    send: async () => {},
    sendBreak: async () => {},
    drive: () => {},
    [Symbol.asyncDispose]: async () => release(),
  };
}
