/** What has to be soldered to an output, so that a jig that was killed leaves it safe. */

import type { DriveMode } from './gpio.ts';
import type { LinePlan } from './plan.ts';

export interface Wiring {
  readonly resistor: 'pull-up' | 'pull-down' | 'none';
  readonly ohms: number | undefined;
  /** Electrical level of the safe value; undefined where that is to be let go of, and where there is no wire. */
  readonly safeLevel: 'high' | 'low' | undefined;
  /** All of it in words. */
  readonly text: string;
  /** Why nothing that could be soldered makes it safe. */
  readonly trouble?: string;
}

/** Source: hardware/wiring: R2 of gates, enable pins and open-source lines. */
const R2_OHMS = 10_000;
/** Source: hardware/wiring: R2 of open-drain lines, which has to win against the pull-down of the strongest pin. */
const OPEN_DRAIN_R2_OHMS = 4700;

/** Of an output; undefined for an input. */
export function wiringOf(line: LinePlan): Wiring | undefined {
  const { output, chip, at } = line;
  if (!output) return undefined;
  if (chip.kind === 'modem') {
    const text = 'none: at its last close the kernel asserts neither line of a tty, unless HUPCL is cleared';
    return safeLevelOf(line) === 'high'
      ? none(text, 'safe is asserted, and let go of it is not')
      : none(text);
  }
  if (chip.kind === 'command') {
    const command = chip.lines.find(({ name }, offset) => name === at || offset === at);
    return none(
      command?.release
        ? 'none: "release" lets go of it; after a kill, sai-jig --safe does'
        : 'none: it keeps its level when let go of; after a kill, sai-jig --safe makes it safe',
    );
  }
  if (chip.kind === 'path' && !chip.path.startsWith('/dev/')) return none('none: the board is virtual');
  return resistorOf(output.mode, safeLevelOf(line));
}

function resistorOf(mode: DriveMode, safeLevel: Wiring['safeLevel']): Wiring {
  if (safeLevel === undefined) return none('none of the jig: safe is let go of, and the board decides');
  const held = { 'open-drain': 'high', 'open-source': 'low', 'push-pull': undefined }[mode];
  if (held !== undefined && held !== safeLevel) {
    return {
      ...none(
        `none will do: safe is ${safeLevel}, and a line that is ${mode} is ${held} when let go of`,
        `it is ${mode} and safe at its ${safeLevel} level, but ${held} when let go of; make it push-pull, with a transistor`,
      ),
      safeLevel,
    };
  }
  const resistor = safeLevel === 'high' ? 'pull-up' : 'pull-down';
  const ohms = mode === 'open-drain' ? OPEN_DRAIN_R2_OHMS : R2_OHMS;
  const to = safeLevel === 'low' ? 'ground' : mode === 'open-drain' ? "the board's rail" : '3.3 V';
  return {
    resistor,
    ohms,
    safeLevel,
    text: `${resistor} to ${to} (${ohms / 1000} kΩ): safe is ${safeLevel}`,
  };
}

function safeLevelOf({ output, activeLow }: LinePlan): Wiring['safeLevel'] {
  if (!output || output.safe === 'released') return undefined;
  return (output.safe === 'active') === activeLow ? 'low' : 'high';
}

function none(text: string, trouble?: string): Wiring {
  const wiring = { resistor: 'none', ohms: undefined, safeLevel: undefined, text } as const;
  return trouble === undefined ? wiring : { ...wiring, trouble };
}
