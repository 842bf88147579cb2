import type { OpenConsole } from '../tty/console.ts';
import { openTtyConsole } from '../tty/tty-console.ts';
import type { Request } from './request.ts';

/** What opens a tty by that driver. The one of another package is loaded for those who ask for it. */
export async function driverOf(name: Request['driver']): Promise<OpenConsole> {
  if (name === 'tty') return openTtyConsole;
  const { openSerialConsole } = await import('../tty/serial-console.ts');
  return openSerialConsole;
}
