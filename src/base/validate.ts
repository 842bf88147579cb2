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
  const result = parseAll(schema, value, where);
  if (!('problems' in result)) return result.output;
  throw new RigError(blame, result.problems[0] ?? 'is not valid');
}

/** The parsed value, or a line for each thing that is wrong with it, as {@link parse} says it. */
export function parseAll<const S extends v.GenericSchema>(
  schema: S,
  value: unknown,
  where: Where,
): { readonly output: v.InferOutput<S> } | { readonly problems: readonly string[] } {
  const result = v.safeParse(schema, value);
  if (result.success) return { output: result.output };
  const issues = result.issues.map((issue) => deepest(issue));
  // A misspelt key shows twice, as unknown and as missing; the first tells the writer what to do.
  const unknown = issues.filter((issue) => isUnknownKey(issue));
  const others = issues.filter((issue) => !isUnknownKey(issue));
  return {
    problems: [...unknown, ...others].map(
      (issue) => `${placeOf(where, keysOf(issue))}: ${describeIssue(schema, issue, outerKeys(where))}`,
    ),
  };
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

/** In a union, the branch that got furthest says what was meant. */
function deepest(issue: Issue): Issue {
  const best = (issue.issues ?? [])
    .map((inner) => deepest(inner))
    .sort((a, b) => (b.path?.length ?? 0) - (a.path?.length ?? 0))[0];
  if (!best?.path) return issue;
  return { ...best, path: [...(issue.path ?? []), ...best.path] as [v.IssuePathItem, ...v.IssuePathItem[]] };
}

function isUnknownKey(issue: Issue): boolean {
  return issue.type === 'strict_object' && issue.expected === 'never';
}

function describeIssue(schema: v.GenericSchema, issue: Issue, outer: readonly unknown[]): string {
  const keys = keysOf(issue);
  const at = (path: readonly unknown[]): string =>
    outer.length + path.length === 0 ? '' : `${[...outer, ...path].join('.')}: `;
  if (isUnknownKey(issue)) {
    const key = String(keys.at(-1));
    const hint = didYouMean(key, knownKeys(schema, keys.slice(0, -1)));
    return `${at(keys.slice(0, -1))}unknown key ${JSON.stringify(key)}${hint}`;
  }
  const got = issue.received === 'undefined' ? 'nothing' : describeValue(issue.input);
  const isOurText = !issue.message.startsWith('Invalid ');
  const expected = isOurText ? issue.message : `expected ${expectation(issue)}`;
  return `${at(keys)}${expected}, got ${got}`;
}

function expectation(issue: Issue): string {
  if (issue.type === 'strict_object') return issue.received === 'undefined' ? 'a value' : 'an object';
  return issue.expected?.replaceAll('Object', 'object').replaceAll('Array', 'array') ?? 'another value';
}

function describeValue(value: unknown): string {
  // JSON has no NaN, and no bigint.
  const isNumber = typeof value === 'number' || typeof value === 'bigint';
  const text = (isNumber ? undefined : JSON.stringify(value)) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/** The keys that the schema allows at `path`, over all branches of a union. */
function knownKeys(schema: unknown, path: readonly unknown[]): string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  const node = schema as {
    entries?: object;
    item?: unknown;
    options?: unknown;
    wrapped?: unknown;
    value?: unknown;
  };
  if (Array.isArray(node.options)) return node.options.flatMap((option) => knownKeys(option, path));
  if (node.wrapped) return knownKeys(node.wrapped, path);
  if (path.length === 0) return Object.keys(node.entries ?? {});
  const [key, ...rest] = path;
  const entries = (node.entries ?? {}) as Record<string, unknown>;
  return knownKeys(entries[String(key)] ?? node.item ?? node.value, rest);
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
