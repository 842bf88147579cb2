import * as v from 'valibot';
import { parseDurationMs } from '../base/duration.ts';
import { didYouMean } from '../base/validate.ts';
import type { UnsafeEngine } from './byte-regex.ts';
import type { LateStep, Step, Variables } from './script.ts';
import { CONTROL_STEPS, Within } from './script-schema.ts';
import { errorAt, lineOf, type Path, parsePart, placed, type StepFile } from './step-file.ts';
import { type Body, STEP_KINDS, type StepContext } from './step-kinds.ts';
import { Filler } from './template.ts';
import { quoted } from './text.ts';

/** What steps of a file are made of. */
export interface Makings {
  readonly file: StepFile;
  readonly unsafe: UnsafeEngine | undefined;
  readonly files: StepContext['files'];
}

/** What of a step does not depend on its kind. */
export interface WrittenStep {
  readonly path: Path;
  /** As the user wrote it, but for its place. */
  readonly text: string;
  readonly withinMs: number | undefined;
}

/**
 * The key that says what kind of step it is.
 *
 * @throws {RigError} blame `config` when none does, or more than one
 */
export function kindOf(step: unknown, path: Path, file: StepFile): string {
  const known = [...Object.keys(STEP_KINDS), ...Object.keys(CONTROL_STEPS)];
  if (typeof step !== 'object' || step === null || Array.isArray(step)) {
    const got = JSON.stringify(step) ?? String(step);
    throw errorAt(file, path, `expected a step such as {expect: "login: "}, got ${got.slice(0, 80)}`);
  }
  const keys = Object.keys(step);
  const kinds = keys.filter((key) => known.includes(key));
  if (kinds.length > 1)
    throw errorAt(file, path, `expected one kind of step, got ${kinds.join(' and ')}; write a step for each`);
  if (kinds[0] !== undefined) return kinds[0];
  const key = keys[0];
  throw errorAt(
    file,
    path,
    key === undefined
      ? 'expected a step such as {expect: "login: "}, got an empty one'
      : `expected one of ${known.join(', ')}, got ${quoted(Buffer.from(key), 40)}${didYouMean(key.slice(0, 40), known)}`,
  );
}

/**
 * A step of one of {@link STEP_KINDS}.
 *
 * @throws {RigError} blame `config`
 */
export function plainStep(kind: string, raw: unknown, path: Path, makings: Makings): Step | LateStep {
  const { file } = makings;
  const known = STEP_KINDS[kind];
  if (!known) throw new Error(`no step is of kind ${kind}`);
  const { waits, make } = known;
  const fields: v.ObjectEntries = { [kind]: known.value, ...(waits ? { within: Within } : {}) };
  const { [kind]: value, within } = parsePart(v.strictObject(fields), raw, { at: file.at, path });
  const shown = typeof value === 'string' ? ` ${quoted(Buffer.from(value))}` : '';
  const what = { path: [...path, kind], text: `${kind}${shown}`, withinMs: withinOf(within, path, file) };
  return madeStep(what, makings, (context) => make(value, context));
}

/** @throws {RigError} blame `config` */
export function withinOf(within: unknown, path: Path, file: StepFile): number | undefined {
  if (typeof within !== 'string') return undefined;
  return placed(file, [...path, 'within'], () => parseDurationMs(within, 'the time'));
}

/** A step, or one to be made when the texts it wants are captured. */
export function madeStep(
  { path, text, withinMs }: WrittenStep,
  { file, unsafe, files }: Makings,
  make: (context: StepContext) => Body,
  /** Told of what is made with all its texts known; it throws for what cannot be used, and says where. */
  check: (body: Body) => void = () => {},
): Step | LateStep {
  const place = lineOf(file, path);
  const build = (captured?: Variables): { step: Step; uses: ReadonlySet<string> } => {
    const filler = new Filler(file.given, captured);
    const context = { filler, lineEnd: file.lineEnd, unsafe, files, place };
    const body = placed(file, path, () => make(context));
    if (filler.isComplete) check(body);
    const step = {
      ...body,
      text: `${text} (${place})`,
      ...(withinMs === undefined ? {} : { withinMs }),
    } as Step;
    return { step, uses: filler.uses };
  };
  const { step: like, uses } = build();
  if (uses.size === 0) return like;
  return { kind: 'late', like, uses, fill: (captured) => build(captured).step };
}
