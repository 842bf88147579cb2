import { Command, CommanderError } from 'commander';
import { packageVersion, strayOption, usageText, VERSION_OPTION } from '../base/command-line.ts';
import { RigError } from '../base/errors.ts';
import type { Invocation } from '../base/run-main.ts';
import { appendFindingOfFailure, findingOf } from '../findings/findings-file.ts';
import { ENV } from '../wire/env.ts';
import { BOARD_TYPE_NAMES } from './board-types.ts';
import {
  actOnBoard,
  type ChipOptions,
  getLine,
  holdLines,
  listLines,
  pulseLine,
  watchLines,
} from './drive.ts';
import { prepare } from './prepare.ts';
import { type UpOptions, up } from './up.ts';

const EXAMPLES = `
Examples:
  sai-virtual-lab up                          an emulated Arduino Uno, until Ctrl-C
  sai-virtual-lab up --with-jig -- bash       a shell whose sai-device finds it, with a jig that holds its lines
  sai-virtual-lab up --json uno:left uno:right
  sai-virtual-lab up u-boot microbit          boards that run in QEMU
  sai-virtual-lab prepare linux               once, before the first: up linux
  export SIM_CHIP=$XDG_RUNTIME_DIR/sai-virtual-lab/uno-1.chip
  sai-virtual-lab reset                       presses its reset button
  sai-virtual-lab press --for 300ms           presses the button on D2
  sai-virtual-lab hold button=0 -- ctest      holds it down while ctest runs
  sai-virtual-lab power off                   its tty stays, and is silent
  sai-virtual-lab unplug                      its tty goes away`;

/** @throws {RigError} blame `usage` for arguments that no command understands */
export async function runCli(invocation: Invocation): Promise<number> {
  try {
    return await dispatch(invocation);
  } catch (error) {
    if (!invocation.stop.aborted) {
      appendFindingOfFailure(invocation.env[ENV.findings], findingOf('sai-virtual-lab', error), (text) =>
        invocation.diagnostics.fail(text),
      );
    }
    throw error;
  }
}

async function dispatch(invocation: Invocation): Promise<number> {
  // What `hold` or `up` runs is no option of ours, whatever it looks like.
  const split = invocation.args.indexOf('--');
  const ownArgs = split < 0 ? invocation.args : invocation.args.slice(0, split);
  const childCommand = split < 0 ? [] : invocation.args.slice(split + 1);
  if (split >= 0 && ownArgs[0] !== 'hold' && ownArgs[0] !== 'up') {
    throw new RigError('usage', '--: only up and hold run a command; see sai-virtual-lab --help');
  }
  if (split >= 0 && childCommand.length === 0)
    throw new RigError('usage', '--: expected a command after it, got none; see sai-virtual-lab --help');
  let status = 0;
  let help = '';
  const program = define(invocation, childCommand, {
    end: (ended) => {
      status = ended;
    },
    writeOut: (text) => {
      help += text;
    },
  });
  const stray = strayOption(program, ownArgs);
  if (program.opts<{ version?: boolean }>().version) help = `${packageVersion()}\n`;
  try {
    if (help === '') await program.parseAsync(ownArgs, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0)
      throw new RigError('usage', `${usageText(error)}; see sai-virtual-lab --help`, { cause: error });
  }
  if (help !== '' && stray !== undefined) throw new RigError('usage', `${stray}; see sai-virtual-lab --help`);
  invocation.print(help);
  return status;
}

function define(
  invocation: Invocation,
  childCommand: readonly string[],
  { end, writeOut }: { readonly end: (status: number) => void; readonly writeOut: (text: string) => void },
): Command {
  const program = new Command('sai-virtual-lab')
    .description('Boards that exist in software only: real firmware behind real ttys, with lines to drive.')
    .addHelpText('after', EXAMPLES)
    .option(...VERSION_OPTION)
    .exitOverride()
    .configureOutput({ writeOut, writeErr: () => {} }); // told once, as every failure is

  program
    .command('up')
    .description('Start boards, and keep them until told to stop, or until a command ends: up -- COMMAND')
    .argument('[board...]', `TYPE or TYPE:NAME; TYPE is ${BOARD_TYPE_NAMES.join(', ')} (default: uno:uno-1)`)
    .option('--dir <dir>', 'folder of the links and sockets (default: $XDG_RUNTIME_DIR/sai-virtual-lab)')
    .option('--json', 'one JSON line a board, once all run')
    .option('--with-parent', 'end when stdin ends')
    .option('--jig-port <port>', 'list the boards with a jig there; jig.json is for a sai-jig that serves it')
    .option('--with-jig', 'start that sai-jig as well, on a free port if none is given')
    .action(async (boards: string[], options: UpOptions) =>
      end(await up(boards, { ...options, command: childCommand }, invocation)),
    );

  program
    .command('prepare')
    .description('Fetch what a board runs and no package installs, into $XDG_CACHE_HOME/sai-rig, with apt.')
    .argument('<type>', 'linux')
    .action(async (type: string) => end(await prepare(type, invocation)));

  const onChip = (usage: string, description: string): Command =>
    program
      .command(usage)
      .description(description)
      .option('--chip <socket>', 'the chip of the board (default: $SIM_CHIP)');

  onChip('lines', 'Print the lines, their direction, level and holder.')
    .option('--json', 'one JSON line a line')
    .action(async (options: ChipOptions & { json?: boolean }) => end(await listLines(options, invocation)));
  onChip('get <line>', "Print a line's level.").action(async (line: string, options: ChipOptions) =>
    end(await getLine(line, options, invocation)),
  );
  onChip('pulse <line>', 'Drive a line to its active level for a moment, and let go.')
    .option('--for <duration>', 'how long', '50ms')
    .action(async (line: string, options: ChipOptions & { for: string }) =>
      end(await pulseLine(line, options, invocation)),
    );
  onChip('reset', 'Pulse the reset line.')
    .option('--for <duration>', 'how long', '50ms')
    .action(async (options: ChipOptions & { for: string }) =>
      end(await pulseLine('reset', options, invocation)),
    );
  onChip('press', 'Press the button.')
    .option('--for <duration>', 'how long', '100ms')
    .action(async (options: ChipOptions & { for: string }) =>
      end(await pulseLine('button', options, invocation)),
    );
  onChip('hold', 'Hold lines at a level while a command runs: hold button=0 -- COMMAND')
    .argument('<line=level...>')
    .action(async (assignments: string[], options: ChipOptions) =>
      end(await holdLines(assignments, childCommand, options, invocation)),
    );
  onChip('watch [line...]', 'Print every change of lines, with its time.')
    .option('--json', 'one JSON line a change')
    .action(async (lines: string[], options: ChipOptions & { json?: boolean }) =>
      end(await watchLines(lines, options, invocation)),
    );
  onChip('unplug', "Take the board's cable out.").action(async (options: ChipOptions) =>
    end(await actOnBoard('unplug', options, invocation)),
  );
  onChip('plug', 'Put it back.').action(async (options: ChipOptions) =>
    end(await actOnBoard('plug', options, invocation)),
  );
  onChip('power <state>', "Turn the board's power on or off.").action(
    async (state: string, options: ChipOptions) => {
      if (state !== 'on' && state !== 'off') {
        throw new RigError('usage', `power: expected on or off, got ${JSON.stringify(state)}`);
      }
      end(await actOnBoard(`power-${state}`, options, invocation));
    },
  );
  return program;
}
