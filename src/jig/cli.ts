import { Command, CommanderError, Option } from 'commander';
import { packageVersion, strayOption, usageText, VERSION_OPTION } from '../base/command-line.ts';
import { RigError } from '../base/errors.ts';
import type { Invocation } from '../base/run-main.ts';
import { stdinEnd } from '../base/stdin-end.ts';
import { appendFindingOfFailure, findingOf } from '../findings/findings-file.ts';
import { ENV } from '../wire/env.ts';
import { check } from './check.ts';
import type { Backend } from './chips.ts';
import { dryRun, type JigOptions, makeSafe, runOnce, serve, simulateOne } from './commands.ts';
import { ASCII, type Glyphs, UNICODE, type WaveStyle } from './waveform.ts';

/** Sai's own place. */
const DEFAULT_CONFIG = '/etc/sai/jig/conf';

const EXAMPLES = `
Examples:
  sai-jig                                    serve the lines that ${DEFAULT_CONFIG} lists
  sai-jig --config jig.json --port 0         on a free port, which is printed
  sai-jig --config jig.json --check          all that is wrong; what it comes to; which resistors; do plugs answer?
  sai-jig --config jig.json --dry-run uno-1/reset    when each step happens, if the board is as slow as it may be
  sai-jig --config jig.json --simulate uno-1/reset   what each line carries, if the board does at once what is awaited
  sai-jig --config jig.json --simulate uno-1/boot --set ready=0   and if it does not
  sai-jig --config jig.json run uno-1/reset  play one sequence without the daemon
  sai-jig --config jig.json --safe           every line to its safe value, and let go of it
  sai-jig --backend simulated                any config, driving nothing
  curl http://localhost:44000/uno-1/reset    200 when done, 409 while the board is busy

Exit status: 0; 1 an input did not do in time what a sequence waits for; 64 usage; 69 a chip or the address is not
there, a plug or a hub does not answer; 74 a chip may not be opened, or fails; 75 the port or a line is taken; 76 a plug or
a hub answers wrongly; 78 config; 128+n told to stop by signal n, with every line safe.`;

interface Flags {
  readonly config?: string;
  readonly port?: string;
  readonly host?: string;
  readonly backend: Backend;
  readonly check?: boolean;
  readonly dryRun?: string;
  readonly simulate?: string;
  readonly set?: readonly string[];
  readonly ascii?: boolean;
  readonly safe?: boolean;
  readonly withParent?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
  readonly version?: boolean;
}

/** The command `sai-jig`. `terminalColumns` is undefined where stdout is no terminal. */
export async function saiJig(
  invocation: Invocation,
  terminalColumns: () => number | undefined,
): Promise<number> {
  try {
    return await dispatch(invocation, terminalColumns);
  } catch (error) {
    if (!invocation.stop.aborted)
      appendFindingOfFailure(invocation.env[ENV.findings], findingOf('sai-jig', error), (text) =>
        invocation.diagnostics.fail(text),
      );
    throw error;
  }
}

async function dispatch(invocation: Invocation, terminalColumns: () => number | undefined): Promise<number> {
  const { env, diagnostics, print } = invocation;
  const command = commandLine();
  let help = '';
  command.configureOutput({ writeOut: (text) => (help += text), writeErr: () => {} });
  try {
    command.parse([...invocation.args], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) throw usage(usageText(error), error);
    const stray = strayOption(command, invocation.args);
    if (stray !== undefined) throw usage(stray, error);
    print(help);
    return 0;
  }
  const flags = command.opts<Flags>();
  if (flags.version) {
    print(`${packageVersion()}\n`);
    return 0;
  }
  diagnostics.verbosity = flags.quiet ? 'quiet' : flags.verbose ? 'verbose' : 'normal';
  const options: JigOptions = {
    config: flags.config ?? (env[ENV.jigConfig] || DEFAULT_CONFIG),
    backend: flags.backend,
    format: flags.json ? 'json' : 'text',
  };
  const style = (): WaveStyle => ({
    columns: terminalColumns() ?? columnsOf(env),
    glyphs: glyphsOf(flags, env),
  });
  return await perform(command.args, flags, { ...options, style }, invocation);
}

