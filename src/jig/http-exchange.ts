import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { JigErrorCode } from '../wire/jig.ts';
import { JigError } from './jig-error.ts';

export const HTTP_STATUS: Readonly<Record<JigErrorCode, number>> = {
  'bad-request': 400,
  unauthorized: 401,
  forbidden: 403,
  'not-found': 404,
  'wrong-method': 405,
  'too-large': 413,
  'unknown-target': 404,
  'unknown-sequence': 400, // as in Sai
  busy: 409,
  aborted: 410,
  fenced: 412,
  'fence-required': 428,
  'line-unavailable': 503,
  stopping: 503,
  'not-in-time': 504,
  interlocked: 422,
  'active-too-long': 422,
  'peer-unavailable': 503,
  'peer-answer': 502,
};

/** Requests are a line and some headers. */
export const MAX_HEADER_BYTES = 8 * 1024;

/** From the first byte of a request to its last; whoever is slower is cut off. */
export const REQUEST_TIMEOUT_MS = 5000;

/** Bodies, if any, say nothing. */
const MAX_BODY_BYTES = 64 * 1024;

/** Whoever has not read its answer by then is stopped, or gone. */
const LONGEST_READING_MS = 30_000;

/** Only a whole request touches a line. @throws {JigError} `too-large`, `aborted` */
export async function wholeBody(request: IncomingMessage, gone: AbortSignal): Promise<void> {
  let sizeBytes = 0;
  if (request.complete) return void request.resume();
  await new Promise<void>((resolve, reject) => {
    gone.addEventListener('abort', () => reject(gone.reason as Error), { once: true });
    request.on('data', (chunk: Buffer) => {
      sizeBytes += chunk.length;
      if (sizeBytes > MAX_BODY_BYTES) {
        reject(new JigError('too-large', `expected a body of at most ${MAX_BODY_BYTES} bytes`));
      }
    });
    request.once('error', () => {}); // the connection's `close` follows
    request.once('end', resolve);
  });
}

/** A body that is no JSON. */
export class PlainText {
  readonly type: string;
  readonly text: string;

  constructor(type: string, text: string) {
    this.type = type;
    this.text = text;
  }
}

/** Resolves once it has left, or nobody is there any more. */
export function send(
  response: ServerResponse,
  gone: AbortSignal,
  status: number,
  body: unknown,
  isLast: boolean,
): Promise<void> {
  if (gone.aborted || response.destroyed || response.headersSent) return Promise.resolve();
  const { type, text } =
    body instanceof PlainText ? body : { type: 'application/json', text: `${JSON.stringify(body)}\n` };
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout | undefined;
    const end = (): void => {
      clearTimeout(timer);
      resolve();
    };
    const begin = (): void => {
      timer = setTimeout(() => response.destroy(), LONGEST_READING_MS);
    };
    gone.addEventListener('abort', end, { once: true });
    response.writeHead(status, {
      'content-type': type,
      'content-length': Buffer.byteLength(text),
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      ...(status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
      ...(isLast ? { connection: 'close' } : {}),
    });
    // Behind another answer of its connection it has none yet.
    if (response.socket) begin();
    else response.once('socket', begin);
    response.end(text, end);
  });
}

/** Answers what Node.js has given up to be answered, and hangs up. */
export function hangUpWith(
  socket: Socket,
  { message, code }: JigError,
  status: number = HTTP_STATUS[code],
): void {
  const body = `${JSON.stringify({ error: message, code })}\n`;
  socket.on('error', () => {}); // `close` follows
  socket.once('finish', () => socket.destroy()); // also where the client keeps its end open
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

/** Of what Node.js could not read. Source: Node.js, http, `clientError`. */
export function refusalOf(code: string | undefined): [JigError, number] {
  if (code === 'HPE_HEADER_OVERFLOW') {
    return [
      new JigError('too-large', `expected a request line and headers of at most ${MAX_HEADER_BYTES} bytes`),
      431,
    ];
  }
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return [new JigError('bad-request', `expected all of a request within ${REQUEST_TIMEOUT_MS} ms`), 408];
  }
  return [new JigError('bad-request', 'expected a request in HTTP/1.1'), 400];
}
