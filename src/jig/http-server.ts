/** HTTP to the jig: Sai's `GET /<target>/<sequence>`, a JSON API, and events. */

import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { errnoCode, RigError, reasonOf } from '../base/errors.ts';
import type { JigErrorBody, JigErrorCode, TargetStatus } from '../wire/jig.ts';
import { type Admission, fenceOf } from './admission.ts';
import type { AuditEntry } from './audit-file.ts';
import { type EventHub, MAX_UNREAD_BYTES } from './event-hub.ts';
import { EventSockets } from './event-socket.ts';
import { Gate } from './gate.ts';
import { HttpClient } from './http-client.ts';
import {
  HTTP_STATUS,
  hangUpWith,
  MAX_HEADER_BYTES,
  PlainText,
  REQUEST_TIMEOUT_MS,
  refusalOf,
  send,
  wholeBody,
} from './http-exchange.ts';
import { JigError } from './jig-error.ts';
import { METRICS_TYPE, type Metrics } from './metrics.ts';
import { type Route, routeOf, WrongMethod } from './route.ts';
import type { Target } from './target.ts';
import type { TlsIdentity } from './tls-files.ts';

const MAX_CONNECTIONS = 1024;
const TCP_KEEP_ALIVE_MS = 30_000;

/** Nobody sends so many requests of one connection before the first is answered, but who floods us. */
const MAX_UNANSWERED = 100;

/** By then an answer has left, or who should read it does not. */
const LAST_ANSWERS_MS = 1000;

export interface HttpParts {
  readonly hub: EventHub;
  readonly admission: Admission;
  readonly metrics?: Metrics;
  /** Speaks https instead. */
  readonly tls?: TlsIdentity | undefined;
  /** Told about each request that would change something, whatever came of it. */
  readonly onAudit?: (entry: AuditEntry) => void;
  /** What people who watch the jig should know. */
  readonly say: (text: string) => void;
  /** Told about what is our own bug. */
  readonly onBug: (error: unknown) => void;
}

/** What is known of a request, as soon as it is. */
interface About {
  readonly startedAtMs: number;
  /** The same, by a clock that nobody sets. */
  readonly startMs: number;
  route: Route | undefined;
  fence: number | undefined;
}

/** Listens at once, answers from {@link begin} on, until disposed. */
export class HttpServer implements AsyncDisposable {
  readonly #parts: HttpParts;
  readonly #server: Server | TlsServer;
  readonly #sockets: EventSockets;
  readonly #answering = new Set<Promise<void>>();
  readonly #clients = new WeakMap<Duplex, HttpClient>();
  readonly #begun = new Gate();
  #targets: ReadonlyMap<string, Target> | undefined;
  #isStopping = false;

