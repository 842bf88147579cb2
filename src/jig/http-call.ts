import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { formatDuration } from '../base/duration.ts';
import { errnoCode, reasonOf } from '../base/errors.ts';
import { LinkedSignal } from '../base/linked-signal.ts';
import { PeerError } from './peer-error.ts';

export interface HttpCall {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  /** Status of the answer; undefined for any of 200 to 299. */
  readonly expected: number | undefined;
  /** From the first byte to the last of the answer. */
  readonly withinMs: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly text: string;
}

export type CallHttp = (call: HttpCall, signal: AbortSignal) => Promise<HttpAnswer>;

/** Far more than a plug says. */
const MAX_ANSWER_BYTES = 64 * 1024;

/**
 * One request on a connection of its own; redirects are answers.
 *
 * @throws {PeerError} when there is no answer in time, or it is no HTTP
 * @throws the reason of `signal`
 */
export const callHttp: CallHttp = async (call, signal) => {
  const where = withoutSecrets(call.url);
  const timeUp = new AbortController();
  const timer = setTimeout(() => timeUp.abort(), call.withinMs);
  using either = new LinkedSignal([timeUp.signal, signal]);
  try {
    return await exchange(call, either.signal);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof PeerError) throw new PeerError(error.code, `${where}: ${error.message}`);
    if (timeUp.signal.aborted) {
      throw new PeerError(
        'peer-unavailable',
        `${where}: expected an answer within ${formatDuration(call.withinMs)}, got none; is it on, and does the network reach it?`,
      );
    }
    if (errnoCode(error)?.startsWith('HPE_')) {
      throw new PeerError('peer-answer', `${where}: expected an answer in HTTP, got something else`, {
        cause: error,
      });
    }
    const what = errnoCode(error) === 'ECONNRESET' ? 'hung up before its answer was whole' : reasonOf(error);
    throw new PeerError('peer-unavailable', `${where}: ${what}; is it on, and does the network reach it?`, {
      cause: error,
    });
  } finally {
    clearTimeout(timer);
  }
};

/** What may be shown of an address: queries carry passwords. */
export function withoutSecrets(url: string): string {
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname === '/' ? '' : pathname}`;
}

function exchange({ url, method, headers, body }: HttpCall, signal: AbortSignal): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const send = url.startsWith('https:') ? requestHttps : requestHttp;
    const all = {
      ...headers,
      connection: 'close',
      ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
    };
    const request = send(url, { method, headers: all, agent: false, signal }, (response) => {
      textOf(response).then((text) => resolve({ status: response.statusCode ?? 0, text }), reject);
    });
    request.on('error', reject);
    request.end(body);
  });
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    sizeBytes += chunk.length;
    if (sizeBytes > MAX_ANSWER_BYTES) {
      throw new PeerError('peer-answer', `expected an answer of at most ${MAX_ANSWER_BYTES} bytes, got more`);
    }
  }
  return Buffer.concat(chunks).toString();
}
