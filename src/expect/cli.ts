import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import type { Verbosity } from '../base/diagnostics.ts';
import { parseDurationMs } from '../base/duration.ts';
import { RigError, reasonOf } from '../base/errors.ts';
import { RESULT_FORMATS, type ResultFormatName } from '../results/test-result.ts';
import { ByteRegex, type UnsafeEngine } from './byte-regex.ts';
import { EXPLANATION } from './cli-explanation.ts';
import { type CrashWish, parseFamilies } from './crash.ts';
import {
  ECHO_TIME,
  type PortFlags,
  type PortSettings,
  type PortStepFlag,
  portSettings,
  portStepOf,
  sendingOf,
} from './port-flags.ts';
import type { ArmedPattern, Script, Step } from './script.ts';
import { bytesOfText, LINE_ENDS, type LineEnd, quoted, visible } from './text.ts';

/** What a command line asks for. */
export interface Request {
  readonly script: Script;
  /** Where the steps come from, when the command line has none; the file may say more, which flags override. */
  readonly scriptFile: ScriptReference | undefined;
  /** As given; undefined for the default ttys. */
  readonly tty: string | undefined;
  readonly baudRate: number | undefined;
  readonly port: PortSettings;
  readonly timeoutMs: number | 'never';
  readonly driver: 'tty' | 'serialport';
  readonly echo: 'always' | 'on a terminal';
  readonly findings: 'wanted' | 'optional';
  readonly onFail: 'tail' | 'everything';
  readonly verbosity: Verbosity;
  readonly results: ResultsRequest | undefined;
  /** File for everything that is said, both ways. */
  readonly record: string | undefined;
  /** A recording to take the board's place. */
  readonly replay: string | undefined;
  /** A recording to print as an asciinema file; nothing else is done. */
  readonly toCast: string | undefined;
}

/** What becomes of test results in the board's output. */
export interface ResultsRequest {
  readonly format: ResultFormatName | 'auto';
  readonly junit: string | undefined;
  readonly json: string | undefined;
}

/** A script file that is to be loaded. */
export interface ScriptReference {
  readonly file: string;
  readonly variables: readonly string[];
  readonly lineEnd: LineEnd | undefined;
  readonly run: 'on the ttys' | 'dry';
  /** Flags that win over what the file says. */
  readonly given: { readonly timeout: boolean; readonly crash: boolean };
}

/** The names of the profiles were asked for instead. */
export interface ProfileList {
  readonly profiles: 'wanted';
}

/** A text that was asked for instead. */
export interface Help {
  readonly help: string;
}

const STEPS_TIMEOUT = '60s';
const DEFAULT_MODE_TIMEOUT = '15m';
const DEFAULT_PASS = 'Completed: PASS';
const DEFAULT_FAIL = 'Completed: FAIL';

/**
 * `unsafe` runs the regexes of `--unsafe-regex`; not given, where that option is not.
 *
 * @throws {RigError} blame `usage`
 */
