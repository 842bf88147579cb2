/** What `sai-device <type> <command>` does: gets a device, runs the command, says what came of it. */

import { join } from 'node:path';
import { formatDuration } from '../base/duration.ts';
import { RigError } from '../base/errors.ts';
import { EXIT_STATUS, exitStatusOfSignal } from '../base/exit.ts';
import { oneLine } from '../base/one-line.ts';
import { refusalOf } from '../base/program.ts';
import { type Invocation, Stopped } from '../base/run-main.ts';
import {
  appendFindingOfFailure,
  findingOf,
  readFindings,
  verdictOf,
  worstFinding,
} from '../findings/findings-file.ts';
import { openSender } from '../logproxy/open-sender.ts';
import { becomeSubreaper } from '../native/process.ts';
import { ENV } from '../wire/env.ts';
import type { Finding } from '../wire/finding.ts';
import type { LeaseRecord } from '../wire/lease.ts';
import { type Alias, aliasOf, environmentOf } from './environment.ts';
import { Guard } from './guard.ts';
import type { Lease } from './lease.ts';
import { readAncestorLeases, withoutAncestors } from './nested.ts';
import { ttyGidOf } from './place.ts';
import { type DeviceRequest, loadPool, matchDevices, type PooledDevice } from './pool.ts';
import { takePortBlock } from './port-block.ts';
import { acquire } from './queue.ts';
import { type CommandEnd, runCommand } from './run-command.ts';
import { openRunDir, type RunDir } from './run-dir.ts';
import { SignalDesk } from './signals.ts';

const DEFAULT_WAIT_MS = 2 * 3_600_000;
const DEFAULT_MAX_LEASE_MS = 8 * 3_600_000;

const FINDINGS_FILE = 'findings.jsonl';

export interface DeviceOptions {
  readonly config: string;
  /** Accept a run folder on a network file system. */
  readonly force: boolean;
}

export interface RunRequest extends DeviceRequest {
  readonly alias: Alias | undefined;
  readonly program: string;
  readonly args: readonly string[];
  /** Undefined: as the devices say, else two hours. 0: do not wait. */
  readonly waitMs: number | undefined;
  /** Undefined: as the device says, else eight hours. */
  readonly maxLeaseMs: number | undefined;
  readonly graceMs: number;
  /** Under a lease that would do, run there. */
  readonly joins: boolean;
  /** Leave no finding about a failure of our own. */
  readonly optional: boolean;
}

/** The status of the command, or of what kept it from running to its end. */
export async function runUnderLease(
  request: RunRequest & DeviceOptions,
  invocation: Invocation,
  guardProgram: string,
): Promise<number> {
  try {
    return await new DeviceRun(request, invocation, guardProgram).status();
  } catch (error) {
    if (error instanceof Stopped) return exitStatusOfSignal(error.signal);
    throw error;
  }
}

class DeviceRun {
  readonly #request: RunRequest & DeviceOptions;
  readonly #invocation: Invocation;
  readonly #guardProgram: string;
  readonly #signals = new SignalDesk();
  #pool: readonly PooledDevice[] = [];
  /** The last line that we said about a failure of our own. */
  #failure = '';

  constructor(request: RunRequest & DeviceOptions, invocation: Invocation, guardProgram: string) {
    this.#request = request;
    this.#invocation = invocation;
    this.#guardProgram = guardProgram;
  }

  async status(): Promise<number> {
    const { program, type, joins } = this.#request;
    const { env } = this.#invocation;
    const ancestors = readAncestorLeases(env[ENV.deviceLease]);
    const own = ancestors[0];
    if (own && joins && this.#isSureToJoin(own)) return await this.#join(own);
    const devices = await this.#match();
    if (own && joins && devices.some((each) => each.name === own.device)) return await this.#join(own);
    const refusal = refusalOf(program, env);
    if (refusal) return this.#notStarted(refusal.status, refusal.text, env[ENV.findings]);
    return await this.#reserve(withoutAncestors(devices, ancestors, type), own);
  }

  /** The lease itself says that it serves the request: no config needed, as in a container that has none. */
  #isSureToJoin(lease: LeaseRecord): boolean {
    const { type, name, tags } = this.#request;
    return (
      lease.answersTo.includes(type) && tags.length === 0 && (name === undefined || name === lease.device)
    );
  }

