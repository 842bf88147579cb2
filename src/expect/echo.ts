import { isatty } from 'node:tty';
import type { Invocation } from '../base/run-main.ts';
import { PatientOutput } from './patient-output.ts';
import type { Request } from './request.ts';

export const STDOUT = 1;

/** Where the board is shown as it talks; undefined where it is not. */
export function openEcho(request: Request, { diagnostics }: Invocation): PatientOutput | undefined {
  if (request.echo === 'never') return undefined;
  if (request.echo === 'on a terminal' && !isatty(STDOUT)) return undefined;
  return new PatientOutput(STDOUT, (lostBytes, why) => {
    diagnostics.say(`${lostBytes} bytes of the board are not shown on stdout: ${why}`);
  });
}
