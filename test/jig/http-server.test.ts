import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { parse } from '../../src/base/validate.ts';
import { Admission } from '../../src/jig/admission.ts';
import { systemClock } from '../../src/jig/clock.ts';
import { JigConfig } from '../../src/jig/config.ts';
import { EventHub } from '../../src/jig/event-hub.ts';
import { HttpServer } from '../../src/jig/http-server.ts';
import { Jig } from '../../src/jig/jig.ts';
import { planTargets } from '../../src/jig/plan.ts';
import { SimulatedChip } from '../../src/jig/simulated-chip.ts';
import { type Answer, type AskOptions, askJig } from '../peers/running-jig.ts';
import { until } from '../until.ts';

const TOKEN = 'a-token-that-is-long-enough';

const CONFIG = parse(
  JigConfig,
  {
    schema: 'sai-jig',
    targets: [
      {
        name: 'dut',
        gpios: [{ name: 'reset', chip_index: 0, offset: 0 }],
        sequences: [
          { name: 'reset', seq: [{ pulse: 'reset', for: 1 }] },
          { name: 'long', seq: [{ gpio_name: 'reset', value: 1 }, { value: '1m' }] },
          { name: 'leave', seq: [{ gpio_name: 'reset', value: 1 }] },
          { name: 'nothing', seq: [] },
        ],
      },
      {
        name: 'leased',
        requireFence: true,
        gpios: [{ name: 'reset', chip_index: 0, offset: 1 }],
        sequences: [{ name: 'reset', seq: [{ pulse: 'reset', for: 1 }] }],
      },
    ],
  },
  'jig.json',
);

/** How often the board's wires changed. */
let changes = 0;
let levelOf: (offset: number) => 0 | 1;
let port = 0;
let hub: EventHub;
let stop: () => Promise<void>;

async function start(tokens?: readonly string[], beforeBegin = async (): Promise<void> => {}): Promise<void> {
  const chip = new SimulatedChip('chip 0', ['', '']);
  changes = 0;
  levelOf = (offset) => chip.levelAt(offset);
  chip.onChange(() => changes++);
  hub = new EventHub();
  const jig = await Jig.start(planTargets(CONFIG, 'jig.json'), {
    openChip: () => chip.open(),
    clock: systemClock,
    onEvent: (event) => hub.emit(event),
    say: () => {},
  });
  const bugs: unknown[] = [];
  const server = new HttpServer({
    hub,
    admission: new Admission(tokens),
    say: () => {},
    onBug: (bug) => bugs.push(bug),
  });
  port = await server.listen('127.0.0.1', 0);
  await beforeBegin();
  server.begin(jig.targets);
  stop = async () => {
    await jig[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    expect(bugs).toEqual([]);
  };
}
beforeEach(async () => await start());
afterEach(async () => await stop());

async function ask(path: string, options?: AskOptions): Promise<Answer> {
  return await askJig(port, path, options);
}

async function statusOf(path: string, options?: AskOptions): Promise<number> {
  const { count, status } = await ask(path, options);
  expect(count).toBe(1);
  return status;
}

async function untilQueued(count: number): Promise<void> {
  while ((await ask('/targets/dut')).body['queued'] !== count);
}

/** Everything that comes back for these bytes, until the server hangs up or the client has what it wants. */
async function raw(bytes: string, until = '\0'): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.write(bytes);
  socket.on('data', (chunk) => {
    text += chunk.toString();
    if (text.includes(until)) socket.destroy();
  });
  socket.on('error', () => {}); // `close` follows
  await once(socket, 'close');
  return text;
}