async function perform(
  words: readonly string[],
  flags: Flags,
  options: JigOptions & { readonly style: () => WaveStyle },
  invocation: Invocation,
): Promise<number> {
  refuseSecondWish(flags, words);
  if (flags.simulate !== undefined) {
    const request = { name: flags.simulate, inputs: flags.set ?? [], style: options.style() };
    return await simulateOne(request, options, invocation);
  }
  for (const [flag, value] of [
    ['--set', flags.set],
    ['--ascii', flags.ascii],
  ] as const) {
    if (value !== undefined) throw usage(`${flag}: expected --simulate TARGET/SEQUENCE with it`);
  }
  if (words.length > 0) {
    const [word, name, ...rest] = words;
    if (word !== 'run' || name === undefined || rest.length > 0) {
      throw usage(`expected "run TARGET/SEQUENCE" or nothing, got ${JSON.stringify(words.join(' '))}`);
    }
    return await runOnce(name, options, invocation);
  }
  if (flags.check) return await check(options, invocation);
  if (flags.dryRun !== undefined) return await dryRun(flags.dryRun, options, invocation);
  if (flags.safe) return await makeSafe(options, invocation);
  const { stop } = invocation;
  return await serve(
    { ...options, port: portOf(flags.port), host: flags.host },
    { ...invocation, stop: flags.withParent ? AbortSignal.any([stop, stdinEnded()]) : stop },
  );
}

function refuseSecondWish(flags: Flags, words: readonly string[]): void {
  const wishes = [
    flags.check && '--check',
    flags.dryRun !== undefined && '--dry-run',
    flags.simulate !== undefined && '--simulate',
    flags.safe && '--safe',
    words[0],
  ].filter(Boolean);
  if (wishes.length > 1) throw usage(`expected one thing to do, got ${wishes.join(' and ')}`);
}

/** Where stdout is no terminal. */
function columnsOf({ COLUMNS = '' }: NodeJS.ProcessEnv): number {
  return /^[1-9]\d{0,4}$/.test(COLUMNS) ? Number(COLUMNS) : 80;
}

/** Source: POSIX, Environment Variables: the first of these that is set and not empty. */
function glyphsOf({ ascii }: Flags, { LC_ALL, LC_CTYPE, LANG }: NodeJS.ProcessEnv): Glyphs {
  return !ascii && /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || '') ? UNICODE : ASCII;
}

function stdinEnded(): AbortSignal {
  const ended = new AbortController();
  void stdinEnd().then(() => ended.abort());
  return ended.signal;
}

function commandLine(): Command {
  return new Command('sai-jig')
    .description('Holds the lines of boards, and plays sequences on them for whoever asks over HTTP.')
    .usage('[options] [run TARGET/SEQUENCE]')
    .argument('[words...]')
    .option('--config <file>', `jig config (default: $${ENV.jigConfig}, else ${DEFAULT_CONFIG})`)
    .option('--port <number>', "port to listen on, 0 for a free one (default: the config's, else 44000)")
    .option('--host <address>', "address to listen on (default: the config's iface, else all)")
    .addOption(
      new Option(
        '--backend <which>',
        'uapi: speaks to the kernel; libgpiod: for kernels before 5.10; auto: what works; simulated: in memory',
      )
        .choices(['auto', 'uapi', 'libgpiod', 'simulated'])
        .default('auto'),
    )
    .option('--check', 'say all that is wrong with the config and what it comes to; touches no line')
    .option('--dry-run <target/sequence>', 'print when a sequence does what, as a table')
    .option(
      '--simulate <target/sequence>',
      'play a sequence on chips in memory, in no time, and draw what each line carries',
    )
    .option(
      '--set <name=value>',
      'of --simulate: an input that keeps 0 or 1; the others do what is awaited',
      append,
    )
    .option('--ascii', 'of --simulate: draw with ASCII (default: unless the locale is UTF-8)')
    .option('--safe', 'every line to its safe value, and let go of it')
    .option('--with-parent', 'serve until stdin ends')
    .option('--json', 'JSON, one object a line; of the daemon: its address, once it is ready')
    .option('-q, --quiet', 'say only what failed')
    .option('-v, --verbose', 'say also every step')
    .option(...VERSION_OPTION)
    .helpOption('-h, --help', 'show this')
    .addHelpText('after', EXAMPLES)
    .exitOverride();
}

function append(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

function portOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw usage(`--port: expected a number up to 65535, got ${JSON.stringify(text)}`);
}

function usage(text: string, cause?: unknown): RigError {
  return new RigError('usage', `${text}; see sai-jig --help`, { cause });
}
