import { packageFile } from '../base/package-file.ts';
import { DescriptorWatch } from '../native/descriptor-watch.ts';
import { LibgpiodChips } from './libgpiod-chip.ts';
import { type ChipId, chipText, type TargetPlan } from './plan.ts';
import { PulseThread } from './pulse-thread.ts';
import { isShortPulse } from './sequence.ts';
import { SimulatedChip } from './simulated-chip.ts';
import { openSocketChip } from './socket-chip.ts';
import type { OpenChip } from './target-lines.ts';
import { KernelTooOldError, openUapiChip } from './uapi-chip.ts';

/**
 * What drives the chips of this host: `uapi`, the kernel's character device itself; `libgpiod`, the library; `auto`, the
 * first of them that can. `simulated`: all of them are in memory, and so are those of virtual boards.
 */
export type Backend = 'auto' | 'uapi' | 'libgpiod' | 'simulated';

/** What `pulse-main.ts` is built into. */
const PULSE_PROGRAM = 'dist/jig-pulse.cjs';

/** A simulated chip has at least so many lines; a Pi's header chip has 54. */
const SIMULATED_LINES = 64;

export function chipOpener(backend: Backend, targets: readonly TargetPlan[]): OpenChip {
  if (backend === 'simulated') return simulatedOpener(targets);
  const watch = new DescriptorWatch();
  const pulses = new PulseThread(packageFile(PULSE_PROGRAM));
  const hasShortPulse = targets.some(({ sequences }) =>
    [...sequences.values()].some(({ steps }) => steps.some(isShortPulse)),
  );
  const libgpiod = new LibgpiodChips();
  return async (chip) => {
    if (chip.kind === 'path' && !chip.path.startsWith('/dev/')) return await openSocketChip(chip.path);
    if (backend === 'libgpiod') return libgpiod.open(chip);
    try {
      const opened = openUapiChip(chip, watch, pulses);
      if (hasShortPulse) pulses.start();
      return opened;
    } catch (error) {
      if (backend === 'auto' && error instanceof KernelTooOldError) return libgpiod.open(chip);
      throw error;
    }
  };
}

/** Each chip has the lines that the config names: by number as they are, by name behind those. */
export function simulatedOpener(
  targets: readonly TargetPlan[],
  onMade: (chip: ChipId, made: SimulatedChip, names: readonly string[]) => void = () => {},
): OpenChip {
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
    onMade(chip, made, names);
    return await made.open();
  };
}
