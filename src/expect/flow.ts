/** The ways through a list of instructions, without taking them. */

import { type Instruction, isFresh, type Step, stepOf, stepsIn } from './script.ts';
import { groupNames } from './template.ts';

/** Whether some way leads to each instruction, by index; the one past the last is the end. */
export function reachable(program: readonly Instruction[]): boolean[] {
  const seen = Array.from({ length: program.length + 1 }, () => false);
  const open = [0];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (seen[at]) continue;
    seen[at] = true;
    open.push(...waysFrom(program, at).map(({ to }) => to));
  }
  return seen;
}

/** Whether a fresh step is at each instruction, or may still come after it; past the last there is none. */
export function freshAhead(program: readonly Instruction[]): boolean[] {
  const ahead = program.map((each) => [...stepsIn([each])].some((step) => isFresh(step)));
  ahead.push(false);
  for (let hasChanged = true; hasChanged; ) {
    hasChanged = false;
    for (let at = program.length - 1; at >= 0; at--) {
      if (ahead[at] || !waysFrom(program, at).some(({ to }) => ahead[to])) continue;
      ahead[at] = true;
      hasChanged = true;
    }
  }
  return ahead;
}

/** Names that have been captured on every way to the end; told of the first use of one that has not been. */
export function capturedAtEnd(
  program: readonly Instruction[],
  before: ReadonlySet<string>,
  onUnset: (name: string, at: number) => void,
): ReadonlySet<string> {
  const known: (ReadonlySet<string> | undefined)[] = [before];
  const open = new Set([0]);
  for (const at of open) {
    open.delete(at);
    const here = known[at] ?? before;
    const within = insideOf(program[at], here);
    for (const { to, captures } of waysFrom(program, at)) {
      const there = new Set([...here, ...within, ...captures]);
      const old = known[to];
      const met = old ? new Set([...old].filter((name) => there.has(name))) : there;
      if (old && old.size === met.size) continue;
      known[to] = met;
      open.add(to);
    }
  }
  for (const [at, instruction] of program.entries()) {
    const here = known[at];
    if (!here) continue; // no way leads here
    for (const name of usesOf(instruction)) if (!here.has(name)) onUnset(name, at);
    if (instruction.kind !== 'parallel') continue;
    for (const { steps } of instruction.branches) capturedAtEnd(steps, here, (name) => onUnset(name, at));
  }
  return known[program.length] ?? before;
}

/** Every name that some regex may capture. */
export function captureNames(program: readonly Instruction[]): Set<string> {
  return new Set([...stepsIn(program)].flatMap((step) => capturesOf(step).flat()));
}

interface Way {
  readonly to: number;
  readonly captures: readonly string[];
}

function waysFrom(program: readonly Instruction[], at: number): Way[] {
  const instruction = program[at];
  const next = { to: at + 1, captures: [] };
  if (!instruction) return [];
  switch (instruction.kind) {
    case 'goto':
      return [{ to: instruction.to, captures: [] }];
    case 'again':
      return [{ to: instruction.to, captures: [] }, next];
    case 'fail':
      return [];
    case 'choose': {
      const captures = capturesOf(stepOf(instruction));
      return instruction.to.map((to, index) => ({ to, captures: captures[index] ?? [] }));
    }
    default: {
      const step = stepOf(instruction);
      return [step ? { to: at + 1, captures: capturesOf(step).flat() } : next];
    }
  }
}

/** Of each pattern of a choice. */
function capturesOf(step: Step | undefined): string[][] {
  if (step?.kind !== 'expect') return [];
  return step.choice.map((pattern) => (pattern.kind === 'regex' ? groupNames(pattern.regex.source) : []));
}

/** All branches have ended when the script goes on. */
function insideOf(instruction: Instruction | undefined, before: ReadonlySet<string>): Iterable<string> {
  if (instruction?.kind !== 'parallel') return [];
  return instruction.branches.flatMap(({ steps }) => [...capturedAtEnd(steps, before, () => {})]);
}

function usesOf(instruction: Instruction): ReadonlySet<string> {
  if (instruction.kind === 'late') return instruction.uses;
  if (instruction.kind === 'choose') return usesOf(instruction.step);
  return new Set();
}
