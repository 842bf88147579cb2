/** `sai-jig --check`: what a config comes to, and all that is wrong with it, before the jig touches a board. */

import { formatDuration } from '../base/duration.ts';
import { RigError } from '../base/errors.ts';
import type { Invocation } from '../base/run-main.ts';
import { DEFAULT_JIG_PORT } from '../wire/jig.ts';
import type { CheckFinding } from './check-finding.ts';
import { surveyChips } from './chip-survey.ts';
import type { JigOptions } from './commands.ts';
import { loadWholeJigConfig } from './config.ts';
import { withoutSecrets } from './http-call.ts';
import { inspectTargets } from './inspect.ts';
import { inspectChips } from './inspect-chips.ts';
import { askPower, type PowerAnswer } from './inspect-power.ts';
import { keptOutputsRemark } from './kept-outputs.ts';
import { requireAddress } from './listen-address.ts';
import { ConfigMistakes, MistakeList } from './mistakes.ts';
import { chipText, type LinePlan, planTargets, type TargetPlan } from './plan.ts';
import { outletText, type PowerPlan } from './power-plan.ts';
import { readTls } from './tls-files.ts';
import { wiringOf } from './wiring-advice.ts';

/** What a valid config says. */
interface CheckedConfig {
  readonly port: number;
  readonly iface: string | undefined;
  readonly targets: readonly TargetPlan[];
}

/**
 * Requests no line and switches nothing. With `--backend simulated` nobody is asked either.
 *
 * @throws {RigError} the last error, with the blame of the first; those before it have been said
 */
export async function check(options: JigOptions, invocation: Invocation): Promise<number> {
  const { print, diagnostics } = invocation;
  const json = options.format === 'json';
  let checked: CheckedConfig;
  try {
    checked = await loadAll(options.config);
  } catch (error) {
    if (!(error instanceof RigError) || error.blame !== 'config') throw error;
    const findings = (error instanceof ConfigMistakes ? error.lines : [error.message]).map(mistake);
    if (json) print(`${JSON.stringify({ findings })}\n`);
    return conclude(findings, invocation);
  }
  const { targets } = checked;
  const isSimulated = options.backend === 'simulated';
  const kept = isSimulated ? undefined : keptOutputsRemark(targets);
  if (kept !== undefined) diagnostics.say(kept);
  const survey = await surveyChips(targets, options.backend);
  const findings: CheckFinding[] = [
    ...(isSimulated ? [] : inspectAddress(checked.iface)),
    ...inspectTargets(targets),
    ...(await inspectChips(targets, survey, options.backend)),
    ...(kept === undefined ? [] : [{ severity: 'remark', code: 'kept-outputs', text: kept } as const]),
  ];
  if (!json) print(reportText(options.config, checked, findings));
  const power = isSimulated ? [] : await askPower(targets, invocation.stop);
  const all = [...findings, ...power.flatMap(({ finding }) => finding ?? [])];
  print(json ? `${JSON.stringify(reportOf(checked, all, power), hideSecrets)}\n` : powerReport(power));
  return conclude(all, invocation, options.config);
}

/** @throws {RigError} blame `config`; {@link ConfigMistakes}, all that is wrong */
async function loadAll(file: string): Promise<CheckedConfig> {
  const config = await loadWholeJigConfig(file);
  const mistakes = new MistakeList();
  const targets = planTargets(config, file, mistakes.collect);
  mistakes.collect(() => readTls(config, file));
  mistakes.throwIfAny();
  return { port: config.port ?? DEFAULT_JIG_PORT, iface: config.iface, targets };
}

function inspectAddress(iface: string | undefined): CheckFinding[] {
  try {
    requireAddress(iface, 'iface');
    return [];
  } catch (error) {
    if (!(error instanceof RigError)) throw error;
    if (error.blame === 'config') return [mistake(error.message)];
    const text = `${error.message}; while it is so, the jig does not start`;
    return [{ severity: 'remark', code: 'no-address', text }];
  }
}

function mistake(text: string): CheckFinding {
  return { severity: 'error', code: 'config', blame: 'config', text };
}

