import { setTimeout as delay } from 'node:timers/promises';
import { LONGEST_MS } from '../base/duration.ts';
import { errnoCode, reasonOf } from '../base/errors.ts';
import { sendDatagram } from '../native/datagram.ts';

/** While systemd has enough to read. */
const RETRY_MS = 100;
const MAX_TRIES = 50;

/** Tells systemd how the jig is. Source: sd_notify(3), sd_watchdog_enabled(3). */
export class ServiceManager implements Disposable {
  readonly #address: string | undefined;
  readonly #watchdogMs: number | undefined;
  readonly #say: (text: string) => void;
  #pings: NodeJS.Timeout | undefined;
  #isDeaf = false;

  /** Without `NOTIFY_SOCKET` nobody is told. */
  constructor(env: NodeJS.ProcessEnv, say: (text: string) => void) {
    const { NOTIFY_SOCKET: address, WATCHDOG_USEC: microseconds, WATCHDOG_PID: pid } = env;
    this.#address = address === '' ? undefined : address;
    const isOurs = pid === undefined || pid === '' || pid === `${process.pid}`;
    const ms = Number(microseconds) / 1000;
    this.#watchdogMs = isOurs && ms > 0 ? Math.min(ms, LONGEST_MS) : undefined;
    this.#say = say;
  }

  /** Start and stop take up to so long: more than systemd waits, maybe. 0: no longer than others. */
  async starting(withinMs: number): Promise<void> {
    if (withinMs > 0) await this.#tell(extension(withinMs));
  }

  async ready(status: string): Promise<void> {
    await this.#tell(`READY=1\nSTATUS=${status}\n`);
  }

  /** As {@link starting}. */
  async stopping(withinMs: number): Promise<void> {
    await this.#tell(`STOPPING=1\n${withinMs > 0 ? extension(withinMs) : ''}`);
  }

  /**
   * Says twice in the watchdog's time that the jig lives, for as long as its event loop turns and `check` ends. One that
   * does not end makes systemd kill the jig, which lets go of every line.
   */
  watch(check: () => Promise<void>): void {
    if (this.#address === undefined || this.#watchdogMs === undefined) return;
    let isChecking = false;
    const ping = async (): Promise<void> => {
      if (isChecking) return;
      isChecking = true;
      await check();
      isChecking = false;
      await this.#tell('WATCHDOG=1\n');
    };
    this.#pings = setInterval(() => void ping(), this.#watchdogMs / 2);
    void ping();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#pings);
  }

  async #tell(message: string): Promise<void> {
    if (this.#address === undefined) return;
    for (let tries = 1; ; tries++) {
      try {
        sendDatagram(this.#address, message);
        this.#isDeaf = false;
        return;
      } catch (error) {
        if (errnoCode(error) === 'EAGAIN' && tries < MAX_TRIES) {
          await delay(RETRY_MS);
          continue;
        }
        // Once: it is told twice in the watchdog's time, for years.
        if (!this.#isDeaf)
          this.#say(`NOTIFY_SOCKET: ${this.#address}: cannot tell the service manager: ${reasonOf(error)}`);
        this.#isDeaf = true;
        return;
      }
    }
  }
}

function extension(ms: number): string {
  return `EXTEND_TIMEOUT_USEC=${Math.ceil(ms) * 1000}\n`;
}
