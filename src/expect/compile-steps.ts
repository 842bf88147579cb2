/** Makes a list of instructions of the steps that a file has, and refuses what could surprise whoever runs it. */

import * as v from 'valibot';
import type { LocatedValue } from '../base/config-file.ts';
import { parseDurationMs } from '../base/duration.ts';
import { RigError, reasonOf } from '../base/errors.ts';
import { didYouMean, parse } from '../base/validate.ts';
import type { UnsafeEngine } from './byte-regex.ts';
import { capturedAtEnd, captureNames, reachable } from './flow.ts';
import { shifted } from './instructions.ts';
import type { Branch, Instruction, LateStep, Step, Variables } from './script.ts';
import { CONTROL_STEPS, Within } from './script-schema.ts';
import { type Body, expectation, type RawPattern, STEP_KINDS, type StepContext } from './step-kinds.ts';
import { Filler, type Given } from './template.ts';
import { quoted } from './text.ts';
import { unreachableChoice } from './unreachable-choice.ts';

/** Far more than people write; scripts that call scripts get there without meaning to. */
const INSTRUCTION_LIMIT = 10_000;

type Path = readonly (string | number)[];

/** A file whose steps are wanted. */
export interface StepFile {
  /** As messages name it. */
  readonly name: string;
  readonly at: LocatedValue['at'];
  readonly lineEnd: string;
  readonly given: ReadonlyMap<string, Given>;
  /** Names of captured texts that `given` may ask for. */
  readonly lent: ReadonlySet<string>;
}

/** What all files of one script have in common. */
export interface Shared {
  readonly unsafe: UnsafeEngine | undefined;
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

/** `file:line:column: path: text`. */
export function errorAt(file: Pick<StepFile, 'at'>, path: Path, text: string, cause?: unknown): RigError {
  const keys = path.length === 0 ? '' : `${path.join('.')}: `;
  return new RigError('config', `${file.at(path)}: ${keys}${text}`, { cause });
}

/** A place that is known once everything before it is. */
interface Mark {
  at: number | undefined;
  readonly limit: number | undefined;
  isWanted: boolean;
}

/** Steps among which one can go to a label, and those around them. */
interface Block {
  readonly labels: ReadonlyMap<string, Mark>;
  readonly outer: Block | undefined;
  /** Just past the loop that this is in. */
  readonly leave: Mark | undefined;
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

  constructor(file: StepFile, shared: Shared, onTty: OnTty, labelNames: Set<string>) {
    this.#file = file;
    this.#shared = shared;
    this.#onTty = onTty;
    this.#labelNames = labelNames;
  }

  async compile(steps: readonly unknown[], path: Path): Promise<readonly Instruction[]> {
    await this.#block(steps, path, undefined, undefined);
    this.#place(this.#end);
    const program = this.#pending.map(({ make }) => make());
    this.#checkWays(program);
    return program;
  }

