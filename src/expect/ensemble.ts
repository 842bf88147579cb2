import { realpathSync } from 'node:fs';
import { RigError } from '../base/errors.ts';
import type { Branch, Instruction } from './script.ts';
import type { Session, SessionParts } from './session.ts';
import { resolveTty, type TargetTty } from './target-tty.ts';

/** The ttys that one script is for, and the sessions on them as they come up. */
export class Ensemble {
  /** The first is the one that steps are for where nothing else is said. */
  readonly ttys: readonly TargetTty[];
  readonly #branches = new Map<TargetTty, Branch[]>();
  readonly #ttyOf = new Map<Branch, TargetTty>();
  readonly #sessions = new Map<TargetTty, PromiseWithResolvers<Session>>();

  /**
   * Opens none.
   *
   * @throws {RigError} blame `usage` for a tty that there is not, `config` for one that a step names twice
   */
  constructor(steps: readonly Instruction[], ttys: readonly TargetTty[], env: NodeJS.ProcessEnv) {
    const all = [...ttys];
    for (const step of steps) {
      if (step.kind !== 'parallel') continue;
      const ofStep = new Map<TargetTty, string>();
      for (const branch of step.branches) {
        const tty = this.#ttyFor(branch, all, env);
        const other = ofStep.get(tty);
        if (other !== undefined)
          throw new RigError(
            'config',
            `${step.text}: expected each tty once, ${other} and ${branch.tty} are the same`,
          );
        ofStep.set(tty, branch.tty);
        this.#ttyOf.set(branch, tty);
        this.#branches.set(tty, [...(this.#branches.get(tty) ?? []), branch]);
      }
    }
    this.ttys = all;
    for (const tty of all) this.#sessions.set(tty, withResolvers());
  }

  /** What the session on `tty` needs to know of the others. */
  partsOf(tty: TargetTty): Pick<SessionParts, 'branches' | 'runBranches'> {
    // Without branches of its own it is a tty that was asked for, as the first always is.
    const branches = tty === this.ttys[0] ? undefined : this.#branches.get(tty);
    if (branches) return { branches };
    return {
      runBranches: async (all, captured, own) => {
        await Promise.all(all.map((branch) => this.#run(branch, tty, captured, own)));
      },
    };
  }

  /** The session on `tty` is about to run. */
  joined(tty: TargetTty, session: Session): void {
    this.#sessions.get(tty)?.resolve(session);
  }

  async #run(
    branch: Branch,
    asking: TargetTty,
    captured: Map<string, Uint8Array>,
    own: (steps: readonly Instruction[]) => Promise<void>,
  ): Promise<void> {
    const tty = this.#ttyOf.get(branch);
    if (tty === asking) return await own(branch.steps);
    const session = tty && (await this.#sessions.get(tty)?.promise);
    await session?.performBranch(branch.steps, captured);
  }

  #ttyFor(branch: Branch, all: TargetTty[], env: NodeJS.ProcessEnv): TargetTty {
    const wanted = resolveTty(branch.tty, env);
    const known = all.find(({ path }) => realPathOf(path) === realPathOf(wanted.path));
    if (!known) all.push(wanted);
    return known ?? wanted;
  }
}

/** Source: Promise.withResolvers, which Node.js 20 lacks. */
interface PromiseWithResolvers<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
}

function withResolvers<T>(): PromiseWithResolvers<T> {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((each) => {
    resolve = each;
  });
  return { promise, resolve };
}

function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path; // opening it tells why
  }
}
