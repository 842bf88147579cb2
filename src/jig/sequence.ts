import type * as v from 'valibot';
import { RigError } from '../base/errors.ts';
import { didYouMean, parse } from '../base/validate.ts';
import { durationMs, PauseStep, type Sequence, STEPS } from './config.ts';
import { type HttpCall, withoutSecrets } from './http-call.ts';
import type { LinePlan, LineValue } from './plan.ts';
import type { PowerValue } from './power.ts';
import type { PowerPlan } from './power-plan.ts';

/** What a `wait_for` waits for. */
export type Condition = { readonly value: LineValue } | { readonly edge: 'rising' | 'falling' | 'both' };

interface LineSetting {
  readonly line: string;
  readonly value: LineValue;
}

/** One thing to do. `path` is where it stands in the sequence, `text` what people read. */
export type Step = { readonly path: string; readonly text: string } & (
  | { readonly kind: 'set'; readonly values: readonly LineSetting[] }
  | { readonly kind: 'pulse'; readonly line: string; readonly value: LineValue; readonly forMs: number }
  | { readonly kind: 'pause'; readonly pauseMs: number }
  | { readonly kind: 'power'; readonly value: PowerValue; readonly longestMs: number }
  | { readonly kind: 'http'; readonly call: HttpCall }
  | { readonly kind: 'wait'; readonly line: string; readonly until: Condition; readonly withinMs: number }
);

export interface SequencePlan {
  readonly name: string;
  /** Repeats and calls unrolled. */
  readonly steps: readonly Step[];
}

/** Timers are late by a millisecond or so: a pulse from here on does not notice, a shorter one would be twice as long. */
const LONG_PULSE_MS = 5;

/** Whether a step wants a finer clock than timers go by, where the chip has one. */
export function isShortPulse(step: Step): step is Step & { readonly kind: 'pulse' } {
  return step.kind === 'pulse' && step.forMs > 0 && step.forMs < LONG_PULSE_MS;
}

/** A longer one is a mistake in a `repeat`, and its trace would not fit a Pi's memory. */
const MAX_STEPS = 10_000;

/** So many that come to nothing may be looked at for each that is done. */
const MAX_VISITS = 10 * MAX_STEPS;

/** Repeats and calls inside each other: nobody writes so many by hand. */
const MAX_DEPTH = 100;

/** Of a whole config: each takes some hundred bytes for as long as the jig lives, which may be on a Pi Zero. */
const MAX_STEPS_IN_ALL = 10 * MAX_STEPS;

/** A server that takes longer for a step is asked for too much. */
const DEFAULT_HTTP_MS = 5000;

/** Counts the steps of all sequences of a config. */
export class StepBudget {
  readonly #file: string;
  #left = MAX_STEPS_IN_ALL;

  constructor(file: string) {
    this.#file = file;
  }

  /** @throws {RigError} blame `config`, with the same words each time, once there are too many */
  takeOne(): void {
    if (--this.#left >= 0) return;
    throw new RigError(
      'config',
      `${this.#file}: expected at most ${MAX_STEPS_IN_ALL} steps in all sequences once repeats and calls are unrolled, got more`,
    );
  }
}

/** What a sequence is compiled against; `where` names the list of sequences in the file. */
interface Context {
  readonly budget: StepBudget;
  readonly lines: readonly LinePlan[];
  readonly power: PowerPlan | undefined;
  readonly sequences: readonly Sequence[];
  readonly where: string;
}

/** @throws {RigError} blame `config` with file, path inside it, expected, found */
export function compileSequence(name: string, context: Context): SequencePlan {
  const compiler = new Compiler(context);
  compiler.sequence(name, '', []);
  return { name, steps: compiler.steps };
}

class Compiler {
  readonly steps: Step[] = [];
  readonly #context: Context;
  /** Sequences that come to nothing: calls of them would double at each level. */
  readonly #empty = new Set<string>();
  #visited = 0;
  #depth = 0;

  constructor(context: Context) {
    this.#context = context;
  }

  /** `path` is what the steps' own paths begin with; `callers` are the sequences that are being unrolled. */
  sequence(name: string, path: string, callers: readonly string[]): void {
    const index = this.#context.sequences.findIndex((each) => each.name === name);
    const sequence = this.#context.sequences[index];
    this.#list(sequence?.seq ?? [], `${this.#context.where}.${index}.seq`, `${path}seq`, [...callers, name]);
  }