describe('a sequence', () => {
  test('is run for GET as Sai does it, and answered when it is done', async () => {
    expect(await ask('/dut/reset')).toMatchObject({
      count: 1,
      status: 200,
      body: { target: 'dut', sequence: 'reset', run: 1, outcome: 'done' },
    });
    expect(changes).toBe(2);
    expect(await statusOf('/dut/reset', { method: 'POST' })).toBe(200);
    expect(changes).toBe(4);
  });

  test('is run by the API with a trace of what was done when', async () => {
    const { body } = await ask('/targets/dut/sequences/reset', { method: 'POST' });
    expect(body['trace']).toMatchObject([
      { step: 'seq.0', text: 'reset=1 for 1 ms', plannedMs: 0 },
      { step: 'seq.0', text: 'reset back to 0', plannedMs: 1 },
    ]);
    expect((await ask('/targets/dut')).body).toMatchObject({
      state: 'idle',
      last: { outcome: 'done', run: 1 },
    });
  });

  test('is refused while another runs, and waits its turn where that is wanted', async () => {
    let finish = (): void => {};
    const hangUp = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const long = ask('/dut/long?on-disconnect=abort', { hangUp });
    await until(() => levelOf(0) === 1, 'it begins');
    expect(await ask('/dut/reset')).toMatchObject({
      status: 409,
      body: { error: 'dut: busy: it runs long; try later, or wait with ?wait=5s', code: 'busy' },
    });
    expect(await statusOf('/dut/reset?wait=1ms')).toBe(409);
    // In the order in which they came.
    const waiting: Promise<Answer>[] = [];
    for (const count of [1, 2, 3]) {
      waiting.push(ask('/dut/nothing?wait=10s'));
      await untilQueued(count);
    }
    expect((await ask('/targets/dut')).body).toMatchObject({ state: 'running', sequence: 'long', queued: 3 });
    finish();
    await long;
    expect((await Promise.all(waiting)).map(({ body }) => body['run'])).toEqual([2, 3, 4]);
    expect(levelOf(0)).toBe(0);
  });

  test('that runs and all that wait end with an abort', async () => {
    const long = ask('/dut/long');
    await until(() => levelOf(0) === 1, 'it begins');
    const waiting = ask('/dut/nothing?wait=10s');
    await untilQueued(1);
    expect(await statusOf('/targets/dut/abort', { method: 'POST' })).toBe(200);
    expect([(await long).status, (await waiting).status]).toEqual([410, 410]);
    expect(levelOf(0)).toBe(0);
  });

  test('whose client went away while it waited is not begun', async () => {
    const long = ask('/dut/long');
    await until(() => levelOf(0) === 1, 'it begins');
    await ask('/dut/reset?wait=1m', { hangUp: untilQueued(1) });
    await untilQueued(0);
    await statusOf('/targets/dut/abort', { method: 'POST' });
    await long;
    expect((await ask('/dut/nothing')).body).toMatchObject({ run: 2 });
  });

  test('that is asked for while the jig starts waits for it, unless its client goes away', async () => {
    await stop();
    let early: Promise<Answer> | undefined;
    await start(undefined, async () => {
      early = ask('/dut/nothing');
      const socket = connect(port, '127.0.0.1');
      socket.write('GET /dut/reset HTTP/1.1\r\nhost: jig\r\n\r\n');
      await once(socket, 'connect');
      socket.destroy();
      // Answered without the jig, so the server has read what came before.
      expect((await ask('/dut/nothing/at/all')).status).toBe(404);
    });
    expect(await early).toMatchObject({ count: 1, status: 200, body: { run: 1 } });
    expect(changes).toBe(0);
  });

  test('is answered behind ninety-nine others of its connection, and not while the jig starts in a flood of them', async () => {
    const get = 'GET /healthz HTTP/1.1\r\nhost: jig\r\n';
    const answers = await raw(`${`${get}\r\n`.repeat(99)}${get}connection: close\r\n\r\n`);
    expect(answers.match(/HTTP\/1\.1 200 /g)).toHaveLength(100);
    await stop();
    await start(undefined, async () => {
      expect(await raw(`${get}\r\n`.repeat(1000))).toBe('');
    });
  });

  test.each([
    ['/nobody/reset', 404, 'unknown-target'],
    ['/dut/rest', 400, 'unknown-sequence'],
    ['/dut', 400, 'bad-request'],
    ['/dut/', 404, 'not-found'],
    ['//dut/reset', 404, 'not-found'],
    ['/dut/reset/now', 404, 'not-found'],
    ['/dut/../dut/reset', 404, 'not-found'],
    ['/dut/%2e%2e%2freset', 400, 'unknown-sequence'],
    ['/dut/reset%00', 400, 'unknown-sequence'],
    ['/dut/%zz', 400, 'bad-request'],
    ['/__proto__/reset', 404, 'unknown-target'],
    ['/dut/constructor', 400, 'unknown-sequence'],
    ['/dut/reset?wiat=5s', 400, 'bad-request'],
    ['/dut/reset?wait=5', 400, 'bad-request'],
    ['/dut/reset?on-disconnect=run', 400, 'bad-request'],
    ['/targets/dut/sequences/reset', 405, 'wrong-method'],
    ['/targets/dut/abort', 405, 'wrong-method'],
    ['/targets/dut/sequences', 404, 'not-found'],
    ['/favicon.ico', 404, 'unknown-target'],
  ])('is not run for %s', async (path, status, code) => {
    expect(await ask(path)).toMatchObject({ count: 1, status, body: { code } });
    expect(changes).toBe(0);
  });

  test.each(['HEAD', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])('is not run for %s', async (method) => {
    const answer = await raw(`${method} /dut/reset HTTP/1.1\r\nhost: jig\r\nconnection: close\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 405 /);
    expect(changes).toBe(0);
  });
});

test.each(['/', '/targets', '/targets/dut', '/events', '/healthz', '/metrics'])(
  'an option that %s does not have is refused, as one of a run is',
  async (path) => {
    expect(await ask(`${path}?wiat=5s`)).toEqual({
      count: 1,
      status: 400,
      body: { error: 'expected no options, got "wiat"', code: 'bad-request' },
    });
    expect(hub.watcherCount).toBe(0);
  },
);

test('an abort with an option is refused, and aborts nothing', async () => {
  await statusOf('/dut/leave');
  expect(await statusOf('/targets/dut/abort?wait=5s', { method: 'POST' })).toBe(400);
  expect(levelOf(0)).toBe(1);
  expect(await statusOf('/targets/dut/abort', { method: 'POST' })).toBe(200);
  expect(levelOf(0)).toBe(0);
});

describe('who may ask', () => {
  test.each([
    ['Origin', { origin: 'http://evil.example' }],
    ['Origin', { origin: 'null' }],
    ['Referer', { referer: 'http://evil.example/' }],
    ['Sec-Fetch-Site', { 'sec-fetch-site': 'cross-site' }],
    ['Sec-Fetch-Site', { 'sec-fetch-site': 'same-origin' }],
    ['Sec-Fetch-Site', { 'sec-fetch-site': 'none', 'sec-purpose': 'prefetch' }],
    [
      'User-Agent',
      { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0' },
    ],
  ] as const)('no web page presses reset: %s', async (sign, headers) => {
    for (const [path, method] of [
      ['/dut/reset', 'GET'],
      ['/dut/reset', 'POST'],
      ['/targets/dut/abort', 'POST'],
    ] as const) {
      const answer = await ask(path, { method, headers });
      expect(answer).toMatchObject({ count: 1, status: 403, body: { code: 'forbidden' } });
      expect(answer.body['error']).toContain(`with ${sign} of a browser`);
    }
    expect(changes).toBe(0);
    expect(await statusOf('/targets', { headers })).toBe(200);
  });

  test('a person who types the address is served, and a browser that holds a token', async () => {
    const browser = { 'user-agent': 'Mozilla/5.0' };
    expect(await statusOf('/dut/reset', { headers: { ...browser, 'sec-fetch-site': 'none' } })).toBe(200);
    await stop();
    await start([TOKEN]);
    const headers = { ...browser, authorization: `Bearer ${TOKEN}` };
    expect(await statusOf('/dut/reset', { headers })).toBe(200);
  });

  test('where there are tokens, only who has one', async () => {
    await stop();
    await start(['another-token-of-this-jig', TOKEN]);
    for (const path of ['/', '/targets', '/targets/dut', '/events', '/dut/reset', '/nobody/reset']) {
      expect(await ask(path)).toMatchObject({ status: 401, body: { code: 'unauthorized' } });
      expect(await statusOf(path, { headers: { authorization: 'Bearer wrong' } })).toBe(401);
      expect(await statusOf(path, { headers: { authorization: `Basic ${TOKEN}` } })).toBe(401);
    }
    expect(await statusOf('/healthz')).toBe(200);
    expect(changes).toBe(0);
    expect(await statusOf('/dut/reset', { headers: { authorization: `bearer ${TOKEN}` } })).toBe(200);
  });

  test('a lease that is over is refused, for each target by itself', async () => {
    const fenced = (fence: string): AskOptions => ({ headers: { 'sai-fence': fence } });
    expect(await statusOf('/dut/reset', fenced('7'))).toBe(200);
    expect(await statusOf('/dut/reset', fenced('7'))).toBe(200);
    expect(await statusOf('/dut/reset', fenced('9'))).toBe(200);
    expect(await ask('/dut/reset', fenced('8'))).toMatchObject({ status: 412, body: { code: 'fenced' } });
    expect(await statusOf('/targets/dut/abort', { method: 'POST', ...fenced('8') })).toBe(412);
    expect(await statusOf('/dut/reset')).toBe(200);
    expect(await statusOf('/leased/reset', fenced('8'))).toBe(200);
    expect(await ask('/leased/reset')).toMatchObject({
      status: 428,
      body: {
        error:
          'leased: expected a Sai-Fence header, got none; run it under sai-device, whose lease has a fence',
        code: 'fence-required',
      },
    });
    for (const fence of ['x', '-1', '1.5', '9007199254740993', '']) {
      expect(await statusOf('/dut/reset', fenced(fence))).toBe(400);
    }
    expect(changes).toBe(10);
  });

  test('a lease that ends while it waits is refused when its turn comes', async () => {
    const long = ask('/dut/long?on-disconnect=abort', {
      headers: { 'sai-fence': '1' },
      hangUp: untilQueued(2),
    });
    await until(() => levelOf(0) === 1, 'it begins');
    const old = ask('/dut/reset?wait=10s', { headers: { 'sai-fence': '1' } });
    await untilQueued(1);
    const fresh = ask('/dut/reset?wait=10s', { headers: { 'sai-fence': '2' } });
    await long;
    expect([(await old).status, (await fresh).status]).toEqual([412, 200]);
  });
});

describe('a hostile client', () => {
  test.each([
    ['no HTTP', 'hello\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['no host', 'GET /dut/reset HTTP/1.1\r\n\r\n', /^HTTP\/1\.1 400 /],
    [
      'huge headers',
      `GET /dut/reset HTTP/1.1\r\nhost: jig\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`,
      /^HTTP\/1\.1 431 /,
    ],
    ['a huge path', `GET /dut/${'x'.repeat(20_000)} HTTP/1.1\r\nhost: jig\r\n\r\n`, /^HTTP\/1\.1 431 /],
    [
      'two lengths',
      'POST /dut/reset HTTP/1.1\r\nhost: jig\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx',
      /^HTTP\/1\.1 400 /,
    ],
    [
      'a length and chunks',
      'POST /dut/reset HTTP/1.1\r\nhost: jig\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      /^HTTP\/1\.1 400 /,
    ],
    ['a bare line end', 'GET /dut/reset HTTP/1.1\nhost: jig\n\n', /^HTTP\/1\.1 400 /],
    [
      'an absolute address',
      'GET http://jig/dut/reset HTTP/1.1\r\nhost: jig\r\nconnection: close\r\n\r\n',
      /^HTTP\/1\.1 400 /,
    ],
    [
      'a huge body',
      `POST /dut/reset HTTP/1.1\r\nhost: jig\r\nconnection: close\r\ncontent-length: 100000\r\n\r\n${'x'.repeat(100_000)}`,
      /^HTTP\/1\.1 413 /,
    ],
    ['a tunnel', 'CONNECT jig:80 HTTP/1.1\r\nhost: jig\r\n\r\n', /^$/],
    [
      'a websocket of a sequence',
      'GET /dut/reset HTTP/1.1\r\nhost: jig\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
      /^HTTP\/1\.1 404 /,
    ],
  ])('that sends %s touches no line', async (what, bytes, answer) => {
    const text = await raw(bytes);
    expect(text).toMatch(answer);
    if (what !== 'no host' && text !== '')
      // that is Node's own
      expect(JSON.parse(text.split('\r\n\r\n')[1] ?? '')).toEqual({
        error: expect.any(String),
        code: expect.stringMatching(/^(bad-request|not-found|too-large)$/),
      });
    expect(changes).toBe(0);
  });

  test.each(['GET', 'POST'])(
    'that offers another protocol with its %s, too, is answered in HTTP/1.1',
    async (method) => {
      const offer = 'connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n';
      const body = method === 'POST' ? 'content-length: 2\r\n\r\n{}' : '\r\n';
      const answer = await raw(`${method} /dut/reset HTTP/1.1\r\nhost: jig\r\n${offer}${body}`);
      expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n(.+\r\n)*connection: close\r\n/i);
      expect(answer).toContain('"outcome":"done"');
      expect(changes).toBe(2);
    },
  );

  test('that offers another protocol and hangs up is gone', async () => {
    const socket = connect(port, '127.0.0.1');
    const offer = 'host: jig\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n';
    socket.write(`GET /dut/long?on-disconnect=abort HTTP/1.1\r\n${offer}`);
    await until(() => levelOf(0) === 1, 'it begins');
    socket.end();
    await until(() => levelOf(0) === 0, 'it is aborted');
    const impatient = connect(port, '127.0.0.1');
    impatient.on('error', () => {}); // hung up on
    impatient.write(
      `GET /dut/long?on-disconnect=abort HTTP/1.1\r\nhost: jig\r\n\r\nGET /dut/reset HTTP/1.1\r\n${offer}`,
    );
    await once(impatient, 'close');
    await until(() => levelOf(0) === 0, 'it is aborted, too');
  });

  test('with a method that is none here is told which there are', async () => {
    for (const [path, allow] of [
      ['/dut/reset', 'GET, POST'],
      ['/targets', 'GET'],
      ['/targets/dut/abort', 'POST'],
    ]) {
      const answer = await raw(`HEAD ${path} HTTP/1.1\r\nhost: jig\r\nconnection: close\r\n\r\n`);
      expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 405 .*\r\nallow: ${allow}\r\n`));
    }
  });

  test('that sends requests without waiting gets its answers in order, one each', async () => {
    const requests = Array.from(
      { length: 20 },
      (_, index) => `GET /targets/${index} HTTP/1.1\r\nhost: jig\r\n`,
    );
    const bytes = `${requests.join('\r\n')}connection: close\r\n\r\n`;
    const answers = await raw(bytes);
    expect([...answers.matchAll(/got \\"(\d+)\\"/g)].map((match) => Number(match[1]))).toEqual(
      requests.map((_, index) => index),
    );
    expect(answers.split('HTTP/1.1 404 ')).toHaveLength(requests.length + 1);
  });

  test('whose upgrade is refused is hung up on, also when it keeps its own end open', async () => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    socket.resume();
    socket.write('GET /dut/reset HTTP/1.1\r\nhost: jig\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
    await once(socket, 'end');
    const writing = setInterval(() => socket.write('x'), 1);
    const [error] = (await once(socket, 'error')) as [Error];
    clearInterval(writing);
    expect(error).toMatchObject({ syscall: expect.stringMatching(/^(read|write)$/) });
  });

  test('that hangs up is gone with all that it sent without waiting', async () => {
    const socket = connect(port, '127.0.0.1');
    const request = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: jig\r\n\r\n`;
    socket.write(
      ['/dut/long?on-disconnect=abort', '/dut/reset?wait=1m', '/events', '/targets'].map(request).join(''),
    );
    await untilQueued(1);
    await until(() => hub.watcherCount === 1, 'the watcher is there');
    const before = changes;
    socket.destroy();
    await until(() => hub.watcherCount === 0 && levelOf(0) === 0, 'it is forgotten');
    expect(await ask('/targets/dut')).toMatchObject({ body: { state: 'idle', queued: 0, last: { run: 1 } } });
    expect(changes).toBe(before + 1); // back to its safe value, and no reset after it
  });

  test('that hangs up in the middle of its request is forgotten', async () => {
    const socket = connect(port, '127.0.0.1');
    socket.write('POST /dut/reset HTTP/1.1\r\nhost: jig\r\ncontent-length: 5\r\n\r\nab');
    await once(socket, 'connect');
    socket.destroy();
    expect(await statusOf('/dut/nothing')).toBe(200);
    expect(changes).toBe(0);
  });
});

describe('events', () => {
  const RESET_EVENTS = ['started', 'step', 'step', 'ended'];

  test('go out over a websocket, one a message', async () => {
    const client = new WebSocket(`ws://127.0.0.1:${port}/events`);
    const events: { event: string; step?: string }[] = [];
    client.on('message', (data: Buffer) =>
      events.push(JSON.parse(data.toString()) as (typeof events)[number]),
    );
    await once(client, 'open');
    await statusOf('/dut/reset');
    await until(() => events.length === 4, 'there are four events');
    expect(events.map(({ event }) => event)).toEqual(RESET_EVENTS);
    expect(events.map(({ step }) => step)).toEqual([undefined, 'seq.0', 'seq.0', undefined]);
    const closed = once(client, 'close');
    await stop();
    expect([1001, 1006]).toContain((await closed)[0]);
    await start();
  });

  test('go out as lines of JSON to who asks without a websocket', async () => {
    const text = raw('GET /events HTTP/1.1\r\nhost: jig\r\n\r\n', '"ended"');
    await until(() => hub.watcherCount === 1, 'the watcher is there');
    await statusOf('/dut/reset');
    const events = [...(await text).matchAll(/^\{.*\}$/gm)].map(
      ([line]) => (JSON.parse(line) as { event: string }).event,
    );
    expect(events).toEqual(RESET_EVENTS);
    await until(() => hub.watcherCount === 0, 'the watcher has gone');
  });

  test('are not for web pages, nor for who has no token', async () => {
    const page = new WebSocket(`ws://127.0.0.1:${port}/events`, { origin: 'http://evil.example' });
    expect(
      ((await once(page, 'unexpected-response')) as [unknown, { statusCode: number }])[1].statusCode,
    ).toBe(403);
    await stop();
    await start([TOKEN]);
    const nobody = new WebSocket(`ws://127.0.0.1:${port}/events`);
    expect(
      ((await once(nobody, 'unexpected-response')) as [unknown, { statusCode: number }])[1].statusCode,
    ).toBe(401);
  });

  test('do not pile up for who does not read them', async () => {
    const slow = new WebSocket(`ws://127.0.0.1:${port}/events`);
    await once(slow, 'open');
    slow.pause();
    const stuck = connect(port, '127.0.0.1');
    stuck.pause();
    stuck.on('error', () => {}); // the jig hangs up
    stuck.write('GET /events HTTP/1.1\r\nhost: jig\r\n\r\n');
    await until(() => hub.watcherCount === 2, 'both watchers are there');
    const event = { event: 'unavailable', atMs: 0, target: 'dut', reason: 'x'.repeat(64 * 1024) } as const;
    // Far more than the kernel's buffers and ours together.
    for (let sent = 0; sent < 2000 && hub.watcherCount > 0; sent++) {
      hub.emit(event);
      if (sent % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => hub.watcherCount === 0, 'both are cut off');
    slow.terminate();
    stuck.destroy();
  });
});
