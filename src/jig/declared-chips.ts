import { CommandLines } from './command-chip.ts';
import { ModemTty } from './modem-chip.ts';
import { modemSource } from './modem-port.ts';
import { chipText } from './plan.ts';
import { runProgram } from './run-program.ts';
import type { OpenChip } from './target-lines.ts';

const NEVER = new AbortController().signal;

/** Opens the chips that the config's `chips` declares, and any other as `openOther` does. */
export function declaredChipOpener(openOther: OpenChip): OpenChip {
  const ttys = new Map<string, ModemTty>();
  const commands = new Map<string, CommandLines>();
  return async (chip) => {
    if (chip.kind === 'modem') {
      const tty = ttys.get(chip.tty) ?? new ModemTty(modemSource(chip.tty));
      ttys.set(chip.tty, tty);
      return await tty.open();
    }
    if (chip.kind === 'command') {
      const { name, lines, withinMs } = chip;
      const known =
        commands.get(name) ??
        new CommandLines(chipText(chip), lines, async (argv) => await runProgram(argv, withinMs, NEVER));
      commands.set(name, known);
      return await known.open();
    }
    return await openOther(chip);
  };
}
