/** What a request is told that was not done, and where in its sequence that was. */

import { RigError } from '../base/errors.ts';
import type { JigErrorCode } from '../wire/jig.ts';
import { InterlockError } from './interlock-error.ts';
import { JigError } from './jig-error.ts';
import { PeerError } from './peer-error.ts';
import type { Step } from './sequence.ts';

/** What of a sequence runs now. */
export interface Running {
  readonly sequence: string;
  /** The one that was begun last. */
  step?: Step;
}

/** `both: seq.2: reverse=1: `; empty while nothing runs. */
export function placeIn(running: Running | undefined): string {
  const { sequence, step } = running ?? {};
  return sequence === undefined || !step ? '' : `${sequence}: ${step.path}: ${step.text}: `;
}

/** What fails in a step says itself which, but for a line that refuses; what fails in none is of all the target. @throws what is our own bug */
export function failureOf(error: unknown, target: string, running?: Running): JigError {
  if (error instanceof JigError) return error;
  if (!(error instanceof RigError)) throw error;
  const told = (code: JigErrorCode, place: string): JigError =>
    new JigError(code, `${target}: ${place}${error.message}`, { cause: error });
  const sequence = running ? `${running.sequence}: ` : '';
  if (error instanceof PeerError) return told(error.code, sequence);
  if (error instanceof InterlockError) return told(error.code, placeIn(running));
  return error.blame === 'verdict' ? told('not-in-time', sequence) : told('line-unavailable', '');
}
