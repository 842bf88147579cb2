import { isatty } from 'node:tty';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { packageVersion, strayOption, usageText, VERSION_OPTION } from '../base/command-line.ts';
import { parseDurationMs } from '../base/duration.ts';
import { RigError } from '../base/errors.ts';
import type { Invocation } from '../base/run-main.ts';
import { appendFindingOfFailure, findingOf } from '../findings/findings-file.ts';
import { ENV } from '../wire/env.ts';
import { MAX_LOGGED_TTYS } from '../wire/log.ts';
import { type RunRequest, runUnderProxy } from './run-under-proxy.ts';
import { type Moment, showRun } from './show.ts';

const DEFAULT_TTYS = 8;

const RUN_EXAMPLES = `
CMD finds the sockets in $SAI_LOGPROXY, $SAI_LOGPROXY_TTY0 (and 1, 2, ...) and $SAI_LOGPROXY_JIG. Whatever is written
there, by any number of programs, is kept with the time at which it came; sai-expect and sai-device do it by themselves.
Each channel becomes NAME.log, its bytes as they were, and NAME.sailog, the same with times, writers and gaps.

Examples:
  sai-logproxy -- sai-device uno ctest               keep the log of a test run in sai-log-<date>
  sai-logproxy --dir run -- make test                ... in run, which is new or empty
  sai-logproxy -- sh -c 'date | socat - UNIX:$SAI_LOGPROXY_TTY0'
  sai-logproxy show run                              print a run, all channels by time
  sai-logproxy show run --channel tty0 --since 90s

Status: that of CMD; 64 usage, 74 the disk did not take the whole log, 78 the folder cannot be used,
126/127 CMD cannot start / not found, 128+signal when told to stop.`;

const SHOW_EXAMPLES = `
Examples:
  sai-logproxy show run --channel tty0 --channel control
  sai-logproxy show run --since 90s --until 2m        by the time after the start of the run
  sai-logproxy show run --since 2026-11-20T06:39:00   by the clock
  sai-logproxy show run --json`;

interface RunFlags {
  readonly dir?: string;
  readonly ttys: number;
  readonly merged?: boolean;
  readonly json?: boolean;
  readonly optional?: boolean;
  readonly quiet?: boolean;
  readonly version?: boolean;
}

interface ShowFlags {
  readonly channel?: readonly string[];
  readonly since?: Moment;
  readonly until?: Moment;
  readonly json?: boolean;
}

/** The command `sai-logproxy`. */
export async function saiLogproxy(invocation: Invocation): Promise<number> {
  const { args } = invocation;
  return args[0] === 'show' ? show(args.slice(1), invocation) : await run(args, invocation);
}

async function run(args: readonly string[], invocation: Invocation): Promise<number> {
  let findings: RunRequest['findings'] = 'wanted';
  try {
    const command = describeRun();
    if (!parsed(command, args, invocation)) return 0;
    const flags = command.opts<RunFlags>();
    if (flags.version) {
      invocation.print(`${packageVersion()}\n`);
      return 0;
    }
    if (flags.optional) findings = 'optional';
    if (flags.quiet) invocation.diagnostics.verbosity = 'quiet';
    return await runUnderProxy({ ...requestOf(command.args, flags, invocation.env), findings }, invocation);
  } catch (error) {
    if (findings === 'wanted')
      appendFindingOfFailure(invocation.env[ENV.findings], findingOf('sai-logproxy', error), (text) =>
        invocation.diagnostics.fail(text),
      );
    throw error;
  }
}

function requestOf(
  words: readonly string[],
  flags: RunFlags,
  env: NodeJS.ProcessEnv,
): Omit<RunRequest, 'findings'> {
  const [program, ...args] = words;
  if (program === undefined) throw usage('expected a command to run, got none');
  const isTerminal = isatty(1);
  const isMerged = flags.merged === true || (isTerminal && flags.quiet !== true);
  return {
    folder: flags.dir ?? `sai-log-${dateForNames(new Date())}`,
    ifTaken: flags.dir === undefined ? 'number' : 'refuse',
    program,
    args,
    ttyCount: flags.ttys,
    view: flags.json ? 'json' : isMerged ? 'merged' : 'command',
    colour: isTerminal && !env['NO_COLOR'] ? 'colour' : 'plain',
  };
}

