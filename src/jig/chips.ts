import { RigError } from '../base/errors.ts';
import { type ChipId, chipText, type TargetPlan } from './plan.ts';
import { SimulatedChip } from './simulated-chip.ts';
import { openSocketChip } from './socket-chip.ts';
import type { OpenChip } from './target-lines.ts';

/** `real`: what each chip's name says it is. `simulated`: all of them in memory, driving nothing. */
export type Backend = 'real' | 'simulated';

/** A simulated chip has at least so many lines; a Pi's header chip has 54. */
const SIMULATED_LINES = 64;

export function chipOpener(backend: Backend, targets: readonly TargetPlan[]): OpenChip {
  return backend === 'simulated' ? simulatedOpener(targets) : openReal;
}

async function openReal(chip: ChipId): ReturnType<OpenChip> {
  if (chip.kind === 'path' && !chip.path.startsWith('/dev/')) return await openSocketChip(chip.path);
  throw new RigError(
    'unavailable',
    `${chipText(chip)}: expected the socket of a virtual board: this version drives no kernel chips; try --backend simulated`,
  );
}

/** Each chip has the lines that the config names: by number as they are, by name behind those. */
function simulatedOpener(targets: readonly TargetPlan[]): OpenChip {
  const lines = targets.flatMap((target) => target.lines);
  const chips = new Map<string, SimulatedChip>();
  return async (chip) => {
    const key = chipText(chip);
    const known = chips.get(key);
    if (known) return await known.open();
    const own = lines.filter((line) => chipText(line.chip) === key).map(({ at }) => at);
    const offsets = own.filter((at) => typeof at === 'number');
    const unnamed = Math.max(SIMULATED_LINES, ...offsets.map((offset) => offset + 1));
    const names = [...Array<string>(unnamed).fill(''), ...own.filter((at) => typeof at === 'string')];
    const made = new SimulatedChip(key, names);
    chips.set(key, made);
    return await made.open();
  };
}