  #list(seq: readonly object[], where: string, path: string, callers: readonly string[]): void {
    if (this.#depth >= MAX_DEPTH) {
      throw new RigError(
        'config',
        `${this.#context.where}: ${callers[0]}: expected repeats and calls at most ${MAX_DEPTH} deep, got more`,
      );
    }
    this.#depth++;
    for (const [index, step] of seq.entries()) {
      this.#step(step, `${where}.${index}`, `${path}.${index}`, callers);
    }
    this.#depth--;
  }

  #step(step: object, where: string, path: string, callers: readonly string[]): void {
    const kind = kindOf(step, where);
    if (++this.#visited > MAX_VISITS) throw tooLong(where);
    switch (kind) {
      case 'value': {
        const pauseMs = durationMs(parse(PauseStep, step, where).value);
        this.#add(where, { path, kind: 'pause', pauseMs, text: `pause ${pauseMs} ms` });
        return;
      }
      case 'gpio_name': {
        const { gpio_name: line, value } = parse(STEPS.gpio_name, step, where);
        this.#output(line, `${where}.gpio_name`);
        const values = [{ line, value: lineValue(value) }];
        this.#add(where, { path, kind: 'set', values, text: `${line}=${value}` });
        return;
      }
      case 'set': {
        const entries = Object.entries(parse(STEPS.set, step, where).set);
        // As written: what is left out of the entries is no line either.
        for (const line of Object.keys('set' in step && step.set ? step.set : {}))
          this.#output(line, `${where}.set.${line}`);
        const values = entries.map(([line, value]) => ({ line, value: lineValue(value) }));
        const text = entries.map(([line, value]) => `${line}=${value}`).join(' and ');
        this.#add(where, { path, kind: 'set', values, text });
        return;
      }
      case 'pulse': {
        const { pulse: line, for: time, value = 1 } = parse(STEPS.pulse, step, where);
        const { maxActiveMs = Number.POSITIVE_INFINITY } = this.#output(line, `${where}.pulse`);
        const forMs = durationMs(time);
        if (value === 1 && forMs >= maxActiveMs) {
          throw new RigError(
            'config',
            `${where}.for: expected less than the maxActive of ${line}, ${maxActiveMs} ms, got ${forMs} ms`,
          );
        }
        const text = `${line}=${value} for ${forMs} ms`;
        this.#add(where, { path, kind: 'pulse', line, value: lineValue(value), forMs, text });
        return;
      }
      case 'wait_for':
        this.#wait(parse(STEPS.wait_for, step, where), where, path);
        return;
      case 'repeat': {
        const { repeat, seq } = parse(STEPS.repeat, step, where);
        for (let round = 0; round < repeat; round++) {
          const before = this.steps.length;
          this.#list(seq, `${where}.seq`, `${path}.seq`, callers);
          if (this.steps.length === before) return; // nothing, however often
        }
        return;
      }
      case 'power':
        this.#power(parse(STEPS.power, step, where).power, where, path);
        return;
      case 'http':
        this.#http(parse(STEPS.http, step, where), where, path);
        return;
      case 'call':
        this.#call(parse(STEPS.call, step, where).call, where, path, callers);
    }
  }

  #call(name: string, where: string, path: string, callers: readonly string[]): void {
    const known = this.#context.sequences.map((each) => each.name);
    if (!known.includes(name)) throw unknown(`${where}.call`, 'sequence', name, known);
    if (callers.includes(name)) {
      const circle = [...callers, name].join(' → ');
      throw new RigError('config', `${where}.call: expected a sequence that ends, got a circle: ${circle}`);
    }
    if (this.#empty.has(name)) return;
    const before = this.steps.length;
    this.sequence(name, `${path}.${name}.`, callers);
    if (this.steps.length === before) this.#empty.add(name);
  }

