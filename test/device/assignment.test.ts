import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { assign, groupsOf } from '../../src/device/assignment.ts';

describe('an assignment', () => {
  test('gives each want what it lists first, where nobody else needs it', () => {
    expect(assign([['b', 'a'], ['c']])).toEqual(['b', 'c']);
  });

  test('moves an earlier want to another thing rather than leave a later one without', () => {
    expect(assign([['a', 'b'], ['a']])).toEqual(['b', 'a']);
    expect(assign([['a', 'b'], ['b', 'c'], ['a']])).toEqual(['b', 'c', 'a']);
  });

  test('takes nothing from an earlier want for a later one', () => {
    expect(assign([['a'], ['a'], ['a', 'b']])).toEqual(['a', undefined, 'b']);
  });

  test('serves, of any wants, the earliest that can be served together', () => {
    const wants = fc.array(fc.uniqueArray(fc.nat(4), { maxLength: 4 }), { maxLength: 6 });
    fc.assert(
      fc.property(wants, (lists) => {
        const given = assign(lists);
        const things = given.filter((thing) => thing !== undefined);
        expect(new Set(things).size).toBe(things.length);
        for (const [index, thing] of given.entries()) {
          if (thing !== undefined) expect(lists[index]).toContain(thing);
        }
        expect(given.map((thing) => thing !== undefined)).toEqual(servedByTrying(lists));
      }),
    );
  });
});

/** Each want is served if that is possible together with all that are served before it: tried one by one. */
function servedByTrying(lists: readonly (readonly number[])[]): boolean[] {
  const served: (readonly number[])[] = [];
  return lists.map((list) => {
    const isPossible = canServe([...served, list], new Set());
    if (isPossible) served.push(list);
    return isPossible;
  });
}

function canServe([first, ...others]: readonly (readonly number[])[], taken: ReadonlySet<number>): boolean {
  if (!first) return true;
  return first.some((thing) => !taken.has(thing) && canServe(others, new Set([...taken, thing])));
}

test('what shares a mark, directly or through others, is one group', () => {
  const [a, b, c, d] = groupsOf([['x'], ['y'], ['y', 'x'], ['z']]);
  expect(a).toBe(b);
  expect(b).toBe(c);
  expect(d).not.toBe(a);
  expect(groupsOf([])).toEqual([]);
});
