/** What a run tells the log proxies, where there are any: the bytes of its ttys both ways, and its own remarks. */

import { RigError } from '../base/errors.ts';
import { logJigRun } from '../logproxy/log-jig-run.ts';
import { openSender } from '../logproxy/open-sender.ts';
import type { LogSender } from '../logproxy/sender.ts';
import type { Console } from '../tty/console.ts';
import { ENV, logproxyTtyVariable } from '../wire/env.ts';
import { MAX_LOGGED_TTYS } from '../wire/log.ts';
import type { RunJig } from './jig-step.ts';

/** Nothing here waits for a proxy or fails because of one. */
export class LogProxies {
  readonly #env: NodeJS.ProcessEnv;
  readonly #say: (text: string) => void;
  readonly #control: LogSender | undefined;
  #jig: Promise<LogSender | undefined> | undefined;
  readonly #open: { readonly name: string; readonly sender: LogSender }[] = [];

  private constructor(env: NodeJS.ProcessEnv, say: (text: string) => void, control: LogSender | undefined) {
    this.#env = env;
    this.#say = say;
    this.#control = control;
    if (control) this.#open.push({ name: 'the remarks', sender: control });
  }

  /** `say` is told of what the log has no place for. */
  static async open(env: NodeJS.ProcessEnv, say: (text: string) => void): Promise<LogProxies> {
    return new LogProxies(env, say, await openSender(env, ENV.logproxy, say));
  }

  remark(text: string): void {
    this.#control?.send(Buffer.from(`sai-expect: ${text}\n`));
  }

  /** The log of the tty with that index; undefined, and said where there is a log at all, when it has none. */
  async tty(label: string, index: number): Promise<LogSender | undefined> {
    const variable = logproxyTtyVariable(index);
    const sender = await openSender(this.#env, variable, (text) => this.#tell(`${label}: ${text}`));
    if (sender) this.#open.push({ name: label, sender });
    else if (this.#control && !this.#env[variable]) this.#tellUnlogged(label, index);
    return sender;
  }

  /** `runJig`, with what it asks for and what comes of it in the jig's log. */
  jig(runJig: RunJig): RunJig {
    return async (sequence, signal) => {
      this.#jig ??= openSender(this.#env, ENV.logproxyJig, (text) => this.#tell(text)).then((sender) => {
        if (sender) this.#open.push({ name: 'the jig', sender });
        return sender;
      });
      return await logJigRun(await this.#jig, `sai-expect: ${sequence}`, () => runJig(sequence, signal));
    };
  }

  #tellUnlogged(label: string, index: number): void {
    const cure =
      index < MAX_LOGGED_TTYS
        ? `$${logproxyTtyVariable(index)} is not set; sai-logproxy sets it with --ttys ${index + 1} or more`
        : `only the first ${MAX_LOGGED_TTYS} ttys have a channel`;
    this.#tell(`${label}: not in the log: ${cure}`);
  }

  #tell(text: string): void {
    this.remark(text);
    this.#say(text);
  }

  /** Hands over what is left. The loss that no log tells of itself, blamed on who runs the proxies. */
  async close(): Promise<RigError | undefined> {
    const closed = this.#open
      .splice(0)
      .map(async ({ name, sender }) => ({ name, loss: await sender.close() }));
    const losses = (await Promise.all(closed)).flatMap(({ name, loss }) => (loss ? [{ name, ...loss }] : []));
    if (losses.length === 0) return undefined;
    const each = losses.map(({ name, bytes }) => `up to ${bytes} bytes of ${name}`).join(', ');
    return new RigError('unavailable', `the log lacks ${each}: ${losses[0]?.reason}`);
  }
}

/** `console`, with what is sent to it logged as well: before the board can answer. */
export function withSendsLogged(console: Console, log: LogSender | undefined): Console {
  if (!log) return console;
  return {
    label: console.label,
    bytes: console.bytes,
    get overruns() {
      return console.overruns;
    },
    get isAway() {
      return console.isAway === true;
    },
    send: async (bytes, signal) => {
      log.send(bytes, 'out');
      await console.send(bytes, signal);
    },
    sendBreak: (durationMs, signal) => console.sendBreak(durationMs, signal),
    drive: (lines) => console.drive(lines),
    [Symbol.asyncDispose]: () => console[Symbol.asyncDispose](),
  };
}