export function parseCommandLine(
  args: readonly string[],
  unsafe: UnsafeEngine | undefined,
): Request | Help | ProfileList {
  const steps: RawStep[] = [];
  const command = describe(steps);
  let help = '';
  command.configureOutput({ writeOut: (text) => (help += text), writeErr: () => {} });
  try {
    command.parse(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return { help };
    throw new RigError('usage', `${reasonOf(error).replace(/^error: /, '')}; see sai-expect --help`, {
      cause: error,
    });
  }
  const flags = command.opts<Flags>();
  if (flags.listProfiles === true) return { profiles: 'wanted' };
  refuseMixture(steps, flags);
  return requestOf(steps, flags, unsafe);
}

interface Flags extends PortFlags {
  readonly pass?: readonly string[];
  readonly fail?: readonly string[];
  readonly passRegex?: readonly string[];
  readonly failRegex?: readonly string[];
  readonly ignoreAnsi?: boolean;
  readonly tty?: string;
  readonly baud?: number;
  readonly eol?: LineEnd;
  readonly script?: string;
  readonly var?: readonly string[];
  readonly dryRun?: boolean;
  readonly listProfiles?: boolean;
  readonly timeout?: string;
  readonly driver: Request['driver'];
  readonly crash?: string;
  readonly expectCrash?: string | true;
  readonly settle?: string;
  readonly results?: ResultFormatName | 'auto' | 'none';
  readonly junit?: string;
  readonly resultsJson?: string;
  readonly record?: string;
  readonly replay?: string;
  readonly toCast?: string;
  readonly echo?: boolean;
  readonly optional?: boolean;
  readonly verboseOnFail?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
}

/** A step before escapes and the end of line are applied, which may be set after it. */
interface RawStep {
  readonly flag: 'send' | 'line' | 'expect' | 'regex' | 'pause' | 'fresh' | 'jig' | PortStepFlag;
  readonly value: string;
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
    .option('--optional', 'write no finding to $SAI_FINDINGS')
    .option('-q, --quiet', 'say nothing but failures')
    .option('-v, --verbose', 'say what is going on')
    .addOption(new Option('-d <loglevel>', 'taken from Sai, without effect').hideHelp())
    .addHelpText('after', EXPLANATION)
    .allowExcessArguments(false)
    .exitOverride();
  command.on('option:fresh', () => steps.push({ flag: 'fresh', value: '' }));
  return command;
}

/** Which of the steps would come first, nobody could tell. */
function refuseMixture(steps: readonly RawStep[], { script, ...flags }: Flags): void {
  if (script !== undefined && steps[0]) {
    throw new RigError(
      'usage',
      `--script: expected no steps on the command line, got --${steps[0].flag}; write it into the script`,
    );
  }
  const alone = flags.var ? '--var' : flags.dryRun === true ? '--dry-run' : undefined;
  if (script === undefined && alone !== undefined)
    throw new RigError('usage', `${alone}: expected a --script that it is for, got none`);
}

function requestOf(rawSteps: readonly RawStep[], flags: Flags, unsafe: UnsafeEngine | undefined): Request {
  const steps = rawSteps.map((raw) => stepOf(raw, LINE_ENDS[flags.eol ?? 'lf'], unsafe));
  const isDefaultMode = steps.length === 0 && flags.script === undefined;
  if (flags.record !== undefined && flags.replay !== undefined) {
    throw new RigError(
      'usage',
      '--record: expected a board, got --replay, of which there is a recording already',
    );
  }
  const results = resultsOf(flags);
  const expectCrash = expectedCrash(flags, results);
  const judgesByTexts = isDefaultMode && !results && !expectCrash;
  const timeout = flags.timeout ?? (isDefaultMode ? DEFAULT_MODE_TIMEOUT : STEPS_TIMEOUT);
  const armed = (which: 'pass' | 'fail', whenNone: string): ArmedPattern[] => {
    const texts = flags[which] ?? [];
    const regexes = flags[`${which}Regex`] ?? [];
    const given = texts.length + regexes.length === 0 && judgesByTexts ? [whenNone] : texts;
    return [
      ...given.map((text) => literalPattern(text, `--${which}`)),
      ...regexes.map((source) => regexPattern(source, `--${which}-regex`, unsafe)),
    ];
  };
  return {
    script: {
      steps,
      pass: armed('pass', DEFAULT_PASS),
      fail: armed('fail', DEFAULT_FAIL),
      crash: crashWish(flags, judgesByTexts ? 'none' : 'auto'),
      ...(expectCrash ? { expectCrash } : {}),
      settleMs: flags.settle === undefined ? 0 : parseDurationMs(flags.settle, '--settle'),
      sending: sendingOf(flags),
      escapeSequences: flags.ignoreAnsi === true ? 'ignored' : 'seen',
    },
    scriptFile:
      flags.script === undefined
        ? undefined
        : {
            file: flags.script,
            variables: flags.var ?? [],
            lineEnd: flags.eol,
            run: flags.dryRun === true ? 'dry' : 'on the ttys',
            given: { timeout: flags.timeout !== undefined, crash: flags.crash !== undefined },
          },
    tty: flags.tty ?? (judgesByTexts ? undefined : '0'),
    baudRate: flags.baud,
    port: portSettings(flags),
    timeoutMs: timeout === 'never' ? 'never' : parseDurationMs(timeout, '--timeout'),
    driver: flags.driver,
    echo: flags.echo === true ? 'always' : 'on a terminal',
    findings: flags.optional === true ? 'optional' : 'wanted',
    onFail: flags.verboseOnFail === true ? 'everything' : 'tail',
    verbosity: flags.quiet === true ? 'quiet' : flags.verbose === true ? 'verbose' : 'normal',
    results,
    record: flags.record,
    replay: flags.replay,
    toCast: flags.toCast,
  };
}

function resultsOf({ results, junit, resultsJson }: Flags): ResultsRequest | undefined {
  const isWanted = junit !== undefined || resultsJson !== undefined;
  if (results === 'none' && isWanted) {
    throw new RigError(
      'usage',
      '--results none: expected a format for --junit and --results-json, got none; leave it out for auto',
    );
  }
  const format = results ?? (isWanted ? 'auto' : 'none');
  return format === 'none' ? undefined : { format, junit, json: resultsJson };
}

function crashWish({ crash }: Flags, byDefault: CrashWish): CrashWish {
  if (crash === undefined) return byDefault;
  return crash === 'auto' || crash === 'none' ? crash : parseFamilies(crash, '--crash');
}

function expectedCrash(flags: Flags, results: ResultsRequest | undefined): Script['expectCrash'] {
  if (flags.expectCrash === undefined) return undefined;
  const other = flags.pass ? '--pass' : flags.passRegex ? '--pass-regex' : results ? '--results' : undefined;
  if (other !== undefined) {
    throw new RigError(
      'usage',
      `--expect-crash: expected no ${other}, which says what else is a pass, got both; do them one after the other`,
    );
  }
  return flags.expectCrash === true ? 'any' : parseFamilies(flags.expectCrash, '--expect-crash');
}

function stepOf({ flag, value }: RawStep, lineEnd: string, unsafe: UnsafeEngine | undefined): Step {
  const text = flag === 'fresh' ? '--fresh' : `--${flag} ${quoted(Buffer.from(value))}`;
  switch (flag) {
    case 'send':
      return { kind: 'send', text, bytes: someBytes(value, '--send') };
    case 'line':
      return {
        kind: 'send',
        text,
        bytes: Buffer.concat([bytesOfText(value, '--line'), Buffer.from(lineEnd)]),
      };
    case 'expect': {
      const { pattern, shown } = literalPattern(value, '--expect');
      return { kind: 'expect', text, choice: [pattern], shown };
    }
    case 'regex': {
      const { pattern, shown } = regexPattern(value, '--regex', unsafe);
      return { kind: 'expect', text, choice: [pattern], shown };
    }
    case 'pause':
      return { kind: 'pause', text, pauseMs: parseDurationMs(value, '--pause') };
    case 'fresh':
      return { kind: 'fresh', text };
    case 'jig':
      if (value === '') throw new RigError('usage', '--jig: expected the name of a sequence, got none');
      return { kind: 'jig', text, sequence: value };
    default:
      return portStepOf(flag, value, text);
  }
}

function literalPattern(text: string, flag: string): ArmedPattern {
  const bytes = someBytes(text, flag);
  return { pattern: { kind: 'literal', bytes }, shown: quoted(bytes) };
}

function regexPattern(source: string, flag: string, unsafe: UnsafeEngine | undefined): ArmedPattern {
  const regex = new ByteRegex(source, flag, unsafe);
  return { pattern: { kind: 'regex', regex }, shown: `/${visible(Buffer.from(source))}/` };
}

function someBytes(text: string, flag: string): Uint8Array {
  const bytes = bytesOfText(text, flag);
  if (bytes.length === 0)
    throw new RigError('usage', `${flag}: expected at least one byte of text, got none`);
  return bytes;
}

function parseBaudRate(text: string): number {
  const rate = Number(text);
  if (!/^\d+$/.test(text) || rate < 1 || rate > 0xffff_ffff)
    throw new InvalidArgumentError('Expected a baud rate such as 115200.');
  return rate;
}
