import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** What a plug does with a request, after it has switched or not. */
export type PlugBehaviour = (plug: ScriptedPlug, request: IncomingMessage, response: ServerResponse) => void;

/** A plug that speaks as Tasmota does, until it is told to behave otherwise. */
export class ScriptedPlug {
  readonly port: number;
  readonly url: string;
  isOn = true;
  /** Each switching, as `off`; and each request's path. */
  readonly switched: string[] = [];
  readonly asked: string[] = [];
  behaviour: PlugBehaviour = obedient;
  readonly #close: () => Promise<void>;

  /** Up until the test is finished. */
  static async start(port = 0): Promise<ScriptedPlug> {
    const sockets = new Set<Socket>();
    let plug: ScriptedPlug | undefined;
    const server = createServer((request, response) => {
      if (!plug) return;
      plug.asked.push(request.url ?? '');
      plug.behaviour(plug, request, response);
    });
    server.on('connection', (socket) => {
      sockets.add(socket);
      socket.on('error', () => {}); // its peer has gone
      socket.once('close', () => sockets.delete(socket));
    });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    const close = async (): Promise<void> => {
      for (const socket of sockets) socket.destroy();
      if (!server.listening) return;
      server.close();
      await once(server, 'close');
    };
    plug = new ScriptedPlug((server.address() as AddressInfo).port, close);
    onTestFinished(close);
    return plug;
  }

  private constructor(port: number, close: () => Promise<void>) {
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.#close = close;
  }

  /** Pulled out: nobody listens any more. */
  async stop(): Promise<void> {
    await this.#close();
  }

  /** Switches as the request says, if it does. Returns what it answers. */
  obey({ url = '' }: IncomingMessage): string {
    const [command, relay = '', value = ''] = /[?&]cmnd=Power(\d*)(?:%20(On|Off))?$/.exec(url) ?? [];
    if (command === undefined) return '{"Command":"Unknown"}';
    if (value !== '') {
      this.isOn = value === 'On';
      this.switched.push(value.toLowerCase());
    }
    return JSON.stringify({ [`POWER${relay}`]: this.isOn ? 'ON' : 'OFF' });
  }
}

export const obedient: PlugBehaviour = (plug, request, response) => response.end(plug.obey(request));

/** Never answers. */
export const hanging: PlugBehaviour = () => {};

/** Switches, and goes away in the middle of its answer. */
export const dying: PlugBehaviour = (plug, request, response) => {
  plug.obey(request);
  response.writeHead(200, { 'content-length': 100 });
  response.write('{"POW', () => response.socket?.destroy());
};

export function answering(status: number, text: string): PlugBehaviour {
  return (_plug, _request, response) => response.writeHead(status).end(text);
}
