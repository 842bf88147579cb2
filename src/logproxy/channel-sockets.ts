/** The sockets of one run, and the variables that tell the command where they are. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ENV, logproxyTtyVariable } from '../wire/env.ts';
import { CHANNEL, channelName, ttyChannel } from '../wire/log.ts';
import { Receiver } from './receiver.ts';
import type { LogSink } from './sink.ts';
import { SocketFolder } from './socket-folder.ts';

const KEPT_BACK = 16;
const LONGEST_NAME = channelName(CHANNEL.control);

export interface ChannelSocketsOptions {
  /** Where the sockets may be, best first. */
  readonly parentFolders: readonly string[];
  readonly ttyCount: number;
  readonly sinkOf: (channel: number) => LogSink;
  /** There are too few descriptors for another one; what it wrote is a gap. */
  readonly onRefusedWriter: (channel: string) => void;
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
    const variables = variablesOf(options.ttyCount);
    const mostWriters = descriptorsForWriters(variables.length);
    const hasRoom = (): boolean =>
      receivers.reduce((sum, receiver) => sum + receiver.connections, 0) < mostWriters;
    try {
      for (const [variable, channel] of variables) {
        const name = channelName(channel);
        const address = join(folder.path, name);
        const onBrokenWriter = (writer: number): void => options.onBrokenWriter(name, writer);
        const onRefusedWriter = (): void => options.onRefusedWriter(name);
        const sink = options.sinkOf(channel);
        receivers.push(await Receiver.open({ address, sink, hasRoom, onRefusedWriter, onBrokenWriter }));
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

/**
 * Without descriptors the runtime hangs up on writers in silence, so some are kept back: for the socket and the two
 * files of each channel, and for the pipes and the start of the command.
 */
function descriptorsForWriters(channels: number): number {
  const limit = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  if (limit === undefined) return Number.POSITIVE_INFINITY;
  const inUse = readdirSync('/proc/self/fd').length;
  return Math.max(1, Number(limit) - inUse - 3 * channels - KEPT_BACK);
}

async function closeAll(receivers: readonly Receiver[], folder: SocketFolder): Promise<void> {
  await Promise.all(receivers.map((receiver) => receiver[Symbol.asyncDispose]()));
  folder[Symbol.dispose]();
}