  #power(value: PowerValue, where: string, path: string): void {
    const { power } = this.#context;
    if (!power) {
      throw new RigError(
        'config',
        `${where}.power: expected a target with the key "power", this one has none`,
      );
    }
    // Off is never held back.
    const heldMs = value === 'on' ? Math.max(power.minOffMs, power.minIntervalMs) : 0;
    const { outlet } = power;
    // A command and then the one that says what came of it, each in its own time.
    const orders = outlet.kind === 'command' && outlet.state ? 2 : 1;
    const longestMs = heldMs + orders * outlet.withinMs;
    this.#add(where, { path, kind: 'power', value, longestMs, text: `power ${value}` });
  }

  #http(
    {
      http: url,
      method = 'GET',
      headers = {},
      body,
      expect: expected,
      within,
    }: v.InferOutput<typeof STEPS.http>,
    where: string,
    path: string,
  ): void {
    const withinMs = within === undefined ? DEFAULT_HTTP_MS : durationMs(within);
    const call = { url, method, headers, body, expected, withinMs };
    this.#add(where, { path, kind: 'http', call, text: `${method} ${withoutSecrets(url)}` });
  }

  #wait(
    { wait_for: line, value, edge, within }: v.InferOutput<typeof STEPS.wait_for>,
    where: string,
    path: string,
  ): void {
    if (this.#line(line, `${where}.wait_for`).output) {
      throw new RigError(
        'config',
        `${where}.wait_for: expected a line with "direction": "in", got ${JSON.stringify(line)}`,
      );
    }
    if ((value === undefined) === (edge === undefined)) {
      const found = value === undefined ? 'neither' : 'both';
      throw new RigError('config', `${where}: expected value or edge, got ${found}`);
    }
    const withinMs = durationMs(within);
    const until: Condition = edge ? { edge } : { value: lineValue(value ?? 0) };
    const text = `wait for ${edge ? `${line} ${edge}` : `${line}=${value}`} within ${withinMs} ms`;
    this.#add(where, { path, kind: 'wait', line, until, withinMs, text });
  }

  #add(where: string, step: Step): void {
    if (this.steps.length >= MAX_STEPS) throw tooLong(where);
    this.#context.budget.takeOne();
    this.steps.push(step);
  }

  #output(name: string, where: string): NonNullable<LinePlan['output']> {
    const { output } = this.#line(name, where);
    if (output) return output;
    throw new RigError(
      'config',
      `${where}: expected an output, got ${JSON.stringify(name)}, which is an input`,
    );
  }

  #line(name: string, where: string): LinePlan {
    const line = this.#context.lines.find((each) => each.name === name);
    if (line) return line;
    throw unknown(
      where,
      'line',
      name,
      this.#context.lines.map((each) => each.name),
    );
  }
}

type StepKey = keyof typeof STEPS | 'value';

const KINDS = Object.keys(STEPS) as (keyof typeof STEPS)[];
const ALL_KEYS = [...new Set(Object.values(STEPS).flatMap((schema) => Object.keys(schema.entries)))];

/** By the key that only this kind of step has. Every key is looked at first: a misspelt one must not make a pause. */
function kindOf(step: object, where: string): StepKey {
  for (const key of Object.keys(step)) {
    if (!ALL_KEYS.includes(key)) {
      throw new RigError(
        'config',
        `${where}: unknown key ${JSON.stringify(key)}${didYouMean(key, ALL_KEYS)}`,
      );
    }
  }
  const given = KINDS.filter((kind) => Object.hasOwn(step, kind));
  if (given.length === 1 && given[0]) return given[0];
  if (given.length === 0 && Object.hasOwn(step, 'value')) return 'value';
  const found = given.length === 0 ? 'none of them' : given.join(' and ');
  throw new RigError('config', `${where}: expected one of ${KINDS.join(', ')}, or value alone, got ${found}`);
}

function unknown(where: string, what: string, name: string, known: readonly string[]): RigError {
  const there = known.length > 0 ? known.join(', ') : '(there is none)';
  return new RigError(
    'config',
    `${where}: expected a ${what} of this target, one of ${there}, got ${JSON.stringify(name)}${didYouMean(name, known)}`,
  );
}

function tooLong(where: string): RigError {
  return new RigError(
    'config',
    `${where}: expected at most ${MAX_STEPS} steps once repeats and calls are unrolled, got more`,
  );
}

function lineValue(value: 0 | 1): LineValue {
  return value === 1 ? 'active' : 'inactive';
}