  #checkWays(program: readonly Instruction[]): void {
    const isReached = reachable(program);
    const lost = this.#pending.find(({ isWritten }, index) => isWritten && !isReached[index]);
    if (lost)
      throw errorAt(
        this.#file,
        lost.path,
        'expected a way to get here, but the step before always goes elsewhere',
      );
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
    const block: Block = { labels: this.#labelsOf(steps, path), outer, leave: leave ?? outer?.leave };
    const limited = [...block.labels.values()].filter(({ limit }) => limit !== undefined);
    const counters = new Map(limited.map((mark) => [mark, this.#shared.counters++]));
    if (limited.length > 0)
      this.#emit(path, () => ({ kind: 'reset', counters: [...counters.values()] }), 'between');
    for (const [index, step] of steps.entries()) await this.#step(step, [...path, index], block, counters);
    for (const [index, step] of steps.entries()) {
      const name = labelOf(step);
      if (name === undefined || block.labels.get(name)?.isWanted) continue;
      throw errorAt(this.#file, [...path, index], `nothing goes to the label ${JSON.stringify(name)}`);
    }
  }

  #labelsOf(steps: readonly unknown[], path: Path): Map<string, Mark> {
    const labels = new Map<string, Mark>();
    for (const [index, step] of steps.entries()) {
      const name = labelOf(step);
      if (name === undefined) continue;
      const at = [...path, index];
      if (['next', 'end', 'leave'].includes(name))
        throw errorAt(
          this.#file,
          at,
          `expected a name of your own, ${JSON.stringify(name)} has a meaning of its own`,
        );
      if (this.#labelNames.has(name))
        throw errorAt(this.#file, at, `expected each label once, ${JSON.stringify(name)} is there twice`);
      this.#labelNames.add(name);
      const limit = (step as { limit?: unknown }).limit;
      labels.set(name, newMark(typeof limit === 'number' ? limit : undefined));
    }
    return labels;
  }

  async #step(raw: unknown, path: Path, block: Block, counters: ReadonlyMap<Mark, number>): Promise<void> {
    const step = typeof raw === 'string' ? { [raw]: null } : raw;
    const kind = this.#kindOf(step, path);
    if (Object.hasOwn(STEP_KINDS, kind)) {
      const made = this.#plainStep(kind, step, path);
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
        const text = `label ${label} (${this.#placeOf(path)})`;
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
        const text = `fail (${this.#placeOf(path)})`;
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

  #kindOf(step: unknown, path: Path): string {
    const known = [...Object.keys(STEP_KINDS), ...Object.keys(CONTROL_STEPS)];
    if (typeof step !== 'object' || step === null || Array.isArray(step)) {
      const got = JSON.stringify(step) ?? String(step);
      throw errorAt(this.#file, path, `expected a step such as {expect: "login: "}, got ${got.slice(0, 80)}`);
    }
    const keys = Object.keys(step);
    const kinds = keys.filter((key) => known.includes(key));
    if (kinds.length > 1)
      throw errorAt(
        this.#file,
        path,
        `expected one kind of step, got ${kinds.join(' and ')}; write a step for each`,
      );
    if (kinds[0] !== undefined) return kinds[0];
    const key = keys[0];
    throw errorAt(
      this.#file,
      path,
      key === undefined
        ? 'expected a step such as {expect: "login: "}, got an empty one'
        : `expected one of ${known.join(', ')}, got ${quoted(Buffer.from(key), 40)}${didYouMean(key.slice(0, 40), known)}`,
    );
  }

  #parse<const K extends ControlKind>(
    kind: K,
    step: unknown,
    path: Path,
  ): v.InferOutput<(typeof CONTROL_STEPS)[K]> {
    return parse(CONTROL_STEPS[kind], step, { at: this.#file.at, path }) as v.InferOutput<
      (typeof CONTROL_STEPS)[K]
    >;
  }

  #plainStep(kind: string, raw: unknown, path: Path): Step | LateStep {
    const known = STEP_KINDS[kind];
    if (!known) throw new Error(`no step is of kind ${kind}`);
    const { waits, make } = known;
    const fields: v.ObjectEntries = { [kind]: known.value, ...(waits ? { within: Within } : {}) };
    const { [kind]: value, within } = parse(v.strictObject(fields), raw, { at: this.#file.at, path });
    const shown = typeof value === 'string' ? ` ${quoted(Buffer.from(value))}` : '';
    return this.#made([...path, kind], `${kind}${shown}`, this.#within(within, path), (context) =>
      make(value, context),
    );
  }

  #within(within: unknown, path: Path): number | undefined {
    if (typeof within !== 'string') return undefined;
    try {
      return parseDurationMs(within, 'the time');
    } catch (error) {
      throw errorAt(this.#file, [...path, 'within'], reasonOf(error), error);
    }
  }

  /** A step, or one to be made when the texts it wants are captured. */
  #made(
    path: Path,
    text: string,
    withinMs: number | undefined,
    make: (context: StepContext) => Body,
  ): Step | LateStep {
    const place = this.#placeOf(path);
    const build = (captured?: Variables): { step: Step; uses: ReadonlySet<string> } => {
      const filler = new Filler(this.#file.given, captured);
      const context = { filler, lineEnd: this.#file.lineEnd, unsafe: this.#shared.unsafe, place };
      try {
        const body = make(context);
        const step = {
          ...body,
          text: `${text} (${place})`,
          ...(withinMs === undefined ? {} : { withinMs }),
        } as Step;
        return { step, uses: filler.uses };
      } catch (error) {
        if (!(error instanceof RigError)) throw error;
        throw errorAt(this.#file, path, reasonOf(error), error);
      }
    };
    const { step: like, uses } = build();
    if (uses.size === 0) return like;
    return { kind: 'late', like, uses, fill: (captured) => build(captured).step };
  }

  async #choices(
    { choices, within }: v.InferOutput<(typeof CONTROL_STEPS)['choices']>,
    path: Path,
    block: Block,
  ): Promise<void> {
    const raw: RawPattern[] = choices.map(({ expect, regex }) => ({ expect, regex }));
    const step = this.#made(path, 'choices', this.#within(within, path), (context) => {
      const body = expectation(raw, context);
      // What a variable holds is known when the step is made for good.
      if (body.kind === 'expect' && context.filler.isComplete) this.#refuseUnreachable(body.choice, path);
      return body;
    });
    this.#refuseSameTexts(raw, path);
    const next = newMark();
    const marks = choices.map(() => newMark());
    const targets = choices.map(({ goto }, index) => {
      if (goto === 'next') return next;
      if (goto !== undefined) return this.#target(goto, [...path, 'choices', index, 'goto'], block);
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
    const mark = this.#target(name, at, block);
    this.#emit(path, () => ({ kind: 'goto', to: placeOfMark(mark) }));
  }

  #target(name: string, path: Path, block: Block): Mark {
    if (name === 'end') return this.#end;
    if (name === 'next')
      throw errorAt(
        this.#file,
        path,
        'expected next in a choice alone; elsewhere the next step follows by itself',
      );
    if (name === 'leave') {
      if (block.leave) return block.leave;
      throw errorAt(this.#file, path, 'expected leave inside of loop or repeat, this is in none');
    }
    const known: string[] = [];
    for (let each: Block | undefined = block; each; each = each.outer) {
      const mark = each.labels.get(name);
      known.push(...each.labels.keys());
      if (!mark) continue;
      mark.isWanted = true;
      if (mark.at !== undefined && mark.limit === undefined) {
        throw errorAt(
          this.#file,
          path,
          `goes back to the label ${JSON.stringify(name)}, which has no limit; write {label: ${name}, limit: 3} there`,
        );
      }
      return mark;
    }
    throw errorAt(
      this.#file,
      path,
      `expected a label here or around here, or next, leave or end, got ${JSON.stringify(name)}${didYouMean(name, known)}`,
    );
  }

  async #loop(limit: number, steps: readonly unknown[], path: Path, block: Block): Promise<void> {
    const counter = this.#shared.counters++;
    const head = newMark(limit);
    const leave = newMark();
    this.#emit(path, () => ({ kind: 'reset', counters: [counter] }));
    this.#place(head);
    const text = `loop (${this.#placeOf(path)})`;
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
      const program = await compiler.#branch(steps, at);
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
    const text = `parallel steps on ${compiled.map(({ tty }) => tty).join(', ')} (${this.#placeOf(path)})`;
    this.#emit(path, () => ({ kind: 'parallel', text, branches: compiled }));
  }

  async #branch(steps: readonly unknown[], path: Path): Promise<readonly Instruction[]> {
    await this.#block(steps, path, undefined, undefined);
    this.#place(this.#end);
    const program = this.#pending.map(({ make }) => make());
    const isReached = reachable(program);
    const lost = this.#pending.find(({ isWritten }, index) => isWritten && !isReached[index]);
    if (lost)
      throw errorAt(
        this.#file,
        lost.path,
        'expected a way to get here, but the step before always goes elsewhere',
      );
    if (!isReached[program.length]) throw errorAt(this.#file, path, 'no way leads to the end of these steps');
    return program;
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

  /** `boot.yaml:12`. */
  #placeOf(path: Path): string {
    return this.#file.at(path).replace(/:\d+$/, '');
  }
}

function newMark(limit?: number): Mark {
  return { at: undefined, limit, isWanted: false };
}

function placeOfMark({ at }: Mark): number {
  if (at === undefined) throw new Error('a place was never set');
  return at;
}

function labelOf(step: unknown): string | undefined {
  if (typeof step !== 'object' || step === null || !Object.hasOwn(step, 'label')) return undefined;
  const { label } = step as { label: unknown };
  return typeof label === 'string' ? label : undefined;
}
