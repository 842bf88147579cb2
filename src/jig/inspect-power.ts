import { RigError } from '../base/errors.ts';
import type { CheckFinding } from './check-finding.ts';
import { callHttp } from './http-call.ts';
import { askerOf } from './outlets.ts';
import type { TargetPlan } from './plan.ts';
import type { PowerValue } from './power.ts';
import { outletText } from './power-plan.ts';

/** What the power of a target is, or why that is not known. */
export interface PowerAnswer {
  readonly target: string;
  readonly state?: PowerValue;
  readonly finding?: CheckFinding;
}

/** Asks every outlet for its state, all at the same time, each within its own; none is switched. */
export async function askPower(targets: readonly TargetPlan[], signal: AbortSignal): Promise<PowerAnswer[]> {
  return await Promise.all(
    targets.flatMap((target) => (target.power ? [askOne(target, target.power, signal)] : [])),
  );
}

async function askOne(
  { name: target }: TargetPlan,
  { outlet }: NonNullable<TargetPlan['power']>,
  signal: AbortSignal,
): Promise<PowerAnswer> {
  const ask = askerOf(outlet, callHttp);
  if (!ask) {
    const text = `${target}: ${outletText(outlet)} was not asked: it has no "state"`;
    return { target, finding: { severity: 'remark', code: 'power-not-asked', target, text } };
  }
  try {
    return { target, state: await ask(signal) };
  } catch (error) {
    if (!(error instanceof RigError)) throw error;
    const text = `${target}: power: ${error.message}`;
    const finding = {
      severity: 'error',
      code: 'power-unreachable',
      blame: error.blame,
      target,
      text,
    } as const;
    return { target, finding };
  }
}
