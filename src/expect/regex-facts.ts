/** What can be known of a pattern without running it. */

import type { RegexNode } from './regex-syntax.ts';

/** A set of more words says too little to be worth looking for. */
const MAX_WORDS = 16;

/** Least number of bytes that a match has. */
export function minLength(node: RegexNode): number {
  switch (node.kind) {
    case 'bytes':
      return node.bytes.length;
    case 'set':
      return 1;
    case 'assertion':
    case 'look':
    case 'reference':
      return 0;
    case 'group':
      return minLength(node.body);
    case 'sequence':
      return node.items.reduce((sum, each) => sum + minLength(each), 0);
    case 'choice':
      return Math.min(...node.branches.map((each) => minLength(each)));
    case 'repeat':
      return node.min * minLength(node.body);
  }
}

/** How many places there are in a pattern at which an engine that follows all of them at a time may be. */
export function statesOf(node: RegexNode): number {
  switch (node.kind) {
    case 'bytes':
      return node.bytes.length;
    case 'group':
    case 'look':
      return statesOf(node.body);
    case 'sequence':
      return node.items.reduce((sum, each) => sum + statesOf(each), 0);
    case 'choice':
      return node.branches.reduce((sum, each) => sum + statesOf(each), 0);
    case 'repeat':
      return Math.max(1, Number.isFinite(node.max) ? node.max : node.min) * statesOf(node.body);
    default:
      return 1;
  }
}

/**
 * How many ways to match an engine that backtracks may have to try from one place, at most, when no match is longer
 * than `length`; Infinity where nothing simple can be told. Ways that begin with many empty repeats are among that:
 * V8's two engines differ in what groups then take.
 */
export function waysOf(node: RegexNode, length: number): number {
  switch (node.kind) {
    case 'bytes':
    case 'set':
    case 'assertion':
      return 1;
    case 'look':
    case 'reference':
      return Number.POSITIVE_INFINITY;
    case 'group':
      return waysOf(node.body, length);
    case 'sequence':
      return node.items.reduce((product, each) => product * waysOf(each, length), 1);
    case 'choice':
      return node.branches.reduce((sum, each) => sum + waysOf(each, length), 0);
    case 'repeat': {
      const { body, min, max } = node;
      if (minLength(body) === 0) return Number.POSITIVE_INFINITY;
      const most = Math.max(min, Math.min(max, length));
      return (most - min + 1) * waysOf(body, length) ** most;
    }
  }
}

/** Every node, from the outside in, in the order of the pattern. */
export function* nodesOf(node: RegexNode): Generator<RegexNode> {
  yield node;
  const inner =
    node.kind === 'sequence'
      ? node.items
      : node.kind === 'choice'
        ? node.branches
        : 'body' in node
          ? [node.body]
          : [];
  for (const each of inner) yield* nodesOf(each);
}

/** Whether a match can go past the end of a line, or look there. */
export function staysInLine(node: RegexNode): boolean {
  return [...nodesOf(node)].every((each) => {
    if (each.kind === 'bytes') return !each.bytes.includes('\n');
    if (each.kind === 'set') return !each.takesNewline;
    return each.kind !== 'look' && each.kind !== 'reference';
  });
}

/**
 * Texts (latin1) one of which every match holds: the longest that can be told, so that most of a stream is dismissed
 * without running the pattern. Undefined when there is none of at least two bytes.
 */
export function requiredWords(node: RegexNode): readonly string[] | undefined {
  const words = wordsOf(node);
  return words && shortest(words) >= 2 ? words : undefined;
}

type Words = readonly string[];

function wordsOf(node: RegexNode): Words | undefined {
  switch (node.kind) {
    case 'bytes':
      return [node.bytes];
    case 'group':
      return wordsOf(node.body);
    case 'repeat':
      return node.min > 0 ? wordsOf(node.body) : undefined;
    case 'choice':
      return union(node.branches.map((each) => wordsOf(each)));
    case 'sequence':
      return longest(runsOf(node.items));
    default:
      return undefined;
  }
}

/** Neighbouring bytes are one word. What takes up nothing parts none: it stands between the bytes either way. */
function runsOf(items: readonly RegexNode[]): (Words | undefined)[] {
  const runs: (Words | undefined)[] = [];
  let run = '';
  for (const item of items) {
    if (item.kind === 'bytes') {
      run += item.bytes;
    } else if (item.kind !== 'assertion' && item.kind !== 'look') {
      runs.push(run === '' ? undefined : [run], wordsOf(item));
      run = '';
    }
  }
  runs.push(run === '' ? undefined : [run]);
  return runs;
}

function union(all: readonly (Words | undefined)[]): Words | undefined {
  const words = new Set<string>();
  for (const each of all) {
    if (!each) return undefined;
    for (const word of each) words.add(word);
  }
  return words.size <= MAX_WORDS ? [...words] : undefined;
}

function longest(all: readonly (Words | undefined)[]): Words | undefined {
  return all.reduce(
    (best, each) => (each && (!best || shortest(each) > shortest(best)) ? each : best),
    undefined,
  );
}

function shortest(words: Words): number {
  return Math.min(...words.map((word) => word.length));
}
