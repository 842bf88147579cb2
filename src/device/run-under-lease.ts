/** What `sai-device <type> <command>` does: gets a device, runs the command, says what came of it. */

import { describeProcess } from '../base/describe-process.ts';
import { formatDuration } from '../base/duration.ts';
import { RigError, reasonOf } from '../base/errors.ts';
import { EXIT_STATUS, exitStatusOfSignal } from '../base/exit.ts';
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
import { becomeSubreaper, markDescendants } from '../native/process.ts';
import { ENV } from '../wire/env.ts';
import type { Finding } from '../wire/finding.ts';
import type { DaemonPatterns } from './daemons.ts';
import { aliasOf, environmentOf, environmentOfMember } from './environment.ts';
import { Guard } from './guard.ts';
import { rememberLease } from './history.ts';
import type { Lease } from './lease.ts';
import { LendServer } from './lend-server.ts';
import { withoutOptimizer } from './optimizer.ts';
import { newInheritedMark } from './process-tree.ts';
import { type Reservation, type Reserved, reserve } from './reserve.ts';
import { type CommandEnd, type Custody, runCommand } from './run-command.ts';
import { SignalDesk } from './signals.ts';
import { TtyKeeper } from './tty-keeper.ts';

export interface RunRequest extends Reservation {
  readonly program: string;
  readonly args: readonly string[];
  /** Undefined: as the device says, else eight hours. */
  readonly maxLeaseMs: number | undefined;
  readonly graceMs: number;
  readonly keepDaemons: DaemonPatterns;
  /** Leave no finding about a failure of our own. */
  readonly optional: boolean;
}

/** The status of the command, or of what kept it from running to its end. */
export async function runUnderLease(
  request: RunRequest,
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
  readonly #request: RunRequest;
  readonly #invocation: Invocation;
  readonly #guardProgram: string;
  readonly #signals = new SignalDesk();
  /** The last line that we said about a failure of our own. */
  #failure = '';

  constructor(request: RunRequest, invocation: Invocation, guardProgram: string) {
    this.#request = request;
    this.#invocation = invocation;
    this.#guardProgram = guardProgram;
  }

  async status(): Promise<number> {
    const { program, type, and } = this.#request;
    const { env, diagnostics } = this.#invocation;
    const refusal = refusalOf(program, env);
    if (refusal) return this.#notStarted(refusal.status, refusal.text, env[ENV.findings]);
    becomeSubreaper();
    const log = await openSender(env, ENV.logproxy, (text) => diagnostics.say(text));
    try {
      const { lease, joined } = await reserve(this.#request, {
        env,
        stop: this.#signals.stop,
        say: (text) => diagnostics.say(text),
        whileWaiting: withoutOptimizer,
        onQueue: () => {
          for (const each of [type, ...and.map((other) => other.type)])
            log?.send(Buffer.from(`sai-device: queueing for device compatible with '${each}'\n`));
        },
      });
      if (joined) return await this.#runAsMember(joined);
      for (const { device } of lease.holdings) {
        const acquired = `acquired device '${device.name}' (${device.type})`;
        diagnostics.detail(acquired);
        log?.send(Buffer.from(`sai-device: ${acquired}\n`));
      }
      return await this.#runWith(lease);
    } finally {
      await log?.close();
    }
  }

  async #runAsMember({ lease, device }: NonNullable<Reserved['joined']>): Promise<number> {
    const { program, args, alias, graceMs } = this.#request;
    const { env, diagnostics } = this.#invocation;
    this.#signals.stop.throwIfAborted();
    diagnostics.detail(`runs under the lease of ${device.name} that it was started in`);
    // The device that the environment tells of already may have other paths in this container.
    const isTold = device === lease.devices[0];
    const end = await runCommand(
      {
        program,
        args,
        env: isTold ? { ...env, ...aliasOf(alias, device.ttys) } : environmentOfMember(env, device, alias),
      },
      {
        custody: undefined,
        session: 'ours',
        signals: this.#signals,
        graceMs,
        say: (text) => diagnostics.say(text),
      },
    );
    if (end.cause !== 'not started') return end.status;
    return this.#notStarted(end.status, `${program}: ${end.detail}`, env[ENV.findings]);
  }

  async #runWith(lease: Lease): Promise<number> {
    const { program, args, alias, graceMs } = this.#request;
    const { env, diagnostics } = this.#invocation;
    const outerFindings = env[ENV.findings] || undefined;
    const findings = outerFindings ?? lease.findingsFile;
    const maxLeaseMs = this.#request.maxLeaseMs ?? lease.maxLeaseMs;
    const inheritedMark = newInheritedMark();
    const guard = this.#guard(lease, inheritedMark);
    using keeper = new TtyKeeper(lease, { guard, detail: (text) => diagnostics.detail(text) });
    using _lending = new LendServer(lease, { keeper, say: (text) => diagnostics.say(text) });
    const line = { program, args, env: environmentOf(env, lease, { alias, findings }) };
    markDescendants(inheritedMark);
    // When this throws, lease and guard are left as they are: the guard ends what may live, then lets go.
    const end = await runCommand(line, {
      custody: { guard, keeper, maxLeaseMs, onEnd: () => lease.expectRelease(), daemons: this.#daemons() },
      session: 'new',
      signals: this.#signals,
      graceMs,
      say: (text) => diagnostics.say(text),
    });
    // Killed here, and never again able to act: who waits for the device need not wait for the rest of its end.
    const guardEnded = guard.end();
    try {
      const status = this.#conclude(end, { findings, maxLeaseMs, device: lease.device.name });
      if (outerFindings === undefined) this.#sayVerdict(status, findings);
      return status;
    } finally {
      lease.release();
      await guardEnded;
      await this.#remember(lease);
    }
  }

  #daemons(): NonNullable<Custody['daemons']> {
    const { keepDaemons } = this.#request;
    const onKept = (pids: readonly number[]): void => {
      const names = pids.map((pid) => describeProcess(pid)).join(', ');
      this.#invocation.diagnostics.detail(`left running, as --keep-daemons says: ${names}`);
    };
    return { keep: keepDaemons, onKept };
  }

  /** Once the next one has the device; a lease without history is no failure of anything. */
  async #remember({ record, runDir }: Lease): Promise<void> {
    if (!runDir) return;
    try {
      await rememberLease(runDir, record);
    } catch (error) {
      this.#invocation.diagnostics.detail(`how long this lease lasted is not kept: ${reasonOf(error)}`);
    }
  }

  /** From here to the start of the command nothing waits, so no signal comes in between. */
  #guard(lease: Lease, inheritedMark: number): Guard {
    const { diagnostics } = this.#invocation;
    try {
      this.#signals.stop.throwIfAborted();
      return new Guard(lease, {
        program: this.#guardProgram,
        graceMs: this.#request.graceMs,
        inheritedMark,
        keepDaemons: this.#request.keepDaemons,
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
      case 'trouble':
        return this.#fail(end.trouble.error, { findings, device: end.trouble.device, tty: end.trouble.tty });
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
