import * as v from 'valibot';
import { type Blame, RigError } from './errors.ts';

type Issue = v.BaseIssue<unknown>;

/** The file or peer that a value came from; or the place of each part of it in a file. */
export type Where =
  | string
  | {
      /** `boot.yaml:3:5` of what is at `path` of the whole file. */
      readonly at: (path: readonly unknown[]) => string;
      /** Of the value in the file; empty for all of it. */
      readonly path: readonly unknown[];
    };

/** As many unknown keys of one object are said; who has more has written something else. */
const MAX_ROUNDS = 20;

/**
 * The parsed value, or one line that says where it is wrong: `conf.json: devices.2.ttys: expected …, got …`.
 * `where` names the file or peer; `blame` who wrote the value.
 *
 * @throws {RigError} with `blame`, about the first thing that is wrong
 */
export function parse<const S extends v.GenericSchema>(
  schema: S,
  value: unknown,
  where: Where,
  blame: Blame = 'config',
): v.InferOutput<S> {
  const result = parseAll(schema, value, where, 1);
  if (!('problems' in result)) return result.output;
  throw new RigError(blame, result.problems[0] ?? 'is not valid');
}

/**
 * The parsed value, or a line for each thing that is wrong with it, as {@link parse} says it; with problems, `output` is
 * the value where unknown keys are all that is wrong, without them.
 */
export function parseAll<const S extends v.GenericSchema>(
  schema: S,
  value: unknown,
  where: Where,
  rounds = MAX_ROUNDS,
):
  | { readonly output: v.InferOutput<S> }
  | { readonly problems: readonly string[]; readonly output?: v.InferOutput<S> } {
  let result = v.safeParse(schema, value);
  if (result.success) return { output: result.output };
  const line = (issue: Issue): string =>
    `${placeOf(where, isAboutArray(issue) ? keysOf(issue).slice(0, -1) : keysOf(issue))}: ${describeIssue(schema, issue, outerKeys(where))}`;
  // A misspelt key shows twice, as unknown and as missing; the first tells the writer what to do.
  const unknown: string[] = [];
  // Of several unknown keys of an object, valibot says the first alone.
  let known = value;
  for (let round = 1; ; round++) {
    const issues = result.issues.flatMap((issue) => meant(issue));
    const unknownKeys = issues.filter((issue) => isUnknownKey(issue));
    unknown.push(...unknownKeys.map((issue) => line(issue)));
    if (unknownKeys.length === 0 || round >= rounds) {
      const others = issues.filter((issue) => !isUnknownKey(issue));
      return { problems: [...new Set([...unknown, ...others.map((issue) => line(issue))])] };
    }
    for (const { path = [] } of unknownKeys)
      known = without(
        known,
        path.map(({ key }) => key),
      );
    result = v.safeParse(schema, known);
    if (result.success) return { problems: unknown, output: result.output };
  }
}

function placeOf(where: Where, path: readonly unknown[]): string {
  return typeof where === 'string' ? where : where.at([...where.path, ...path]);
}

function outerKeys(where: Where): readonly unknown[] {
  return typeof where === 'string' ? [] : where.path;
}

function keysOf(issue: Issue): unknown[] {
  return issue.path?.map((item) => item.key) ?? [];
}

/** A copy that lacks what is at `path`. */
function without(value: unknown, [key, ...rest]: readonly unknown[]): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const copy = (Array.isArray(value) ? [...value] : { ...value }) as Record<string, unknown>;
  if (rest.length === 0) delete copy[String(key)];
  else copy[String(key)] = without(copy[String(key)], rest);
  return copy;
}

/** In a union, what the branches say that got inside, the furthest first: one of them was meant. */
function meant(issue: Issue): Issue[] {
  const inner = (issue.issues ?? [])
    .flatMap((each) => meant(each))
    .filter(({ path }) => path !== undefined)
    .sort((a, b) => (b.path?.length ?? 0) - (a.path?.length ?? 0));
  if (inner.length === 0) return [issue];
  return inner.map((each) => {
    const path = [...(issue.path ?? []), ...(each.path ?? [])];
    return { ...each, path: path as [v.IssuePathItem, ...v.IssuePathItem[]] };
  });
}

function isUnknownKey(issue: Issue): boolean {
  return issue.type === 'strict_object' && issue.expected === 'never' && !isAboutArray(issue);
}

/** Of an array, valibot takes the indices for keys. */
function isAboutArray(issue: Issue): boolean {
  return issue.type === 'strict_object' && Array.isArray(issue.path?.at(-1)?.input);
}

