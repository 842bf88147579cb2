import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { type EventHub, MAX_UNREAD_BYTES } from './event-hub.ts';

/** Watchers say nothing that matters. */
const MAX_MESSAGE_BYTES = 1024;

/** A watcher whose machine vanished is noticed within twice that. */
const PING_MS = 30_000;

/** Source: RFC 6455, 7.4.1: going away; IANA's registry: try again later. */
const GOING_AWAY = 1001;
const TRY_AGAIN_LATER = 1013;

/** The websocket of `/events`: one message an event. */
export class EventSockets implements Disposable {
  readonly #hub: EventHub;
  readonly #server = new WebSocketServer({
    noServer: true,
    clientTracking: true,
    maxPayload: MAX_MESSAGE_BYTES,
    perMessageDeflate: false, // costs twelve times the CPU, and memory a client
  });

  constructor(hub: EventHub) {
    this.#hub = hub;
  }

  /** Takes over the connection of an upgrade request that has been admitted. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#server.handleUpgrade(request, socket, head, (client) => {
      client.on('error', () => {}); // `close` follows
      if (this.#hub.isFull) return client.close(TRY_AGAIN_LATER, 'too many watchers');
      let isAlive = true;
      const stop = this.#hub.watch((line) => {
        client.send(line);
        if (client.bufferedAmount > MAX_UNREAD_BYTES) client.terminate();
      });
      const pings = setInterval(() => {
        if (!isAlive) client.terminate();
        isAlive = false;
        client.ping();
      }, PING_MS);
      client.on('pong', () => {
        isAlive = true;
      });
      client.once('close', () => {
        stop();
        clearInterval(pings);
      });
    });
  }

  [Symbol.dispose](): void {
    for (const client of this.#server.clients) {
      client.close(GOING_AWAY, 'the jig stops');
      client.terminate();
    }
  }
}
