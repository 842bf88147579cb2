/** Makes a list of instructions of the steps that a file has, and refuses what could surprise whoever runs it. */

import type * as v from 'valibot';
import { didYouMean } from '../base/validate.ts';
import type { UnsafeEngine } from './byte-regex.ts';
import { capturedAtEnd, captureNames, reachable } from './flow.ts';
import { shifted } from './instructions.ts';
import { type Block, labelOf, labelsOf, type Mark, newMark, placeOfMark, targetOf } from './labels.ts';
import { kindOf, type Makings, madeStep, plainStep, withinOf } from './make-step.ts';
import type { Branch, Instruction } from './script.ts';
import type { MistakeList } from './script-mistakes.ts';
import { CONTROL_STEPS } from './script-schema.ts';
import { errorAt, lineOf, type Path, parsePart, type StepFile } from './step-file.ts';
import { expectation, type RawPattern, STEP_KINDS } from './step-kinds.ts';
import { quoted } from './text.ts';
import { unreachableChoice } from './unreachable-choice.ts';

/** Far more than people write; scripts that call scripts get there without meaning to. */
const INSTRUCTION_LIMIT = 10_000;

/** What all files of one script have in common. */
export interface Shared {
  readonly unsafe: UnsafeEngine | undefined;
  readonly files: Makings['files'];
  /** What follows from one of them is none. */
  readonly mistakes: MistakeList;
  /** Counts up. */
  instructions: number;
  counters: number;
  /** The instructions of another script, as it is called; `values` are texts of the file that calls. */
  readonly call: (
    target: string,
    values: Readonly<Record<string, string>>,
    from: { readonly file: StepFile; readonly path: Path; readonly onTty: OnTty },
  ) => Promise<readonly Instruction[]>;
}

/** Whether steps may say what several ttys do. */
export type OnTty = 'main' | 'one of several';

/**
 * The instructions of `steps`, which are at `path` of the file.
 *
 * @throws {RigError} blame `config`, with file, line and column
 */
export async function compileSteps(
  steps: readonly unknown[],
  path: Path,
  file: StepFile,
  shared: Shared,
  onTty: OnTty,
): Promise<readonly Instruction[]> {
  const names = new Set<string>();
  const program = await new Compiler(file, shared, onTty, names).compile(steps, path);
  return program;
}

interface Pending {
  readonly path: Path;
  readonly make: () => Instruction;
  /** False for what stands between steps: nobody has written it. */
  readonly isWritten: boolean;
}

type ControlKind = keyof typeof CONTROL_STEPS;

class Compiler {
  readonly #file: StepFile;
  readonly #shared: Shared;
  readonly #onTty: OnTty;
  /** Of all labels of the file. */
  readonly #labelNames: Set<string>;
  readonly #pending: Pending[] = [];
  readonly #end = newMark();
  readonly #makings: Makings;

  constructor(file: StepFile, shared: Shared, onTty: OnTty, labelNames: Set<string>) {
    this.#file = file;
    this.#shared = shared;
    this.#onTty = onTty;
    this.#labelNames = labelNames;
    this.#makings = { file, unsafe: shared.unsafe, files: shared.files };
  }

