import { nodesOf } from './regex-facts.ts';
import type { RegexNode } from './regex-syntax.ts';

/** A pattern that grows past this by writing its repeats out is none for a command line. */
const MAX_LENGTH = 20_000;

/**
 * How a pattern is written for V8. `as given`; `written out`, with counted repeats as copies, because the linear engine
 * counts only to 16; `loose`, the same and without what looks at a place and takes nothing from it: that matches
 * wherever the pattern does, and also elsewhere.
 */
export type Form = 'as given' | 'written out' | 'loose';

/** The pattern over latin1 text; undefined where it has no such form. */
export function emitRegex(node: RegexNode, form: Form): string | undefined {
  const text = emit(node, form);
  return text === undefined || text.length > MAX_LENGTH ? undefined : text;
}

/** The pattern over latin1 text, of any length. */
export function emitAsGiven(node: RegexNode): string {
  const text = emit(node, 'as given');
  if (text === undefined) throw new Error('expected every pattern to have the form it was given in');
  return text;
}

function emit(node: RegexNode, form: Form): string | undefined {
  switch (node.kind) {
    case 'bytes':
    case 'set':
      return node.source;
    case 'assertion':
      return form === 'loose' && node.source !== '^' ? '' : node.source;
    case 'reference':
      return form === 'loose' ? '[^]*' : node.source;
    case 'look':
      return form === 'loose' ? '' : wrap(node.open, emit(node.body, form));
    case 'group':
      return wrap(form === 'loose' ? '(?:' : node.open, emit(node.body, form));
    case 'sequence':
      return join(node.items.map((each) => emit(each, form)));
    case 'choice':
      return join(
        node.branches.map((each) => emit(each, form)),
        '|',
      );
    case 'repeat':
      return form === 'as given' ? emitCounted(node) : emitWrittenOut(node, form);
  }
}

type Repeat = RegexNode & { readonly kind: 'repeat' };

function emitCounted({ body, min, max, isLazy }: Repeat): string | undefined {
  return join([emit(body, 'as given'), countOf(min, max), isLazy ? '?' : '']);
}

function countOf(min: number, max: number): string {
  if (max === Number.POSITIVE_INFINITY) return min === 0 ? '*' : min === 1 ? '+' : `{${min},}`;
  return min === 0 && max === 1 ? '?' : `{${min},${max}}`;
}

function emitWrittenOut({ body, min, max, isLazy }: Repeat, form: Form): string | undefined {
  const atom = emit(body, form);
  if (atom === undefined || (Number.isFinite(max) ? max : min) * atom.length > MAX_LENGTH) return undefined;
  if (atom === '') return '';
  // A group that captures exists once: as the last copy, which is the one whose text it tells.
  const capturesText = form !== 'loose' && [...nodesOf(body)].some((each) => isCapture(each));
  const copy = capturesText ? emit(withoutCaptures(body), form) : atom;
  if (copy === undefined) return undefined;
  const lazy = isLazy ? '?' : '';
  if (max === Number.POSITIVE_INFINITY) {
    return min === 0 ? `${atom}*${lazy}` : `${copy.repeat(min - 1)}${atom}+${lazy}`;
  }
  if (max === 0) return capturesText ? undefined : '';
  if (min === max) return copy.repeat(min - 1) + atom;
  if (max === 1) return `${atom}?${lazy}`;
  if (capturesText) return undefined;
  return copy.repeat(min) + `(?:${atom}`.repeat(max - min) + `)?${lazy}`.repeat(max - min);
}

function isCapture(node: RegexNode): boolean {
  return node.kind === 'group' && node.open !== '(?:';
}

function withoutCaptures(node: RegexNode): RegexNode {
  switch (node.kind) {
    case 'group':
      return { ...node, open: '(?:', body: withoutCaptures(node.body) };
    case 'sequence':
      return { ...node, items: node.items.map((each) => withoutCaptures(each)) };
    case 'choice':
      return { ...node, branches: node.branches.map((each) => withoutCaptures(each)) };
    case 'repeat':
    case 'look':
      return { ...node, body: withoutCaptures(node.body) };
    default:
      return node;
  }
}

function wrap(open: string, body: string | undefined): string | undefined {
  return body === undefined ? undefined : `${open}${body})`;
}

function join(parts: readonly (string | undefined)[], between = ''): string | undefined {
  return parts.every((part) => part !== undefined) ? parts.join(between) : undefined;
}
