import { Command, CommanderError } from 'commander';
import { packageVersion, strayOption, usageText, VERSION_OPTION } from '../base/command-line.ts';
import { RigError } from '../base/errors.ts';
import type { Invocation } from '../base/run-main.ts';
import { appendFindingOfFailure, findingOf } from '../findings/findings-file.ts';
import { ENV } from '../wire/env.ts';
import { ANSWER_LIMIT, abortJig, type JigFlags, listJig, RUN_LIMIT, runOnJig, watchTargets } from './jig.ts';

/** Words after `sai` that are not `sai-WORD`. */
export const OWN_COMMANDS: readonly string[] = ['jig', 'help'];

const EXAMPLES = `
Any other word starts the command of that name: sai device uno ctest, sai expect ..., sai virtual-lab up.
The jig itself is sai-jig.

Examples:
  export SAI_DEVICE_JIG=http://pi:44000/uno-1   a lease sets it
  sai jig list                                  targets, their sequences, and what they do now
  sai jig run reset
  sai jig run --wait 5s reset
  sai jig abort                                 ends what runs, and makes the lines safe
  sai jig watch --json`;

/** The command `sai`. */
export async function sai(invocation: Invocation): Promise<number> {
  try {
    await dispatch(invocation);
    return 0;
  } catch (error) {
    if (!invocation.stop.aborted)
      appendFindingOfFailure(invocation.env[ENV.findings], findingOf('sai', error), (text) =>
        invocation.diagnostics.fail(text),
      );
    throw error;
  }
}

async function dispatch(invocation: Invocation): Promise<void> {
  const { args, print } = invocation;
  let help = '';
  const program = define(invocation, (text) => (help += text));
  const stray = strayOption(program, args);
  if (program.opts<{ version?: boolean }>().version) help = `${packageVersion()}\n`;
  try {
    if (help === '') await program.parseAsync([...args], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0)
      throw new RigError('usage', `${usageText(error)}; see sai --help`, { cause: error });
  }
  if (help !== '' && stray !== undefined) throw new RigError('usage', `${stray}; see sai --help`);
  print(help);
}

function define(invocation: Invocation, writeOut: (text: string) => void): Command {
  const program = new Command('sai')
    .description('What people in a lab ask its rigs for.')
    .addHelpText('after', EXAMPLES)
    .option(...VERSION_OPTION)
    .exitOverride()
    .configureOutput({ writeOut, writeErr: () => {} }); // told once, as every failure is
  const jig = program.command('jig').description('Ask a jig.');
  const onJig = (usage: string, description: string, timeout = ANSWER_LIMIT): Command =>
    jig
      .command(usage)
      .description(description)
      .option('--url <url>', `jig and target, http://HOST:PORT/TARGET (default: $${ENV.deviceJig})`)
      .option('--timeout <duration>', 'how long to wait for its answer', timeout);

  onJig('list', 'Print its targets, and what they do now.')
    .option('--json', 'one JSON line a target')
    .action(async (flags: JigFlags & { json?: boolean }) => await listJig(flags, invocation));
  onJig(
    'run <sequence>',
    'Run a sequence of the target, and wait for its end; Ctrl-C makes the lines safe.',
    RUN_LIMIT,
  )
    .option('--wait <duration>', 'how long to wait for a busy target (default: not at all)')
    .option('--json', 'print the report as JSON')
    .action(
      async (sequence: string, flags: JigFlags & { wait?: string; json?: boolean }) =>
        await runOnJig(sequence, flags, invocation),
    );
  onJig('abort', 'End what runs on the target, and make its lines safe.').action(
    async (flags: JigFlags) => await abortJig(flags, invocation),
  );
  onJig('watch', 'Print what happens, of the target if one is given.')
    .option('--json', 'one JSON line an event')
    .action(async (flags: JigFlags & { json?: boolean }) => await watchTargets(flags, invocation));
  return program;
}
