import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Everything that nobody refers to any more: what a finalizer lets go of is collected by the next. */
export async function collectAll(): Promise<void> {
  for (let round = 0; round < 3; round += 1) {
    collect();
    await nextTurn();
  }
}
