import { type Blame, RigError } from '../base/errors.ts';
import type { JigErrorCode } from '../wire/jig.ts';

const BLAME: Readonly<Record<JigErrorCode, Blame>> = {
  'bad-request': 'usage',
  unauthorized: 'config',
  forbidden: 'usage',
  'not-found': 'usage',
  'wrong-method': 'usage',
  'too-large': 'usage',
  'unknown-target': 'config',
  'unknown-sequence': 'config',
  busy: 'busy',
  fenced: 'unavailable',
  'fence-required': 'usage',
  aborted: 'unavailable',
  'line-unavailable': 'unavailable',
  stopping: 'unavailable',
  'not-in-time': 'verdict',
  interlocked: 'config',
  'active-too-long': 'config',
  'peer-unavailable': 'unavailable',
  'peer-answer': 'protocol',
};

/** A request that was not done, and why. */
export class JigError extends RigError {
  readonly code: JigErrorCode;

  constructor(code: JigErrorCode, message: string, options?: ErrorOptions) {
    super(BLAME[code], message, options);
    this.code = code;
  }
}
