import { RigError } from '../base/errors.ts';

/** A step that would make a second line of an interlock active. No line has changed. */
export class InterlockError extends RigError {
  readonly code = 'interlocked';

  constructor(message: string) {
    super('config', message);
  }
}
