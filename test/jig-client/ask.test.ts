import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createPlainServer, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { RigError } from '../../src/base/errors.ts';
import { runSequence } from '../../src/jig-client/run-sequence.ts';

const NEVER = new AbortController().signal;

/** A jig that answers everything so. */
async function answering(answer: (response: ServerResponse) => void): Promise<string> {
  const server = createServer((_request, response) => answer(response));
  return await listening(server, 'http');
}

/** Says that to whoever connects, and hangs up. */
async function saying(text: string, scheme: 'http' | 'https'): Promise<string> {
  const server = createPlainServer((socket: Socket) => {
    socket.on('error', () => {}); // `close` follows
    socket.once('data', () => socket.end(text));
  });
  return await listening(server, scheme);
}

async function listening(server: ReturnType<typeof createPlainServer>, scheme: string): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}/dut`;
}

/** `blame: message`, without the address. */
async function failureAt(url: string): Promise<string> {
  try {
    await runSequence({ url, sequence: 'reset', signal: NEVER });
    return 'done';
  } catch (error) {
    if (!(error instanceof RigError)) throw error;
    return `${error.blame}: ${error.message.replace(`jig ${url}/reset: `, '')}`;
  }
}

test.each([
  [200, '', 'done'],
  [409, '{"code":"busy","error":"dut: busy"}', 'busy: dut: busy'],
  [409, '{"code":"busy","error":"dut:\\n\\u001b[31m busy"}', 'busy: dut: [31m busy'],
  [422, '{"code":"of a later jig","error":"no"}', 'protocol: expected an answer of a jig (HTTP 422)'],
  [401, '', 'config: it asks for a token (HTTP 401); name one in SAI_JIG_TOKEN'],
  [401, '{"code":"unauthorized","error":"got none"}', 'config: got none; name one in SAI_JIG_TOKEN'],
  [400, '', 'usage: no such sequence (HTTP 400)'],
  [301, '', 'protocol: expected an answer of a jig (HTTP 301)'],
  [503, '<html>', 'unavailable: nobody answers behind it (HTTP 503)'],
])('an answer %i %s is told as what it means', async (status, body, told) => {
  const url = await answering((response) => response.writeHead(status).end(body));
  expect(await failureAt(url)).toBe(told);
});

test.each([
  ['no HTTP', 'http', 'SSH-2.0\r\n\r\n', 'protocol: expected an answer in HTTP, got something else'],
  [
    'nothing',
    'http',
    '',
    'unavailable: it hung up without an answer: socket hang up; is its address https://?',
  ],
  [
    'HTTP instead of TLS',
    'https',
    'HTTP/1.1 400 Bad Request\r\n\r\n',
    'protocol: expected an answer in TLS, got something else; is its address http://?',
  ],
] as const)('a peer that says %s is told as what it is', async (_what, scheme, text, told) => {
  expect(await failureAt(await saying(text, scheme))).toBe(told);
});

test('what fails is named without what was asked of it', async () => {
  const url = await answering((response) => response.writeHead(409).end());
  const run = { url, sequence: 'reset', waitMs: 5, onDisconnect: 'abort', signal: NEVER } as const;
  await expect(runSequence(run)).rejects.toThrow(`jig ${url}/reset: the target is busy (HTTP 409)`);
  await expect(runSequence({ ...run, url: 'http://127.0.0.1:1/dut' })).rejects.toThrow(
    /^jig http:\/\/127\.0\.0\.1:1\/dut\/reset: it does not answer: /,
  );
});

test('an answer that has no end is not read to it', async () => {
  const url = await answering((response) => {
    const fill = (): void => {
      while (response.write('x'.repeat(65_536)));
    };
    response.writeHead(500).on('drain', fill);
    fill();
  });
  expect(await failureAt(url)).toBe('unavailable: the answer broke off: more than 8388608 bytes');
});
