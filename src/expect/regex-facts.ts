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
