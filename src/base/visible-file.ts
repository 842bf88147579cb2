import { type Stats, statSync } from 'node:fs';

/** What a path leads to; undefined when that is nothing, or nothing that this user may see. */
export function statIfVisible(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined; // no permission on the way, a loop of links, a name too long: there is nothing to use
  }
}
