/** The sockets of one run, and the variables that tell the command where they are. */

import { join } from 'node:path';
import { ENV, logproxyTtyVariable } from '../wire/env.ts';
import { CHANNEL, channelName, ttyChannel } from '../wire/log.ts';
import { Receiver } from './receiver.ts';
import type { LogSink } from './sink.ts';
import { SocketFolder } from './socket-folder.ts';

const LONGEST_NAME = channelName(CHANNEL.control);

export interface ChannelSocketsOptions {
  /** Where the sockets may be, best first. */
  readonly parentFolders: readonly string[];
  readonly ttyCount: number;
  readonly sinkOf: (channel: number) => LogSink;
  readonly onBrokenWriter: (channel: string, writer: number) => void;
}

export class ChannelSockets implements AsyncDisposable {
  /** To be added to the environment of the command. */
  readonly env: Readonly<Record<string, string>>;
  readonly #folder: SocketFolder;
  readonly #receivers: readonly Receiver[];

  private constructor(folder: SocketFolder, env: Record<string, string>, receivers: readonly Receiver[]) {
    this.#folder = folder;
    this.env = env;
    this.#receivers = receivers;
  }

  /** @throws {RigError} blame `config` when they cannot be made there */
  static async open(options: ChannelSocketsOptions): Promise<ChannelSockets> {
    const folder = SocketFolder.make(options.parentFolders, LONGEST_NAME);
    const receivers: Receiver[] = [];
    const env: Record<string, string> = {};
    try {
      for (const [variable, channel] of variablesOf(options.ttyCount)) {
        const name = channelName(channel);
        const address = join(folder.path, name);
        const onBrokenWriter = (writer: number): void => options.onBrokenWriter(name, writer);
        receivers.push(await Receiver.open({ address, sink: options.sinkOf(channel), onBrokenWriter }));
        env[variable] = address;
      }
      return new ChannelSockets(folder, env, receivers);
    } catch (error) {
      await closeAll(receivers, folder);
      throw error;
    }
  }

  get openWriters(): number {
    return this.#receivers.reduce((sum, receiver) => sum + receiver.openWriters, 0);
  }

  /** Resolves when all that was written before the call is in the log. */
  async settle(): Promise<void> {
    await Promise.all(this.#receivers.map((receiver) => receiver.settle()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await closeAll(this.#receivers, this.#folder);
  }
}

/** Without what an outer proxy says of its own: a log of ours in somebody else's is in nobody's. */
export function withoutLogproxies(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^SAI_LOGPROXY(?:_|$)/.test(name)));
}

function variablesOf(ttyCount: number): [string, number][] {
  const ttys = Array.from({ length: ttyCount }, (_, index): [string, number] => [
    logproxyTtyVariable(index),
    ttyChannel(index),
  ]);
  return [[ENV.logproxy, CHANNEL.control], ...ttys, [ENV.logproxyJig, CHANNEL.jig]];
}

async function closeAll(receivers: readonly Receiver[], folder: SocketFolder): Promise<void> {
  await Promise.all(receivers.map((receiver) => receiver[Symbol.asyncDispose]()));
  folder[Symbol.dispose]();
}
