/** Who gets what when several want some of the same things. Pure. */

/**
 * Gives each want one of its things, no thing to two wants; undefined for a want that gets none. As many wants as
 * possible get one, earlier wants before later ones: no want goes without for the sake of a later one. Where there is
 * a choice, a want gets what it lists first.
 */
export function assign<T>(wants: readonly (readonly T[])[]): (T | undefined)[] {
  const takerOf = new Map<T, number>();
  // An augmenting path: a want that has its thing may move to another one, but never loses it.
  const place = (want: number, seen: Set<T>): boolean => {
    const fresh = (wants[want] ?? []).filter((thing) => !seen.has(thing));
    for (const thing of fresh) {
      if (takerOf.has(thing)) continue;
      takerOf.set(thing, want);
      return true;
    }
    for (const thing of fresh) {
      if (seen.has(thing)) continue;
      seen.add(thing);
      const taker = takerOf.get(thing);
      if (taker === undefined || !place(taker, seen)) continue;
      takerOf.set(thing, want);
      return true;
    }
    return false;
  };
  for (const want of wants.keys()) place(want, new Set());
  const given = new Map([...takerOf].map(([thing, want]) => [want, thing]));
  return wants.map((_things, want) => given.get(want));
}

/** A number for each item, the same for items that share a mark, directly or through others. */
export function groupsOf(items: readonly (readonly string[])[]): number[] {
  const groups = items.map((_marks, index) => index);
  const groupOfMark = new Map<string, number>();
  for (const [index, marks] of items.entries()) {
    for (const mark of marks) {
      const other = groupOfMark.get(mark);
      const own = groups[index] ?? index;
      if (other === undefined) groupOfMark.set(mark, own);
      else if (other !== own) merge(groups, groupOfMark, own, other);
    }
  }
  return groups;
}

function merge(groups: number[], groupOfMark: Map<string, number>, from: number, to: number): void {
  for (const [index, group] of groups.entries()) if (group === from) groups[index] = to;
  for (const [mark, group] of groupOfMark) if (group === from) groupOfMark.set(mark, to);
}