function describeIssue(schema: v.GenericSchema, issue: Issue, outer: readonly unknown[]): string {
  const keys = keysOf(issue);
  const at = (path: readonly unknown[]): string =>
    outer.length + path.length === 0 ? '' : `${[...outer, ...path].join('.')}: `;
  if (isUnknownKey(issue)) {
    const key = String(keys.at(-1));
    const hint = didYouMean(
      key,
      entriesAt(schema, keys.slice(0, -1)).map(([name]) => name),
    );
    return `${at(keys.slice(0, -1))}unknown key ${JSON.stringify(key)}${hint}`;
  }
  if (isAboutArray(issue)) {
    const path = keys.slice(0, -1);
    if (isOurText(issue)) return `${at(path)}${issue.message}, got a list`;
    const required = entriesAt(schema, path).filter(([, entry]) => !isOptional(entry));
    const names = required.map(([key]) => JSON.stringify(key)).join(' and ');
    return `${at(path)}expected an object${names && ` with ${names}`}, got an array`;
  }
  if (isMissing(issue)) return `${at(keys)}${missingExpectation(schema, keys)}, got nothing`;
  const isHidden = [...outer, ...keys].some((key) => SECRET_KEYS.test(String(key)));
  const describe = isHidden ? describeHidden : describeValue;
  const got = issue.received === 'undefined' ? 'nothing' : describe(issue.input);
  return `${at(keys)}${expectationOf(issue)}, got ${got}`;
}

/** An object that lacks a key, or is not there itself. */
function isMissing(issue: Issue): boolean {
  return issue.received === 'undefined' && issue.type === 'strict_object' && !isOurText(issue);
}

/** What the schema says of nothing at `path`; where branches of a union differ, all that they say. */
function missingExpectation(schema: v.GenericSchema, path: readonly unknown[]): string {
  const parent = path.slice(0, -1);
  const key = String(path.at(-1));
  const wanted =
    path.length === 0
      ? [schema]
      : entriesAt(schema, parent).flatMap(([name, entry]) =>
          name === key ? [entry as v.GenericSchema] : [],
        );
  const told = wanted.flatMap((entry) => {
    const [issue] = v.safeParse(entry, undefined).issues ?? [];
    return issue ? [expectationOf(issue).replace(/^expected /, '')] : [];
  });
  return `expected ${[...new Set(told)].map((text) => NOUNS[text] ?? text).join(' or ') || 'a value'}`;
}

/** As people say what valibot names by its type. */
const NOUNS: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  boolean: 'true or false',
  array: 'an array',
  object: 'an object',
};

function expectationOf(issue: Issue): string {
  return isOurText(issue) ? issue.message : `expected ${expectation(issue)}`;
}

function isOurText({ message }: Issue): boolean {
  return !message.startsWith('Invalid ');
}

function expectation(issue: Issue): string {
  if (issue.type === 'strict_object') return 'an object';
  return issue.expected?.replaceAll('Object', 'object').replaceAll('Array', 'array') ?? 'another value';
}

/** What is below them is not said: messages end in logs, which more people read than may use a board. */
const SECRET_KEYS = /^(?:tokens?|passwords?|secrets?|headers|body)$/i;

function describeHidden(value: unknown): string {
  if (typeof value === 'string') {
    return value.length === 1
      ? '1 character that is not shown'
      : `${value.length} characters that are not shown`;
  }
  return `${value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value} that is not shown`;
}

function describeValue(value: unknown): string {
  // JSON has no NaN, and no bigint.
  const isNumber = typeof value === 'number' || typeof value === 'bigint';
  const text = (isNumber ? undefined : JSON.stringify(value, hideSecret)) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/** For `JSON.stringify`. Addresses keep neither user and password nor query. */
function hideSecret(key: string, value: unknown): unknown {
  if (SECRET_KEYS.test(key)) return '…';
  if (typeof value !== 'string' || !value.includes('://')) return value;
  return value.replace(/\/\/.*@/s, '//…@').replace(/\?.*/s, '?…');
}

/** The keys that the schema allows at `path`, over all branches of a union. */
function entriesAt(schema: unknown, path: readonly unknown[]): [string, unknown][] {
  if (typeof schema !== 'object' || schema === null) return [];
  const node = schema as {
    entries?: object;
    item?: unknown;
    options?: unknown;
    wrapped?: unknown;
    value?: unknown;
  };
  if (Array.isArray(node.options)) return node.options.flatMap((option) => entriesAt(option, path));
  if (node.wrapped) return entriesAt(node.wrapped, path);
  if (path.length === 0) return Object.entries(node.entries ?? {});
  const [key, ...rest] = path;
  const entries = (node.entries ?? {}) as Record<string, unknown>;
  return entriesAt(entries[String(key)] ?? node.item ?? node.value, rest);
}

function isOptional(schema: unknown): boolean {
  const { type } = schema as v.GenericSchema;
  return type === 'exact_optional' || type === 'optional';
}

/** ` (did you mean "ttys"?)` when one of `known` is close to `word`, else an empty string. */
export function didYouMean(word: string, known: readonly string[]): string {
  const near = known
    .map((each) => ({ each, distance: editDistance(word.toLowerCase(), each.toLowerCase()) }))
    .filter(
      ({ each, distance }) => distance < each.length && distance <= Math.max(2, Math.floor(each.length / 3)),
    )
    .sort((a, b) => a.distance - b.distance)[0];
  return near ? ` (did you mean ${JSON.stringify(near.each)}?)` : '';
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