function show(args: readonly string[], invocation: Invocation): number {
  const command = describeShow();
  if (!parsed(command, args, invocation)) return 0;
  const flags = command.opts<ShowFlags>();
  return showRun(
    {
      folder: command.args[0] ?? '',
      channels: flags.channel ?? [],
      since: flags.since,
      until: flags.until,
      format: flags.json ? 'json' : 'lines',
      colour: isatty(1) && !invocation.env['NO_COLOR'] ? 'colour' : 'plain',
    },
    invocation,
  );
}

function describeRun(): Command {
  return new Command('sai-logproxy')
    .description(
      'Runs a command and keeps its log: what it prints, and what boards say to the programs it starts.',
    )
    .usage('[options] [--] CMD [args...]\n       sai-logproxy show [options] DIR')
    .argument('[words...]')
    .option('--dir <dir>', 'new or empty folder for the log (default: sai-log-<date>)')
    .option('--ttys <n>', `ttys that have a channel, at most ${MAX_LOGGED_TTYS}`, parseTtyCount, DEFAULT_TTYS)
    .option('--merged', 'show all channels with times, as on a terminal, instead of the output of CMD')
    .option('--json', 'print each record as a line of JSON, and a summary as the last')
    .option('--optional', 'a failure of sai-logproxy itself leaves no finding in $SAI_FINDINGS')
    .option('-q, --quiet', 'show the output of CMD and nothing else')
    .option(...VERSION_OPTION)
    .helpOption('-h, --help', 'show this help')
    .addHelpText('after', RUN_EXAMPLES)
    .passThroughOptions();
}

function describeShow(): Command {
  const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];
  return new Command('sai-logproxy show')
    .description('Prints a run that sai-logproxy has recorded, or is recording.')
    .usage('[options] DIR')
    .argument('<dir>')
    .option('--channel <name>', 'stdout, stderr, control, tty0, ..., jig; may be repeated', collect)
    .option('--since <moment>', 'from a date and time, or so long after the start, on', parseMoment)
    .option('--until <moment>', 'up to then', parseMoment)
    .option('--json', 'one JSON object a record')
    .helpOption('-h, --help', 'show this help')
    .addHelpText('after', SHOW_EXAMPLES)
    .allowExcessArguments(false);
}

/** False when help was asked for, and given. @throws {RigError} blame `usage` */
function parsed(command: Command, args: readonly string[], { print }: Invocation): boolean {
  let help = '';
  command.exitOverride().configureOutput({ writeOut: (text) => (help += text), writeErr: () => {} });
  try {
    command.parse([...args], { from: 'user' });
    return true;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) throw usage(usageText(error), error);
    const stray = strayOption(command, args);
    if (stray !== undefined) throw usage(stray, error);
    print(help);
    return false;
  }
}

function parseTtyCount(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count > MAX_LOGGED_TTYS)
    throw new InvalidArgumentError(`Expected a number of ttys from 0 to ${MAX_LOGGED_TTYS}.`);
  return count;
}

function parseMoment(text: string): Moment {
  const atMs = /^\d{4}-/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(atMs)) return { atMs };
  return {
    afterStartMs: parseDurationMs(
      text,
      '--since, --until: expected a date and time, or so long after the start',
    ),
  };
}

/** `2026-11-20T06-39-47`, local. */
function dateForNames(now: Date): string {
  const local = new Date(now.getTime() - now.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 19).replaceAll(':', '-');
}

function usage(text: string, cause?: unknown): RigError {
  return new RigError('usage', `${text}; see sai-logproxy --help`, { cause });
}
