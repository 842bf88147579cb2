import { ScriptError } from '../base/errors.ts';
import type { Branch, Instruction } from './script.ts';
import type { Session, SessionParts } from './session.ts';
import { type PromiseWithResolvers, withResolvers } from './with-resolvers.ts';

/** The ttys that one script is for, real or recorded ones, and the sessions on them as they come up. */
export class Ensemble<Tty> {
  /** The first is the one that steps are for where nothing else is said. */
  readonly ttys: readonly Tty[];
  readonly #branches = new Map<Tty, Branch[]>();
  readonly #ttyOf = new Map<Branch, Tty>();
  readonly #sessions = new Map<Tty, PromiseWithResolvers<Session>>();

  /**
   * Opens none. `find` gives the tty that a branch names, the very one of `known` where it is among them.
   *
   * @throws {RigError} blame `config` for a tty that a step names twice; what `find` throws
   */
  constructor(
    steps: readonly Instruction[],
    ttys: readonly Tty[],
    find: (name: string, known: readonly Tty[]) => Tty,
  ) {
    const all = [...ttys];
    for (const step of steps) {
      if (step.kind !== 'parallel') continue;
      const ofStep = new Map<Tty, string>();
      for (const branch of step.branches) {
        const tty = find(branch.tty, all);
        if (!all.includes(tty)) all.push(tty);
        const other = ofStep.get(tty);
        if (other !== undefined)
          throw new ScriptError(
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
  partsOf(tty: Tty): Pick<SessionParts, 'branches' | 'runBranches'> {
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
  joined(tty: Tty, session: Session): void {
    this.#sessions.get(tty)?.resolve(session);
  }

  async #run(
    branch: Branch,
    asking: Tty,
    captured: Map<string, Uint8Array>,
    own: (steps: readonly Instruction[]) => Promise<void>,
  ): Promise<void> {
    const tty = this.#ttyOf.get(branch);
    if (tty === asking) return await own(branch.steps);
    const session = tty && (await this.#sessions.get(tty)?.promise);
    await session?.performBranch(branch.steps, captured);
  }
}