/** @throws {RigError} as {@link check} */
function conclude(findings: readonly CheckFinding[], { diagnostics }: Invocation, file?: string): number {
  const errors = findings.filter(({ severity }) => severity === 'error');
  const texts = errors.map(({ text, blame }) =>
    file !== undefined && blame === 'config' ? `${file}: ${text}` : text,
  );
  const last = texts.pop();
  if (last === undefined) return 0;
  for (const text of texts) diagnostics.fail(text);
  throw new RigError(errors[0]?.blame ?? 'config', last);
}

function reportOf(
  { port, targets }: CheckedConfig,
  findings: readonly CheckFinding[],
  power: readonly PowerAnswer[],
): unknown {
  const plain = targets.map(({ sequences, lines, power: plan, ...target }) => {
    const state = power.find((answer) => answer.target === target.name)?.state;
    return {
      ...target,
      lines: lines.map((line) => ({ ...line, wiring: wiringOf(line) })),
      power: plan && { ...plan, state },
      sequences: Object.fromEntries(sequences),
    };
  });
  return { port, targets: plain, findings };
}

/** Logins are nobody's business, and headers, queries and bodies may be some. */
function hideSecrets(key: string, value: unknown): unknown {
  if (key === 'login' || key === 'headers' || key === 'body') return undefined;
  return key === 'url' && typeof value === 'string' ? withoutSecrets(value) : value;
}

function reportText(
  file: string,
  { port, targets }: CheckedConfig,
  findings: readonly CheckFinding[],
): string {
  const count = findings.filter(({ severity }) => severity === 'error').length;
  const verdict = count === 0 ? 'valid' : count === 1 ? '1 error' : `${count} errors`;
  const remarks = findings.filter(({ severity, code }) => severity === 'remark' && code !== 'kept-outputs');
  const lines = [
    `${file}: ${verdict}; port ${port}`,
    ...targets.flatMap((target) => targetText(target)),
    ...(remarks.length > 0 ? ['remarks'] : []),
    ...remarks.map(({ text }) => `  ${text}`),
  ];
  return `${lines.join('\n')}\n`;
}

function targetText(target: TargetPlan): string[] {
  const wirings = target.lines.flatMap((line) => {
    const wiring = wiringOf(line);
    return wiring ? [`    ${line.name}: ${wiring.text}`] : [];
  });
  return [
    `${target.name}${target.requireFence ? ' (asks for a fence)' : ''}`,
    ...target.lines.map((line) => `  ${lineText(line)}`),
    ...(target.power ? [`  power: ${powerText(target.power)}`] : []),
    ...target.interlocks.map((names) => `  never active together: ${names.join(', ')}`),
    ...[...target.sequences.values()].map(
      ({ name, steps }) => `  ${name}: ${steps.map((step) => step.text).join(', ') || 'nothing'}`,
    ),
    ...(wirings.length > 0 ? ['  resistors, so that what is let go of is safe'] : []),
    ...wirings,
  ];
}

function powerReport(power: readonly PowerAnswer[]): string {
  const lines = power.flatMap(({ target, state, finding }) => {
    if (state !== undefined) return [`power of ${target}: ${state}`];
    return finding?.severity === 'remark' ? [`  ${finding.text}`] : [];
  });
  return lines.map((line) => `${line}\n`).join('');
}

function powerText({ outlet, safe, minOffMs, minIntervalMs }: PowerPlan): string {
  const rest = [outletText(outlet), safe === 'keep' ? 'kept as it is' : `safe ${safe}`];
  if (minOffMs > 0) rest.push(`off for at least ${formatDuration(minOffMs)}`);
  if (minIntervalMs > 0) rest.push(`on at most once in ${formatDuration(minIntervalMs)}`);
  return rest.join(', ');
}

function lineText({ name, wire, chip, at, output, activeLow, bias, debounceMs }: LinePlan): string {
  const what = output ? `output, ${output.mode}, safe ${output.safe}` : 'input';
  const limit = output?.maxActiveMs;
  const rest = [
    what,
    ...(limit === undefined ? [] : [`active for at most ${formatDuration(limit)}`]),
    ...(activeLow ? ['active low'] : []),
    ...(bias === 'as-is' ? [] : [bias]),
    ...(debounceMs === undefined ? [] : [`debounce ${formatDuration(debounceMs)}`]),
  ];
  return `${name}${wire === undefined ? '' : ` (${wire})`}: ${chipText(chip)}, line ${at}: ${rest.join(', ')}`;
}
