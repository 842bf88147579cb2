import type { Pattern } from './matcher.ts';

/**
 * The first pattern that another one always forestalls, whatever the board says. A literal is decided with its last
 * byte, and of two that end there the one that is earlier in the list.
 */
export function unreachableChoice(
  patterns: readonly Pattern[],
): { readonly index: number; readonly by: number; readonly because: string } | undefined {
  for (const [index, pattern] of patterns.entries()) {
    for (const [by, other] of patterns.entries()) {
      const because = by === index ? undefined : forestalls(other, pattern, by < index);
      if (because !== undefined) return { index, by, because };
    }
  }
  return undefined;
}

function forestalls(other: Pattern, pattern: Pattern, isEarlier: boolean): string | undefined {
  if (other.kind === 'regex' && pattern.kind === 'regex')
    return isEarlier && other.regex.source === pattern.regex.source ? 'it is the same as' : undefined;
  if (other.kind !== 'literal' || pattern.kind !== 'literal') return undefined;
  const whole = Buffer.from(pattern.bytes);
  const at = whole.indexOf(other.bytes);
  if (at < 0) return undefined;
  const isAtEnd = at + other.bytes.length === whole.length;
  if (isAtEnd && !isEarlier) return undefined;
  if (whole.length === other.bytes.length) return 'it is the same as';
  return at === 0 ? 'its beginning is' : 'part of it is';
}