  async compile(steps: readonly unknown[], path: Path): Promise<readonly Instruction[]> {
    const program = await this.#program(steps, path);
    if (this.#shared.mistakes.isEmpty) this.#checkCaptures(program);
    return program;
  }

  async #program(steps: readonly unknown[], path: Path): Promise<readonly Instruction[]> {
    await this.#block(steps, path, undefined, undefined);
    this.#place(this.#end);
    if (!this.#shared.mistakes.isEmpty) return [];
    const program = this.#pending.map(({ make }) => make());
    const isReached = reachable(program);
    const lost = this.#pending.find(({ isWritten }, index) => isWritten && !isReached[index]);
    if (!lost) return program;
    const text = 'expected a way to get here, but the step before always goes elsewhere';
    throw errorAt(this.#file, lost.path, text);
  }

  #checkCaptures(program: readonly Instruction[]): void {
    const all = captureNames(program);
    capturedAtEnd(program, this.#file.lent, (name, at) => {
      const known = [...this.#file.given.keys(), ...all];
      const what = all.has(name)
        ? `expected \${${name}} to be captured on every way that leads here, and there is one on which it is not`
        : `expected \${${name}} to be one of the variables or a named group of a regex before it, found none of that name${didYouMean(name, known)}`;
      throw errorAt(this.#file, this.#pending[at]?.path ?? [], what);
    });
    for (const [at, instruction] of program.entries()) {
      const clash = [...captureNames([instruction])].find((name) => this.#file.given.has(name));
      if (clash === undefined || !this.#pending[at]?.isWritten) continue;
      throw errorAt(
        this.#file,
        this.#pending[at].path,
        `expected a new name for the captured text, ${JSON.stringify(clash)} is one of the variables`,
      );
    }
  }

  async #block(
    steps: readonly unknown[],
    path: Path,
    outer: Block | undefined,
    leave: Mark | undefined,
  ): Promise<void> {
    const block: Block = {
      labels: labelsOf(steps, path, this.#file, this.#labelNames),
      outer,
      leave: leave ?? outer?.leave,
      end: this.#end,
    };
    const limited = [...block.labels.values()].filter(({ limit }) => limit !== undefined);
    const counters = new Map(limited.map((mark) => [mark, this.#shared.counters++]));
    if (limited.length > 0)
      this.#emit(path, () => ({ kind: 'reset', counters: [...counters.values()] }), 'between');
    const { mistakes } = this.#shared;
    for (const [index, step] of steps.entries())
      await mistakes.collect(() => this.#step(step, [...path, index], block, counters));
    if (!mistakes.isEmpty) return;
    for (const [index, step] of steps.entries()) {
      const name = labelOf(step);
      if (name === undefined || block.labels.get(name)?.isWanted) continue;
      throw errorAt(this.#file, [...path, index], `nothing goes to the label ${JSON.stringify(name)}`);
    }
  }

  async #step(raw: unknown, path: Path, block: Block, counters: ReadonlyMap<Mark, number>): Promise<void> {
    const step = typeof raw === 'string' ? { [raw]: null } : raw;
    const kind = kindOf(step, path, this.#file);
    if (Object.hasOwn(STEP_KINDS, kind)) {
      const made = plainStep(kind, step, path, this.#makings);
      this.#emit(path, () => made);
      return;
    }
    switch (kind as ControlKind) {
      case 'choices':
        return await this.#choices(this.#parse('choices', step, path), path, block);
      case 'label': {
        const { label, limit } = this.#parse('label', step, path);
        const mark = block.labels.get(label);
        if (!mark) return;
        this.#place(mark);
        const counter = counters.get(mark);
        if (limit === undefined || counter === undefined) return;
        const text = `label ${label} (${lineOf(this.#file, path)})`;
        this.#emit(path, () => ({ kind: 'count', counter, limit, text }), 'between');
        return;
      }
      case 'goto':
        return this.#goto(this.#parse('goto', step, path).goto, [...path, 'goto'], block, path);
      case 'loop': {
        const { loop } = this.#parse('loop', step, path);
        return await this.#loop(loop.limit, loop.steps, path, block);
      }
      case 'repeat': {
        const { repeat } = this.#parse('repeat', step, path);
        return await this.#repeat(repeat.times, repeat.steps, path, block);
      }
      case 'fail': {
        const { fail } = this.#parse('fail', step, path);
        const text = `fail (${lineOf(this.#file, path)})`;
        this.#emit(path, () => ({
          kind: 'fail',
          text,
          reason: quoted(Buffer.from(fail)),
        }));
        return;
      }
      case 'call':
        return await this.#call(this.#parse('call', step, path), path);
      case 'parallel':
        return await this.#parallel(this.#parse('parallel', step, path).parallel, path);
    }
  }

  #parse<const K extends ControlKind>(
    kind: K,
    step: unknown,
    path: Path,
  ): v.InferOutput<(typeof CONTROL_STEPS)[K]> {
    return parsePart(CONTROL_STEPS[kind], step, { at: this.#file.at, path }) as v.InferOutput<
      (typeof CONTROL_STEPS)[K]
    >;
  }

  async #choices(
    { choices, within }: v.InferOutput<(typeof CONTROL_STEPS)['choices']>,
    path: Path,
    block: Block,
  ): Promise<void> {
    const raw: RawPattern[] = choices.map(({ expect, regex }) => ({ expect, regex }));
    const what = { path, text: 'choices', withinMs: withinOf(within, path, this.#file) };
    const step = madeStep(
      what,
      this.#makings,
      (context) => expectation(raw, context),
      (body) => {
        if (body.kind === 'expect') this.#refuseUnreachable(body.choice, path);
      },
    );
    this.#refuseSameTexts(raw, path);
    const next = newMark();
    const marks = choices.map(() => newMark());
    const targets = choices.map(({ goto }, index) => {
      if (goto === 'next') return next;
      if (goto !== undefined) return targetOf(goto, [...path, 'choices', index, 'goto'], block, this.#file);
      return marks[index] ?? next;
    });
    this.#emit(path, () => ({ kind: 'choose', step, to: targets.map((mark) => placeOfMark(mark)) }));
    for (const [index, { then }] of choices.entries()) {
      const mark = marks[index];
      if (!then || !mark) continue;
      this.#place(mark);
      await this.#block(then, [...path, 'choices', index, 'then'], block, undefined);
      this.#emit(path, () => ({ kind: 'goto', to: placeOfMark(next) }), 'between');
    }
    this.#place(next);
  }

  #refuseUnreachable(patterns: Parameters<typeof unreachableChoice>[0], path: Path): void {
    const found = unreachableChoice(patterns);
    if (found)
      throw errorAt(
        this.#file,
        [...path, 'choices', found.index],
        `can never be chosen: ${found.because} choices.${found.by}`,
      );
  }

  #refuseSameTexts(choices: readonly RawPattern[], path: Path): void {
    const texts = choices.map((choice) => JSON.stringify(choice));
    const index = texts.findIndex((text, at) => texts.indexOf(text) < at);
    if (index < 0) return;
    const by = texts.indexOf(texts[index] ?? '');
    throw errorAt(
      this.#file,
      [...path, 'choices', index],
      `can never be chosen: it is the same as choices.${by}`,
    );
  }

  #goto(name: string, at: Path, block: Block, path: Path): void {
    const mark = targetOf(name, at, block, this.#file);
    this.#emit(path, () => ({ kind: 'goto', to: placeOfMark(mark) }));
  }

  async #loop(limit: number, steps: readonly unknown[], path: Path, block: Block): Promise<void> {
    const counter = this.#shared.counters++;
    const head = newMark(limit);
    const leave = newMark();
    this.#emit(path, () => ({ kind: 'reset', counters: [counter] }));
    this.#place(head);
    const text = `loop (${lineOf(this.#file, path)})`;
    this.#emit(path, () => ({ kind: 'count', counter, limit, text }), 'between');
    await this.#block(steps, [...path, 'loop', 'steps'], block, leave);
    this.#emit(path, () => ({ kind: 'goto', to: placeOfMark(head) }), 'between');
    this.#place(leave);
  }

  async #repeat(times: number, steps: readonly unknown[], path: Path, block: Block): Promise<void> {
    const counter = this.#shared.counters++;
    const head = newMark(times);
    const leave = newMark();
    this.#emit(path, () => ({ kind: 'reset', counters: [counter] }));
    this.#place(head);
    await this.#block(steps, [...path, 'repeat', 'steps'], block, leave);
    this.#emit(path, () => ({ kind: 'again', counter, times, to: placeOfMark(head) }), 'between');
    this.#place(leave);
  }

  async #call(
    { call, with: values = {} }: v.InferOutput<(typeof CONTROL_STEPS)['call']>,
    path: Path,
  ): Promise<void> {
    const from = { file: this.#file, path, onTty: this.#onTty };
    const called = await this.#shared.call(call, values, from);
    const base = this.#pending.length;
    for (const [index, each] of called.entries())
      this.#emit(path, () => shifted(each, base), index === 0 ? 'written' : 'between');
  }

  async #parallel(branches: Readonly<Record<string, readonly unknown[]>>, path: Path): Promise<void> {
    if (this.#onTty === 'one of several')
      throw errorAt(
        this.#file,
        path,
        'expected steps on one tty here; parallel cannot stand within parallel',
      );
    const compiled: Branch[] = [];
    const seen = new Set<string>();
    for (const [tty, steps] of Object.entries(branches)) {
      const at = [...path, 'parallel', tty];
      const compiler = new Compiler(this.#file, this.#shared, 'one of several', this.#labelNames);
      // What was captured before the branches begin is for the whole to check.
      const program = await compiler.#program(steps, at);
      if (this.#shared.mistakes.isEmpty && !reachable(program)[program.length])
        throw errorAt(this.#file, at, 'no way leads to the end of these steps');
      for (const name of captureNames(program)) {
        if (seen.has(name))
          throw errorAt(
            this.#file,
            at,
            `expected a name of its own for each captured text, two ttys capture ${JSON.stringify(name)}`,
          );
        seen.add(name);
      }
      compiled.push({ tty, steps: program });
    }
    const text = `parallel steps on ${compiled.map(({ tty }) => tty).join(', ')} (${lineOf(this.#file, path)})`;
    this.#emit(path, () => ({ kind: 'parallel', text, branches: compiled }));
  }

  #emit(path: Path, make: () => Instruction, kind: 'written' | 'between' = 'written'): void {
    if (++this.#shared.instructions > INSTRUCTION_LIMIT)
      throw errorAt(
        this.#file,
        path,
        `expected at most ${INSTRUCTION_LIMIT} steps, with those of called scripts`,
      );
    this.#pending.push({ path, make, isWritten: kind === 'written' });
  }

  #place(mark: Mark): void {
    mark.at = this.#pending.length;
  }
}
