import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import * as v from 'valibot';
import { type Blame, RigError, reasonOf } from '../base/errors.ts';
import { LinkedSignal } from '../base/linked-signal.ts';
import { oneLine } from '../base/one-line.ts';
import { ENV } from '../wire/env.ts';
import { FENCE_HEADER, JigErrorBody, type JigErrorCode } from '../wire/jig.ts';
import { isHangUp, noAnswer, placeOf, refusedCertificate } from './no-answer.ts';
import { type TlsFiles, tlsOptions } from './tls-options.ts';

/** A host that does not take a connection by then is down, or behind a firewall that says nothing. */
const CONNECT_TIMEOUT_MS = 10_000;

/** Far more than a report of ten thousand steps. */
const MAX_BODY_BYTES = 8 * 1024 * 1024;

/** It may list the targets of a rack; another program may say anything. */
const MAX_ERROR_CHARACTERS = 4096;

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
  // Of what stands between.
  502: ['unavailable', 'nobody answers behind it'],
  503: ['unavailable', 'nobody answers behind it'],
  504: ['unavailable', 'nobody answers behind it'],
};

/** Whom to ask, and as whom. */
export interface JigAccess extends TlsFiles {
  /** Bearer token. */
  readonly token?: string | undefined;
  /** Number of the lease in whose name this is asked. */
  readonly fence?: string | undefined;
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
  const cure = status === 401 ? `; name one in ${ENV.jigToken}` : '';
  if (body.success)
    throw new RigError(
      BLAME[body.output.code],
      `jig ${placeOf(url)}: ${oneLine(body.output.error, MAX_ERROR_CHARACTERS)}${cure}`,
    );
  const [blame, meaning] = BLAME_OF_STATUS[status] ?? ['protocol', 'expected an answer of a jig'];
  throw new RigError(blame, `jig ${placeOf(url)}: ${meaning} (HTTP ${status})${cure}`);
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
    throw new RigError('unavailable', `jig ${placeOf(url)}: the answer broke off: ${reasonOf(error)}`, {
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

async function begin(method: string, url: string, access: JigAccess): Promise<IncomingMessage> {
  try {
    return await open(method, url, access);
  } catch (error) {
    access.signal.throwIfAborted();
    if (!(error instanceof Error) || error instanceof RigError) throw error;
    throw (await isRefusedCertificate(error, url, access))
      ? refusedCertificate(error, url)
      : noAnswer(error, url);
  }
}

/**
 * Whether a jig hangs up on who shows this certificate. Nothing else tells, and so does one that dies meanwhile: that one
 * does not do so a second time, when it is asked for nothing but whether it is well.
 */
async function isRefusedCertificate(error: Error, url: string, access: JigAccess): Promise<boolean> {
  if (!access.certificate || !isHangUp(error, url)) return false;
  using limit = new LinkedSignal([access.signal, AbortSignal.timeout(CONNECT_TIMEOUT_MS)]);
  try {
    const answer = await open('GET', new URL('/healthz', url).href, { ...access, signal: limit.signal });
    answer.destroy();
    return false;
  } catch (again) {
    access.signal.throwIfAborted();
    return again instanceof Error && isHangUp(again, url);
  }
}

/** @throws what Node.js says, the reason of `signal` */
function open(method: string, url: string, access: JigAccess): Promise<IncomingMessage> {
  const { token, fence, signal } = access;
  const address = new URL(url);
  const headers = {
    accept: 'application/json',
    'user-agent': 'sai-rig',
    ...(token ? { authorization: `Bearer ${token}` } : {}),
    ...(fence ? { [FENCE_HEADER]: fence } : {}),
  };
  const isSecure = address.protocol === 'https:';
  const begin = isSecure ? httpsRequest : httpRequest;
  const tls = isSecure ? tlsOptions(access) : {};
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const request = begin(address, { method, headers, agent: false, signal, ...tls });
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
      reject(signal.aborted ? (signal.reason as Error) : error);
    });
    request.end();
  });
}
