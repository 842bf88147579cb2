import { RigError } from '../base/errors.ts';

/** Something that the jig asks for something: a plug, a hub, a command, a web server. */
export class PeerError extends RigError {
  readonly code: 'peer-unavailable' | 'peer-answer';

  /** `peer-unavailable`: it did not answer; `peer-answer`: it did, and not as it should. */
  constructor(code: PeerError['code'], message: string, options?: ErrorOptions) {
    super(code === 'peer-answer' ? 'protocol' : 'unavailable', message, options);
    this.code = code;
  }
}
