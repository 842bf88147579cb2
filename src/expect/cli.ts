import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { packageVersion, strayOption, usageText, VERSION_OPTION } from '../base/command-line.ts';
import { RigError } from '../base/errors.ts';
import { RESULT_FORMATS } from '../results/test-result.ts';
import type { UnsafeEngine } from './byte-regex.ts';
import { EXPLANATION } from './cli-explanation.ts';
import { ECHO_TIME } from './port-flags.ts';
import {
  DEFAULT_FAIL,
  DEFAULT_PASS,
  type Flags,
  type RawStep,
  type Request,
  requestOf,
  STEPS_TIMEOUT,
} from './request.ts';
import { LINE_ENDS } from './text.ts';

/** The names of the profiles were asked for instead. */
export interface ProfileList {
  readonly profiles: 'wanted';
}

/** A text that was asked for instead. */
export interface Help {
  readonly help: string;
}

/** What is known of a command line, also where it is wrong. */
export interface KnownFlags {
  json?: string | undefined;
}

/**
 * `unsafe` runs the regexes of `--unsafe-regex`; not given, where that option is not.
 *
 * @throws {RigError} blame `usage`
 */
export function parseCommandLine(
  args: readonly string[],
  unsafe: UnsafeEngine | undefined,
  known: KnownFlags = {},
): Request | Help | ProfileList {
  const steps: RawStep[] = [];
  const command = describe(steps);
  let help = '';
  command.configureOutput({ writeOut: (text) => (help += text), writeErr: () => {} });
  try {
    command.parse(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    known.json = command.opts<Flags>().json;
    const stray = error.exitCode === 0 ? strayOption(command, args) : undefined;
    if (error.exitCode === 0 && stray === undefined) return { help };
    throw new RigError('usage', `${stray ?? usageText(error)}; see sai-expect --help`, { cause: error });
  }
  const flags = command.opts<Flags & { readonly listProfiles?: boolean; readonly version?: boolean }>();
  if (flags.version === true) return { help: `${packageVersion()}\n` };
  if (flags.listProfiles === true && flags.dryRun === true)
    throw new RigError(
      'usage',
      '--list-profiles: expected it alone, got --dry-run; name one with --script @NAME',
    );
  if (flags.listProfiles === true) return { profiles: 'wanted' };
  known.json = flags.json;
  return requestOf(steps, flags, unsafe);
}

function describe(steps: RawStep[]): Command {
  const step = (flags: string, text: string, flag: RawStep['flag']): Option =>
    new Option(flags, text).argParser((value: string) => {
      steps.push({ flag, value });
      return undefined;
    });
  const collect = (value: string, all: readonly string[] = []): readonly string[] => [...all, value];
  const command = new Command('sai-expect')
    .description('Talks to a board over its tty and tells whether it passed.')
    .helpOption('-h, --help', 'show this')
    .optionsGroup('Steps, in the order given, each as often as needed:')
    .addOption(step('--send <text>', 'send TEXT as it stands', 'send'))
    .addOption(step('--line <text>', 'send TEXT and the end of line', 'line'))
    .addOption(step('--expect <text>', 'wait for TEXT', 'expect'))
    .addOption(step('--regex <re>', 'wait for a match of RE', 'regex'))
    .addOption(step('--pause <time>', 'wait that long: 200ms, 2s', 'pause'))
    .addOption(new Option('--fresh', 'from here on, only what arrives from now on can match'))
    .addOption(
      step('--jig <sequence>', "have the device's jig run SEQUENCE; fresh from just before it", 'jig'),
    )
    .addOption(
      step('--break <time>', 'hold the line in the break condition: 100ms; fresh from there', 'break'),
    )
    .addOption(step('--dtr <state>', 'assert DTR or not: on, off; fresh from there', 'dtr'))
    .addOption(step('--rts <state>', 'assert RTS or not: on, off; fresh from there', 'rts'))
    .addOption(step('--ysend <file>', 'send FILE by YMODEM, to a board that waits for it', 'ysend'))
    .addOption(step('--xsend <file>', 'send FILE by XMODEM', 'xsend'))
    .addOption(step('--yreceive <folder>', 'take what the board sends by YMODEM into FOLDER', 'yreceive'))
    .optionsGroup('How --send and --line send:')
    .option('--pace <time>', 'wait that long after each byte')
    .option('--pace-line <time>', 'wait that long after each line')
    .option(
      '--wait-echo [time]',
      `send a line only when the board has echoed the one before, which may take so long (default: ${ECHO_TIME})`,
    )
    .optionsGroup('Steps from a file instead (docs/expect-scripts.md):')
    .option('--script <file>', 'the steps in FILE, YAML or JSON, or in the profile @NAME')
    .option('--var <name=value>', 'value of a variable of the script, as often as needed', collect)
    .option('--dry-run', 'check the script and tell what it would do; no tty is touched')
    .option('--list-profiles', 'list the profiles that come with sai-expect')
    .optionsGroup('Armed all the time, each as often as needed:')
    .option('--pass <text>', `pass as soon as TEXT comes (without steps: "${DEFAULT_PASS}")`, collect)
    .option('--fail <text>', `fail as soon as TEXT comes (without steps: "${DEFAULT_FAIL}")`, collect)
    .option('--pass-regex <re>', 'pass as soon as RE matches', collect)
    .option('--fail-regex <re>', 'fail as soon as RE matches', collect)
    .option(
      '--crash <which>',
      'fail at what crashing firmware prints: auto, none, or families with commas between (default: auto with steps)',
    )
    .option(
      '--expect-crash [family]',
      'pass as soon as the board has crashed, in that way or any, and not without',
    )
    .option(
      '--settle <time>',
      'after everything has passed, fail for so long at what --fail and --crash name',
    )
    .optionsGroup('Tests that the board runs:')
    .addOption(
      new Option('--results <format>', 'judge by the test results in what the board says').choices([
        'auto',
        ...RESULT_FORMATS,
        'none',
      ]),
    )
    .option('--junit <file>', 'write the results there as JUnit XML; --results auto if nothing else is said')
    .option('--results-json <file>', 'write each result there as it comes, a line of JSON each; as --junit')
    .optionsGroup('Recordings:')
    .option('--record <file>', 'write everything that is said there, both ways, with times')
    .option('--replay <file>', 'do the steps with a recording in place of a board')
    .option('--to-cast <file>', 'print a recording as an asciinema file, and do nothing else')
    .optionsGroup('How patterns see it:')
    .option('--ignore-ansi', 'without escape sequences: colours, cursor moves and queries, titles')
    .option('--unsafe-regex', 'also run a RE whose time nobody can bound')
    .optionsGroup('Where and how:')
    .option('--tty <which>', 'index or name of a tty of the leased device, or a path (default: 0)')
    .option('--baud <rate>', 'speed (default: what the lease says, else 115200)', parseBaudRate)
    .addOption(
      new Option('--format <bits>', 'data bits, parity N, E or O, stop bits: 8N1, 7E1').default('8N1'),
    )
    .addOption(
      new Option('--flow <control>', 'flow control').choices(['none', 'rtscts', 'xonxoff']).default('none'),
    )
    .option(
      '--no-follow',
      'fail as soon as the tty goes away, though the device may come back (its reappear)',
    )
    .addOption(
      new Option('--eol <end>', 'end of line of --line (default: lf)').choices(Object.keys(LINE_ENDS)),
    )
    .option('--timeout <time>', `for the whole, or never (default: ${STEPS_TIMEOUT} with steps, else 15m)`)
    .addOption(
      new Option('--driver <name>', 'how the tty is read').choices(['tty', 'serialport']).default('tty'),
    )
    .optionsGroup('What is told:')
    .option('--echo', 'show what the board says on stdout, as it is (default on a terminal)')
    .option(
      '--verbose-on-fail',
      'on failure show all that is kept of what the board said, not the last lines',
    )
    .option('--json <file>', 'write what became of it there as one JSON object; - is stdout')
    .option('--optional', 'write no finding to $SAI_FINDINGS')
    .option('-q, --quiet', 'say nothing but failures')
    .option('-v, --verbose', 'say what is going on')
    .option(...VERSION_OPTION)
    .addOption(new Option('-d <loglevel>', 'taken from Sai, without effect').hideHelp())
    .addHelpText('after', EXPLANATION)
    .allowExcessArguments(false)
    .exitOverride();
  command.on('option:fresh', () => steps.push({ flag: 'fresh', value: '' }));
  return command;
}

function parseBaudRate(text: string): number {
  const rate = Number(text);
  if (!/^\d+$/.test(text) || rate < 1 || rate > 0xffff_ffff)
    throw new InvalidArgumentError('Expected a baud rate such as 115200.');
  return rate;
}