  async #match(): Promise<readonly PooledDevice[]> {
    const { config, alias, type } = this.#request;
    this.#pool = await loadPool(config);
    const { devices, prefix } = matchDevices(this.#pool, this.#request);
    if (prefix !== undefined) {
      this.#invocation.diagnostics.say(
        `no device is of type ${type}; taking ${prefix}, which it begins with`,
      );
    }
    if (!alias) return devices;
    const withTty = devices.filter((device) => device.ttys.length > alias.ttyIndex);
    if (withTty.length === 0) aliasOf(alias, devices[0]?.ttys ?? []);
    return withTty;
  }

  async #join(lease: LeaseRecord): Promise<number> {
    const { program, args, alias, graceMs } = this.#request;
    const { env, diagnostics } = this.#invocation;
    this.#signals.stop.throwIfAborted();
    diagnostics.detail(`runs under the lease of ${lease.device} that it was started in`);
    const end = await runCommand(
      { program, args, env: { ...env, ...aliasOf(alias, lease.ttys) } },
      { custody: undefined, signals: this.#signals, graceMs, say: (text) => diagnostics.say(text) },
    );
    if (end.cause !== 'not started') return end.status;
    return this.#notStarted(end.status, `${program}: ${end.detail}`, env[ENV.findings]);
  }

  async #reserve(devices: readonly PooledDevice[], parent: LeaseRecord | undefined): Promise<number> {
    const { program, args, type } = this.#request;
    const { diagnostics } = this.#invocation;
    const runDir = this.#openRunDir();
    becomeSubreaper();
    const wanted = {
      devices,
      type,
      command: oneLine([program, ...args].join(' ')),
      parent: parent?.folder,
      runDir,
    };
    const log = await openSender(this.#invocation.env, ENV.logproxy);
    try {
      log?.send(Buffer.from(`sai-device: queueing for device compatible with '${type}'\n`));
      const lease = await acquire(wanted, {
        waitMs: this.#waitMs(devices),
        stop: this.#signals.stop,
        say: (text) => diagnostics.say(text),
      });
      const acquired = `acquired device '${lease.record.device}' (${lease.record.type})`;
      diagnostics.detail(acquired);
      log?.send(Buffer.from(`sai-device: ${acquired}\n`));
      return await this.#runWith(lease);
    } finally {
      await log?.close();
    }
  }

  #openRunDir(): RunDir | undefined {
    const { env, diagnostics } = this.#invocation;
    const configured = env[ENV.runDir];
    const ttyGid = ttyGidOf(this.#pool);
    const search = openRunDir({ configured, ttyGid, force: this.#request.force });
    // Without any tty there is no group to share with, and no device to take: that is what has to be said.
    if (!search.runDir && ttyGid !== undefined) {
      diagnostics.say(
        `no shared run folder (${search.reason}): locking without queue; have root make /run/sai, mode 3775, for the group of the ttys`,
      );
    }
    return search.runDir;
  }

  #waitMs(devices: readonly PooledDevice[]): number {
    return this.#request.waitMs ?? Math.max(...devices.map((device) => device.waitMs ?? DEFAULT_WAIT_MS));
  }

  async #runWith(lease: Lease): Promise<number> {
    const { program, args, alias, graceMs } = this.#request;
    const { env, diagnostics } = this.#invocation;
    const outerFindings = env[ENV.findings] || undefined;
    const findings = outerFindings ?? join(lease.record.folder, FINDINGS_FILE);
    const maxLeaseMs = this.#request.maxLeaseMs ?? lease.device.maxLeaseMs ?? DEFAULT_MAX_LEASE_MS;
    const guard = this.#guard(lease);
    const line = { program, args, env: environmentOf(env, lease, { alias, findings }) };
    // When this throws, lease and guard are left as they are: the guard ends what may live, then lets go.
    const end = await runCommand(line, {
      custody: { guard, hungUpTty: () => lease.hungUpTty(), maxLeaseMs },
      signals: this.#signals,
      graceMs,
      say: (text) => diagnostics.say(text),
    });
    await guard.end();
    try {
      const status = this.#conclude(end, { findings, maxLeaseMs, device: lease.record.device });
      if (outerFindings === undefined) this.#sayVerdict(status, findings);
      return status;
    } finally {
      lease.release();
    }
  }

  /** From here to the start of the command nothing waits, so no signal comes in between. */
  #guard(lease: Lease): Guard {
    const { diagnostics } = this.#invocation;
    try {
      this.#signals.stop.throwIfAborted();
      if (lease.device.probe) lease.keepPorts(takePortBlock(lease.runDir));
      return new Guard(lease, {
        program: this.#guardProgram,
        graceMs: this.#request.graceMs,
        onReplaced: () => diagnostics.detail('the guard of the lease ended; started another'),
        onLost: () =>
          diagnostics.say(
            'the guard of the lease ended and no other stays alive: do not kill this sai-device by SIGKILL; see ulimit -a',
          ),
      });
    } catch (error) {
      lease.release();
      throw error;
    }
  }

  #conclude(end: CommandEnd, { findings, maxLeaseMs, device }: LeaseContext): number {
    switch (end.cause) {
      case 'itself':
      case 'stopped':
        return end.status;
      case 'not started':
        return this.#notStarted(end.status, `${this.#request.program}: ${end.detail}`, findings);
      case 'unplugged':
        return this.#fail(
          new RigError(
            'hardware',
            `${device}: ${end.detail} went away while the command ran; check cable and power`,
          ),
          { findings, device, tty: end.detail },
        );
      case 'overtime':
        return this.#fail(
          new RigError(
            'busy',
            `${device}: lease ended after ${formatDuration(maxLeaseMs)}; allow more with --max-lease`,
          ),
          { findings, device },
        );
    }
  }

  #fail(error: RigError, context: { findings: string; device: string; tty?: string | undefined }): number {
    const { findings, device, tty } = context;
    this.#tell(error.message);
    const finding = findingOf('sai-device', error, { device, ...(tty === undefined ? {} : { tty }) });
    this.#leave(finding, findings);
    return EXIT_STATUS[error.blame];
  }

  /** Who typed the command has to act; the status is the one that a shell would give. */
  #notStarted(status: number, text: string, findings: string | undefined): number {
    this.#tell(text);
    this.#leave(findingOf('sai-device', new RigError('usage', text)), findings);
    return status;
  }

  #leave(finding: Finding, findings: string | undefined): void {
    if (this.#request.optional) return;
    appendFindingOfFailure(findings, finding, (text) => this.#invocation.diagnostics.fail(text));
  }

  #tell(text: string): void {
    this.#failure = text;
    this.#invocation.diagnostics.fail(text);
  }

  #sayVerdict(status: number, findings: string): void {
    const all = readFindings(findings);
    const worst = worstFinding(all);
    if (!worst || worst.evidence === this.#failure) return;
    this.#invocation.diagnostics.fail(`verdict ${verdictOf(status, all)}: ${worst.tool}: ${worst.evidence}`);
  }
}

interface LeaseContext {
  readonly findings: string;
  readonly maxLeaseMs: number;
  readonly device: string;
}
