import { readFileSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { rootCertificates } from 'node:tls';
import * as v from 'valibot';
import { type Blame, RigError, reasonOf } from '../base/errors.ts';
import { FENCE_HEADER, JigErrorBody, type JigErrorCode } from '../wire/jig.ts';

/** A host that does not take a connection by then is down, or behind a firewall that says nothing. */
const CONNECT_TIMEOUT_MS = 10_000;

/** Far more than a report of ten thousand steps. */
const MAX_BODY_BYTES = 8 * 1024 * 1024;

const BLAME: Readonly<Record<JigErrorCode, Blame>> = {
  'bad-request': 'usage',
  unauthorized: 'config',
  forbidden: 'config',
  'not-found': 'config',
  'wrong-method': 'protocol',
  'too-large': 'protocol',
  'unknown-target': 'config',
  'unknown-sequence': 'usage',
  busy: 'busy',
  fenced: 'unavailable',
  'fence-required': 'config',
  aborted: 'unavailable',
  'line-unavailable': 'unavailable',
  stopping: 'unavailable',
  'not-in-time': 'verdict',
  interlocked: 'config',
  'active-too-long': 'config',
  'peer-unavailable': 'unavailable',
  'peer-answer': 'protocol',
};

/** For jigs that say nothing but a status, as Sai's does. */
const BLAME_OF_STATUS: Readonly<Record<number, readonly [Blame, string]>> = {
  400: ['usage', 'no such sequence'],
  401: ['config', 'it asks for a token'],
  403: ['config', 'it refuses this client'],
  404: ['config', 'no such target'],
  409: ['busy', 'the target is busy'],
};

/** Whom to ask, and as whom. */
export interface JigAccess {
  /** Bearer token. */
  readonly token?: string | undefined;
  /** Number of the lease in whose name this is asked. */
  readonly fence?: string | undefined;
  /** File of certificates to trust besides those of Node.js, for a command that starts without NODE_EXTRA_CA_CERTS. */
  readonly extraCertificates?: string | undefined;
  /** Ends the wait for an answer, by hanging up. */
  readonly signal: AbortSignal;
}

/**
 * The answer to one request, begun: its status is 2xx.
 *
 * @throws {RigError} blame `unavailable` when nobody answers or the answer breaks off, otherwise by what the jig says
 * @throws the reason of `signal`
 */
export async function ask(method: 'GET' | 'POST', url: string, access: JigAccess): Promise<IncomingMessage> {
  const answer = await begin(method, url, access);
  const status = answer.statusCode ?? 0;
  if (status >= 200 && status < 300) return answer;
  const text = await textOf(answer, url, access.signal);
  const body = v.safeParse(JigErrorBody, jsonOrUndefined(text));
  if (body.success) throw new RigError(BLAME[body.output.code], `jig ${url}: ${body.output.error}`);
  const [blame, meaning] = BLAME_OF_STATUS[status] ?? ['protocol', 'expected an answer of a jig'];
  throw new RigError(blame, `jig ${url}: ${meaning} (HTTP ${status})`);
}

/** All of an answer. @throws {RigError} blame `unavailable` when it breaks off */
export async function textOf(answer: IncomingMessage, url: string, signal: AbortSignal): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      sizeBytes += chunk.length;
      if (sizeBytes > MAX_BODY_BYTES) throw new Error(`more than ${MAX_BODY_BYTES} bytes`);
    }
  } catch (error) {
    signal.throwIfAborted();
    throw new RigError('unavailable', `jig ${url}: the answer broke off: ${reasonOf(error)}`, {
      cause: error,
    });
  }
  return Buffer.concat(chunks).toString('utf8');
}

export function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // Sai's jig answers with nothing
  }
}

function begin(method: string, url: string, access: JigAccess): Promise<IncomingMessage> {
  const { token, fence, signal } = access;
  const address = new URL(url);
  const headers = {
    accept: 'application/json',
    'user-agent': 'sai-rig',
    ...(token ? { authorization: `Bearer ${token}` } : {}),
    ...(fence ? { [FENCE_HEADER]: fence } : {}),
  };
  const isSecure = address.protocol === 'https:';
  const open = isSecure ? httpsRequest : httpRequest;
  const trust = isSecure ? trustOf(access.extraCertificates) : {};
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const request = open(address, { method, headers, agent: false, signal, ...trust });
    const timer = setTimeout(() => {
      request.destroy(new Error(`no connection within ${CONNECT_TIMEOUT_MS} ms`));
    }, CONNECT_TIMEOUT_MS);
    request.once('socket', (socket) => {
      socket.once(isSecure ? 'secureConnect' : 'connect', () => {
        clearTimeout(timer);
        socket.setKeepAlive(true, CONNECT_TIMEOUT_MS); // a jig whose power went is noticed in the end
      });
    });
    request.once('response', resolve);
    request.on('error', (error) => {
      clearTimeout(timer);
      if (signal.aborted) reject(signal.reason as Error);
      else
        reject(
          new RigError('unavailable', `jig ${url}: it does not answer: ${reasonOf(error)}`, { cause: error }),
        );
    });
    request.end();
  });
}

function trustOf(extraCertificates: string | undefined): { readonly ca?: string[] } {
  if (!extraCertificates) return {};
  try {
    return { ca: [...rootCertificates, readFileSync(extraCertificates, 'utf8')] };
  } catch {
    return {}; // as Node.js has it: where that matters, the handshake says so
  }
}
