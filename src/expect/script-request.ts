import { formatDuration } from '../base/duration.ts';
import { RigError } from '../base/errors.ts';
import type { UnsafeEngine } from './byte-regex.ts';
import { explainPlan } from './explain-plan.ts';
import type { Request, ScriptReference } from './request.ts';
import { loadScript } from './script-file.ts';

/**
 * The request with the steps of its script file and what the file says about the whole, where no flag says otherwise;
 * for a dry run also the plan in words.
 *
 * @throws {RigError} blame `config` for the file, `usage` for what the command line gives it
 */
export async function withScript(
  request: Request,
  reference: ScriptReference,
  env: NodeJS.ProcessEnv,
  unsafe: UnsafeEngine | undefined,
): Promise<{ readonly whole: Request; readonly plan: string | undefined }> {
  const { file, variables, lineEnd, run, given } = reference;
  const loaded = await loadScript({
    file,
    variables,
    lineEnd,
    env,
    unsafe,
    missingValues: run === 'dry' ? 'taken' : 'refused',
    pass: request.script.pass.length > 0 || request.script.expectCrash ? 'given' : 'of the file',
  });
  const { script: flags } = request;
  if (flags.expectCrash && loaded.script.pass.length > 0)
    throw new RigError(
      'usage',
      `--expect-crash: expected no pass text, which says what else is a pass, ${loaded.name} has one; leave it out`,
    );
  const timeoutMs = given.timeout ? request.timeoutMs : (loaded.timeoutMs ?? request.timeoutMs);
  const whole: Request = {
    ...request,
    timeoutMs,
    script: {
      ...flags,
      steps: loaded.script.steps,
      pass: [...loaded.script.pass, ...flags.pass],
      fail: [...loaded.script.fail, ...flags.fail],
      crash: given.crash ? flags.crash : (loaded.crash ?? flags.crash),
      escapeSequences: loaded.ignoresAnsi ? 'ignored' : flags.escapeSequences,
    },
  };
  if (run !== 'dry') return { whole, plan: undefined };
  return { whole, plan: explainPlan({ ...loaded, script: whole.script }, timeoutMs, besidesOf(whole)) };
}

/** What ends it besides its texts. */
function besidesOf({ script: { crash, expectCrash, settleMs = 0 }, results }: Request): string[] {
  const of = (families: 'auto' | 'any' | readonly string[]): string =>
    typeof families === 'string' ? '' : ` (${families.join(', ')})`;
  return [
    ...(expectCrash ? [`pass as soon as the board has crashed${of(expectCrash)}, and not without`] : []),
    ...(expectCrash || crash === 'none' ? [] : [`fail as soon as the board has crashed${of(crash)}`]),
    ...(results ? [`judge by the test results (${results.format})`] : []),
    ...(settleMs > 0 ? [`watch for what fails ${formatDuration(settleMs)} longer`] : []),
  ];
}
