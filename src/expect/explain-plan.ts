import { formatDuration } from '../base/duration.ts';
import { reachable } from './flow.ts';
import type { Instruction, LateStep } from './script.ts';
import type { LoadedScript } from './script-file.ts';
import { explainStep } from './step-kinds.ts';

/** What a script would do, in words, for `--dry-run`; `besides` are lines about what else decides. */
export function explainPlan(
  loaded: LoadedScript,
  timeoutMs: number | 'never',
  besides: readonly string[] = [],
): string {
  const { name, about, variables, script } = loaded;
  const always = (what: string, patterns: readonly { readonly shown: string }[]): string[] =>
    patterns.length === 0
      ? []
      : [`${what} as soon as ${patterns.map(({ shown }) => shown).join(' or ')} comes`];
  const time = timeoutMs === 'never' ? 'without a time limit' : `within ${formatDuration(timeoutMs)}`;
  return [
    `${name}${about === undefined ? '' : `: ${about.trim().replaceAll(/\s+/g, ' ')}`}`,
    ...variables.map((line) => `  ${line}`),
    ...explainAll(script.steps, ''),
    ...always('fail', script.fail),
    ...always('pass', script.pass),
    ...besides,
    `all of it ${time}`,
    '',
  ].join('\n');
}

/** Numbers are those that people see: what only prepares a step has none. */
function explainAll(program: readonly Instruction[], indent: string): string[] {
  const isReached = reachable(program);
  const isShown = program.map(({ kind }, index) => kind !== 'reset' && isReached[index] === true);
  const numbers: number[] = [];
  let shown = 0;
  for (const each of isShown) numbers.push(each ? ++shown : shown + 1);
  const where = (to: number): string => (numbers[to] === undefined ? 'the end' : `step ${numbers[to]}`);
  return program.flatMap((instruction, index) => {
    if (!isShown[index]) return [];
    const [first = '', ...more] = explain(instruction, where, indent);
    return [`${indent}${String(numbers[index]).padStart(3)}. ${first}`, ...more];
  });
}

/** As it was written: what is captured is not known yet. */
function explainLate({ like, uses }: LateStep): string {
  const names = [...uses].map((name) => `\${${name}}`).join(' and ');
  const written = like.text.replace(/ \([^()]*\)$/, '').replace(/^(?:expect|regex) /, 'wait for ');
  const step = like.kind === 'expect' || like.kind === 'send' ? written : explainStep(like);
  return `${step} (${names} as captured by then)`;
}

function explain(instruction: Instruction, where: (to: number) => string, indent: string): string[] {
  switch (instruction.kind) {
    case 'late':
      return [explainLate(instruction)];
    case 'choose': {
      const step = instruction.step.kind === 'late' ? instruction.step.like : instruction.step;
      const to = instruction.to.map((each) => where(each));
      return [`${explainStep(step)}; then go to ${to.join(' or ')}`];
    }
    case 'goto':
      return [`go to ${where(instruction.to)}`];
    case 'count':
      return [`at most ${instruction.limit} times past here, else fail: ${instruction.text}`];
    case 'again':
      return [`go to ${where(instruction.to)}, until it was done ${instruction.times} times`];
    case 'fail':
      return [`fail: ${instruction.reason}`];
    case 'parallel':
      return [
        'at the same time, the first failure ends all:',
        ...instruction.branches.flatMap(({ tty, steps }) => [
          `${indent}     on tty ${tty}:`,
          ...explainAll(steps, `${indent}     `),
        ]),
      ];
    case 'reset':
      return [];
    default:
      return [explainStep(instruction)];
  }
}
