/** What one run is asked to do, as it follows from the steps and flags of a command line. */

import type { Verbosity } from '../base/diagnostics.ts';
import { parseDurationMs } from '../base/duration.ts';
import { RigError } from '../base/errors.ts';
import type { ResultFormatName } from '../results/test-result.ts';
import { literalPattern, regexPattern } from './armed-pattern.ts';
import type { UnsafeEngine } from './byte-regex.ts';
import { type CrashWish, parseFamilies } from './crash.ts';
import {
  type PortFlags,
  type PortSettings,
  type PortStepFlag,
  portSettings,
  portStepOf,
  sendingOf,
} from './port-flags.ts';
import type { ArmedPattern, Script, Step } from './script.ts';
import { bytesOfText, LINE_ENDS, type LineEnd, quoted, someBytes } from './text.ts';

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
  readonly echo: 'always' | 'on a terminal' | 'never';
  readonly findings: 'wanted' | 'optional';
  readonly onFail: 'tail' | 'everything';
  readonly verbosity: Verbosity;
  readonly results: ResultsRequest | undefined;
  /** File for what becomes of the run; `-` is stdout. */
  readonly json: string | undefined;
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

/** As given on the command line. */
export interface Flags extends PortFlags {
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
  readonly timeout?: string;
  readonly driver: Request['driver'];
  readonly crash?: string;
  readonly expectCrash?: string | true;
  readonly settle?: string;
  readonly results?: ResultFormatName | 'auto' | 'none';
  readonly junit?: string;
  readonly resultsJson?: string;
  readonly json?: string;
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
export interface RawStep {
  readonly flag: 'send' | 'line' | 'expect' | 'regex' | 'pause' | 'fresh' | 'jig' | PortStepFlag;
  readonly value: string;
}

export const STEPS_TIMEOUT = '60s';
const DEFAULT_MODE_TIMEOUT = '15m';
export const DEFAULT_PASS = 'Completed: PASS';
export const DEFAULT_FAIL = 'Completed: FAIL';

/**
 * What the steps and flags come to. `unsafe` as the command line is parsed with it.
 *
 * @throws {RigError} blame `usage`
 */
export function requestOf(
  rawSteps: readonly RawStep[],
  flags: Flags,
  unsafe: UnsafeEngine | undefined,
): Request {
  refuseMixture(rawSteps, flags);
  refuseOddJson(flags);
  const steps = numbered(rawSteps.map((raw) => stepOf(raw, LINE_ENDS[flags.eol ?? 'lf'], unsafe)));
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
      ...given.map((text) => literalPattern(bytesOfText(text, `--${which}`), `--${which}`)),
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
    echo: flags.json === '-' ? 'never' : flags.echo === true ? 'always' : 'on a terminal',
    findings: flags.optional === true ? 'optional' : 'wanted',
    onFail: flags.verboseOnFail === true ? 'everything' : 'tail',
    verbosity: flags.quiet === true ? 'quiet' : flags.verbose === true ? 'verbose' : 'normal',
    results,
    json: flags.json,
    record: flags.record,
    replay: flags.replay,
    toCast: flags.toCast,
  };
}

/** Of a run alone there is an outcome, and two things on one stdout are none. */
function refuseOddJson({ json, dryRun, toCast, echo }: Flags): void {
  const other = dryRun === true ? '--dry-run' : toCast === undefined ? undefined : '--to-cast';
  if (json !== undefined && other !== undefined)
    throw new RigError('usage', `--json: expected a run, got ${other}, which does no step`);
  if (json === '-' && echo === true)
    throw new RigError('usage', '--json -: expected stdout to be free, got --echo; name a file');
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

/** Of steps that wait for the same, messages say which one it was. */
function numbered(steps: readonly Step[]): readonly Step[] {
  const counts = new Map<string, number>();
  for (const { text } of steps) counts.set(text, (counts.get(text) ?? 0) + 1);
  return steps.map((step, index) =>
    step.kind === 'expect' && counts.get(step.text) !== 1
      ? { ...step, shown: `${step.shown} (step ${index + 1})` }
      : step,
  );
}

function stepOf({ flag, value }: RawStep, lineEnd: string, unsafe: UnsafeEngine | undefined): Step {
  const text = flag === 'fresh' ? '--fresh' : `--${flag} ${quoted(Buffer.from(value))}`;
  switch (flag) {
    case 'send':
      return { kind: 'send', text, bytes: someBytes(bytesOfText(value, '--send'), '--send') };
    case 'line':
      return {
        kind: 'send',
        text,
        bytes: Buffer.concat([bytesOfText(value, '--line'), Buffer.from(lineEnd)]),
      };
    case 'expect': {
      const { pattern, shown } = literalPattern(bytesOfText(value, '--expect'), '--expect');
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