  constructor(parts: HttpParts) {
    this.#parts = parts;
    this.#sockets = new EventSockets(parts.hub);
    const { tls } = parts;
    const options = {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: REQUEST_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: 1000,
      keepAlive: true, // a client whose machine vanished is noticed in the end
      keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
      noDelay: true,
    };
    this.#server = tls
      ? createTlsServer({
          ...options,
          cert: tls.cert,
          key: tls.key,
          handshakeTimeout: REQUEST_TIMEOUT_MS,
          ...(tls.ca === undefined ? {} : { ca: tls.ca, requestCert: true, rejectUnauthorized: true }),
        })
      : createServer(options);
    this.#server.on('request', (request: IncomingMessage, response: ServerResponse) =>
      this.#take(request, response),
    );
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.on(tls ? 'secureConnection' : 'connection', (socket: Socket) =>
      this.#clients.set(socket, new HttpClient(socket)),
    );
    this.#server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) =>
      this.#upgrade(request, socket, head),
    );
    this.#server.on('clientError', (error: Error, socket: Socket) => this.#refuse(error, socket));
  }

  /** Resolves with the port. @throws {RigError} blame `busy` for a port that is taken, `unavailable` for an address that is not here, or not yet */
  async listen(host: string | undefined, port: number): Promise<number> {
    const where = `${host ?? '*'}:${port}`;
    try {
      await new Promise<void>((resolve, reject) => {
        this.#server.once('error', reject);
        this.#server.listen({ port, ...(host === undefined ? {} : { host }) }, () => {
          this.#server.off('error', reject);
          // Out of descriptors, for example: those that are served go on.
          this.#server.on('error', (error) =>
            this.#parts.say(`cannot take a connection: ${reasonOf(error)}`),
          );
          resolve();
        });
      });
    } catch (error) {
      if (errnoCode(error) === 'EADDRINUSE') {
        throw new RigError(
          'busy',
          `${where}: expected a free port, somebody listens there; stop it or give another --port`,
          { cause: error },
        );
      }
      if (errnoCode(error) === 'EADDRNOTAVAIL') {
        throw new RigError(
          'unavailable',
          `${where}: expected an address of this host, it is none; is it right, and the network up?`,
          { cause: error },
        );
      }
      throw new RigError('config', `${where}: cannot listen there: ${reasonOf(error)}`, { cause: error });
    }
    return (this.#server.address() as AddressInfo).port;
  }

  /** Whoever has asked before is answered now. */
  begin(targets: ReadonlyMap<string, Target>): void {
    this.#targets = targets;
    this.#begun.open();
  }

  /** No new requests; what is being answered is answered as long as it is wanted. */
  stopAccepting(): void {
    this.#isStopping = true;
    this.#begun.open();
    this.#server.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stopAccepting();
    this.#sockets[Symbol.dispose]();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, LAST_ANSWERS_MS);
    });
    await Promise.race([Promise.all(this.#answering), late]);
    clearTimeout(timer);
    this.#server.closeAllConnections();
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const client = this.#clients.get(request.socket) ?? new HttpClient(request.socket);
    if (client.unanswered >= MAX_UNANSWERED) return void request.socket.destroy();
    const answered = this.#answer(request, response, client)
      .catch((error: unknown) => {
        this.#parts.onBug(error);
        request.socket.destroy();
      })
      .finally(() => this.#answering.delete(answered));
    this.#answering.add(answered);
  }

  /** Every request that was heard gets exactly one answer, or nobody is there to get it. */
  async #answer(request: IncomingMessage, response: ServerResponse, client: HttpClient): Promise<void> {
    const asked = client.ask(response);
    const { gone } = asked;
    const about: About = {
      startedAtMs: Date.now(),
      startMs: performance.now(),
      route: undefined,
      fence: undefined,
    };
    response.on('error', () => {}); // the connection's `close` follows
    try {
      const { status, body } = await this.#do(request, response, gone, about);
      this.#account(request, client, about, status === 'streaming' ? 200 : status, 'done');
      if (status === 'streaming') return; // for as long as there is somebody
      await send(response, gone, status, body, this.#isStopping);
    } catch (error) {
      if (!(error instanceof JigError)) this.#parts.onBug(error);
      if (error instanceof WrongMethod) response.setHeader('allow', error.allowed.join(', '));
      request.resume(); // what is left of it must not keep the answer from arriving
      const code: JigErrorCode = error instanceof JigError ? error.code : 'line-unavailable';
      const body: JigErrorBody = { error: reasonOf(error), code };
      const status = error instanceof JigError ? HTTP_STATUS[code] : 500;
      this.#account(request, client, about, status, error instanceof JigError ? code : 'bug');
      await send(response, gone, status, body, this.#isStopping || !request.complete);
    }
    asked.end();
  }

  async #do(
    request: IncomingMessage,
    response: ServerResponse,
    gone: AbortSignal,
    about: About,
  ): Promise<{ readonly status: number | 'streaming'; readonly body?: unknown }> {
    const route = routeOf(request.method ?? '', request.url ?? '');
    about.route = route;
    await this.#begun.passed(gone);
    if (route.kind === 'health') return this.#health();
    this.#parts.admission.checkToken(request.headers);
    if (route.kind === 'run' || route.kind === 'abort') this.#parts.admission.checkNoWebPage(request.headers);
    const fence = fenceOf(request.headers);
    about.fence = fence;
    await wholeBody(request, gone);
    switch (route.kind) {
      case 'index':
        return { status: 200, body: this.#index() };
      case 'targets':
        return { status: 200, body: { targets: await this.#statuses() } };
      case 'metrics': {
        const text = this.#parts.metrics?.text(await this.#statuses()) ?? '';
        return { status: 200, body: new PlainText(METRICS_TYPE, text) };
      }
      case 'target':
        return { status: 200, body: await this.#target(route.target).look() };
      case 'events':
        this.#stream(request, response, gone);
        return { status: 'streaming' };
      case 'abort':
        await this.#target(route.target).abort(fence);
        return { status: 200, body: { target: route.target, state: 'safe' } };
      case 'run':
        return { status: 200, body: await this.#run(route, fence, gone) };
    }
  }

  async #run(route: Route & { kind: 'run' }, fence: number | undefined, gone: AbortSignal): Promise<unknown> {
    const target = this.#target(route.target);
    const { sequence, waitMs, onGone } = route;
    if (sequence === undefined) {
      throw new JigError('bad-request', `expected /${route.target}/SEQUENCE, got no sequence`);
    }
    const { trace, ...report } = await target.run({ sequence, waitMs, onGone, fence, gone });
    return route.form === 'api' ? { ...report, trace } : report;
  }

  /** Before the answer leaves: it is so whoever hears of it. */
  #account(
    { headers }: IncomingMessage,
    { address, certificate }: HttpClient,
    { route, fence, startedAtMs, startMs }: About,
    status: number,
    outcome: string,
  ): void {
    this.#parts.metrics?.countRequest(route?.kind ?? 'none', status);
    if (!this.#parts.onAudit || (route?.kind !== 'run' && route?.kind !== 'abort')) return;
    if (!this.#targets?.has(route.target)) return; // a browser that looks for an icon
    this.#parts.onAudit({
      atMs: startedAtMs,
      address,
      certificate,
      token: this.#parts.admission.tokenName(headers),
      target: route.target,
      sequence: route.kind === 'run' ? route.sequence : undefined,
      fence,
      status,
      outcome,
      durationMs: Math.round(performance.now() - startMs),
    });
  }

  /** Without the traces, which may be long. */
  async #statuses(): Promise<TargetStatus[]> {
    const statuses = await Promise.all([...this.#all().values()].map((target) => target.look()));
    return statuses.map(({ last, ...status }) => {
      if (!last) return status;
      const { trace: _trace, ...report } = last;
      return { ...status, last: report };
    });
  }

  #index(): unknown {
    const targets = [...this.#all().values()].map(({ plan }) => ({
      name: plan.name,
      sequences: [...plan.sequences.keys()].map((name) => `/${plan.name}/${name}`),
    }));
    return { jig: 'sai-rig', targets };
  }

  #health(): { readonly status: number; readonly body: unknown } {
    const unavailable = [...this.#all().values()]
      .map((target) => target.status())
      .filter(({ reason }) => reason !== undefined)
      .map(({ name }) => name);
    return { status: unavailable.length === 0 ? 200 : 503, body: { unavailable } };
  }

  /** @throws {JigError} `stopping` for a jig that was stopped while it started */
  #all(): ReadonlyMap<string, Target> {
    if (this.#targets) return this.#targets;
    throw new JigError('stopping', 'the jig stops');
  }

  #target(name: string): Target {
    const target = this.#all().get(name);
    if (target) return target;
    const known = [...this.#all().keys()].join(', ') || '(there is none)';
    throw new JigError('unknown-target', `expected a target, one of ${known}, got ${JSON.stringify(name)}`);
  }

  /** One JSON object a line, for as long as the client listens. */
  #stream(request: IncomingMessage, response: ServerResponse, gone: AbortSignal): void {
    if (this.#parts.hub.isFull) throw new JigError('busy', 'busy: too many watchers');
    response.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' });
    response.flushHeaders();
    const stop = this.#parts.hub.watch((line) => {
      response.write(`${line}\n`);
      if (response.writableLength > MAX_UNREAD_BYTES) request.socket.destroy();
    });
    gone.addEventListener('abort', stop, { once: true });
  }

  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    socket.on('error', () => {}); // `close` follows
    if (request.headers.upgrade?.toLowerCase() !== 'websocket') {
      this.#takeAsItIs(request, socket);
      return;
    }
    try {
      if (routeOf(request.method ?? '', request.url ?? '').kind !== 'events') {
        throw new JigError('not-found', 'expected the websocket of /events');
      }
      this.#parts.admission.checkToken(request.headers);
      this.#parts.admission.checkNoWebPage(request.headers);
      this.#sockets.accept(request, socket, head);
    } catch (error) {
      if (!(error instanceof JigError)) this.#parts.onBug(error);
      hangUpWith(
        socket,
        error instanceof JigError ? error : new JigError('line-unavailable', reasonOf(error)),
      );
    }
  }

  /** Some clients offer another protocol with each request, as Java's does HTTP/2, and are content with this one. */
  #takeAsItIs(request: IncomingMessage, socket: Socket): void {
    if ((this.#clients.get(socket)?.unanswered ?? 0) > 0) {
      socket.destroy(); // it did not wait for an answer, and there can be no other behind this one
      return;
    }
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket);
    response.once('finish', () => socket.destroySoon());
    socket.once('end', () => socket.end()).resume(); // nobody else would notice that it hangs up
    this.#take(request, response);
  }

  /** What was no request, or not all of one in time. */
  #refuse(error: Error, socket: Socket): void {
    if (socket.writable && this.#clients.get(socket)?.isUnanswered !== false)
      hangUpWith(socket, ...refusalOf(errnoCode(error)));
    else socket.destroy();
  }
}
