import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { JigError } from './jig-error.ts';

/** One request of a client, until it is answered. */
export interface Asked {
  /** Aborted when the client hangs up. */
  readonly gone: AbortSignal;
  end(): void;
}

/** Who is at the other end of a connection, and what it asks for. */
export class HttpClient {
  /** Also known when it has gone. */
  readonly address: string;
  /** Common name of the certificate that it has shown. */
  readonly certificate: string | undefined;
  /** Of several answers on their way Node.js tells only the first that the connection has closed. */
  readonly #asking = new Map<AbortController, ServerResponse>();

  constructor(socket: Socket) {
    this.address = socket.remoteAddress ?? 'gone';
    this.certificate = commonNameOf(socket);
    socket.once('close', () => {
      for (const gone of this.#asking.keys()) gone.abort(new JigError('aborted', 'the client has gone'));
    });
  }

  /** How many requests. */
  get unanswered(): number {
    return this.#asking.size;
  }

  /** Nothing that is said to it now would be taken for part of an answer to something else. */
  get isUnanswered(): boolean {
    const [first, second] = this.#asking.values();
    return second === undefined && !first?.headersSent;
  }

  ask(response: ServerResponse): Asked {
    const gone = new AbortController();
    this.#asking.set(gone, response);
    return { gone: gone.signal, end: () => void this.#asking.delete(gone) };
  }
}

function commonNameOf(socket: Socket): string | undefined {
  // Null of a client that hung up at once, whatever the types say.
  const shown: { subject?: { CN?: string | string[] } } | null =
    socket instanceof TLSSocket ? socket.getPeerCertificate() : null;
  const names = shown?.subject?.CN;
  return Array.isArray(names) ? names.join(', ') : names;
}
