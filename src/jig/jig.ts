import { RigError, reasonOf } from '../base/errors.ts';
import type { TargetPlan } from './plan.ts';
import { Target, type TargetParts } from './target.ts';

/** All targets of a config, their lines held and safe. */
export class Jig implements AsyncDisposable {
  readonly targets: ReadonlyMap<string, Target>;

  /** @throws {RigError} when a line cannot be had; those that could are let go of again */
  static async start(plans: readonly TargetPlan[], parts: TargetParts): Promise<Jig> {
    const jig = new Jig(plans.map((plan) => new Target(plan, parts)));
    const outcomes = await Promise.allSettled([...jig.targets.values()].map((target) => target.start()));
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (!failed) return jig;
    await jig[Symbol.asyncDispose]().catch((error: unknown) => parts.say(reasonOf(error)));
    throw failed.reason;
  }

  private constructor(targets: readonly Target[]) {
    this.targets = new Map(targets.map((target) => [target.plan.name, target]));
  }

  /** Resolves once every chip has said something. */
  async probe(): Promise<void> {
    await Promise.all([...this.targets.values()].map((target) => target.probe()));
  }

  /** The same for targets whose lines cannot be had. */
  static async makePowerSafe(plans: readonly TargetPlan[], parts: TargetParts): Promise<RigError[]> {
    return await new Jig(plans.map((plan) => new Target(plan, parts))).makePowerSafe();
  }

  /** The power of each target to its safe value; tried for all. Resolves with why it is not so. */
  async makePowerSafe(): Promise<RigError[]> {
    const outcomes = await Promise.allSettled([...this.targets.values()].map((each) => each.makePowerSafe()));
    return outcomes.flatMap((outcome) => {
      if (outcome.status === 'fulfilled') return [];
      if (outcome.reason instanceof RigError) return [outcome.reason];
      throw outcome.reason;
    });
  }

  /** Ends what runs; every line goes to its safe value and is let go of. @throws {RigError} blame `hardware` */
  async [Symbol.asyncDispose](): Promise<void> {
    const targets = [...this.targets.values()];
    const outcomes = await Promise.allSettled(targets.map((target) => target[Symbol.asyncDispose]()));
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') {
        throw new RigError('hardware', `cannot let go of a line: ${reasonOf(outcome.reason)}`, {
          cause: outcome.reason,
        });
      }
    }
  }
}
