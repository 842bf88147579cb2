/** What a step of a script file can do on one tty. A new kind is a new entry here, and one in the table of the documents. */

import * as v from 'valibot';
import { formatDuration, parseDurationMs } from '../base/duration.ts';
import { RigError } from '../base/errors.ts';
import { ByteRegex, type UnsafeEngine } from './byte-regex.ts';
import { checkTransfer, TRANSFER_PROGRAMS, type Transfer } from './file-transfer.ts';
import type { Pattern } from './matcher.ts';
import type { Step } from './script.ts';
import { TEXT, TIME_TEXT } from './script-schema.ts';
import type { Filler } from './template.ts';
import { bytesOfText, quoted, visible } from './text.ts';

/** What making a step may need besides its value. */
export interface StepContext {
  readonly filler: Filler;
  /** Of `line`. */
  readonly lineEnd: string;
  readonly unsafe: UnsafeEngine | undefined;
  /** To look at a plan, files that are sent need not be there. */
  readonly files: 'checked' | 'taken';
  /** `boot.yaml:12`, for what is told of the step when it runs. */
  readonly place: string;
}

type WithoutText<T> = T extends unknown ? Omit<T, 'text' | 'withinMs'> : never;

/** A step before it has its text. */
export type Body = WithoutText<Step>;

interface StepKind {
  readonly value: v.GenericSchema;
  /** Whether it waits for something, and can be given a time of its own. */
  readonly waits: boolean;
  /** @throws {RigError} of any blame; whoever reads the file adds where */
  readonly make: (value: unknown, context: StepContext) => Body;
}

/** By the key that makes a step one of its kind. Those of `null` are written as a word: `- fresh`. */
export const STEP_KINDS: Readonly<Record<string, StepKind>> = {
  send: kind(TEXT, 'waits', (text, { filler }) => ({
    kind: 'send',
    bytes: someBytes(text, filler).value,
  })),
  line: kind(TEXT, 'waits', (text, { filler, lineEnd }) => {
    const { value } = filler.bytes(text, (plain) => bytesOfText(plain, 'the text'));
    return { kind: 'send', bytes: Buffer.concat([value, Buffer.from(lineEnd)]) };
  }),
  expect: kind(TEXT, 'waits', (text, context) => expectation([{ expect: text }], context)),
  regex: kind(TEXT, 'waits', (source, context) => expectation([{ regex: source }], context)),
  pause: kind(TIME_TEXT, 'is done', (time) => ({
    kind: 'pause',
    pauseMs: parseDurationMs(time, 'the time'),
  })),
  fresh: kind(v.null_('expected the word fresh alone'), 'is done', () => ({ kind: 'fresh' })),
  break: kind(TIME_TEXT, 'waits', (time) => ({
    kind: 'break',
    breakMs: parseDurationMs(time, 'the time'),
  })),
  dtr: kind(v.picklist(['on', 'off'], 'expected "on" or "off"'), 'is done', (dtr) => ({
    kind: 'drive',
    lines: { dtr },
  })),
  rts: kind(v.picklist(['on', 'off'], 'expected "on" or "off"'), 'is done', (rts) => ({
    kind: 'drive',
    lines: { rts },
  })),
  jig: kind(TEXT, 'waits', (name, { filler }) => {
    const { value, showable } = someBytes(name, filler);
    if (!showable)
      throw new RigError('config', 'expected no secret in the name of a sequence, which is told');
    return { kind: 'jig', sequence: Buffer.from(value).toString() };
  }),
  ysend: transferKind('ysend'),
  xsend: transferKind('xsend'),
  yreceive: transferKind('yreceive'),
};

/** A text or a regex, as a choice or a pattern that is always armed has it. */
export interface RawPattern {
  readonly expect?: string | undefined;
  readonly regex?: string | undefined;
}

/** A step that waits for the first of several. */
export function expectation(choices: readonly RawPattern[], context: StepContext): Body {
  const patterns = choices.map((choice) => patternOf(choice, context));
  return {
    kind: 'expect',
    choice: patterns.map(({ pattern }) => pattern),
    shown: `${patterns.map(({ shown }) => shown).join(' or ')} (${context.place})`,
  };
}

/** A pattern, and how messages show it: with the values of its variables, unless one is a secret. */
export function patternOf(
  { expect, regex }: RawPattern,
  { filler, unsafe }: Pick<StepContext, 'filler' | 'unsafe'>,
): { pattern: Pattern; shown: string } {
  if (regex === undefined) {
    const { value: bytes, showable } = someBytes(expect ?? '', filler);
    return {
      pattern: { kind: 'literal', bytes },
      shown: quoted(showable ? bytes : Buffer.from(expect ?? '')),
    };
  }
  const { value: source, showable } = filler.regex(regex);
  const shown = `/${visible(Buffer.from(showable ? source : regex))}/`;
  const what = 'the regular expression';
  if (showable) return { pattern: { kind: 'regex', regex: new ByteRegex(source, what, unsafe) }, shown };
  try {
    return { pattern: { kind: 'regex', regex: new ByteRegex(source, what) }, shown };
  } catch {
    // The reason would show the secret.
    throw new RigError('config', `${what}: ${shown} is none, or one whose time nobody can bound`);
  }
}

/** In words, for who reads a plan. */
export function explainStep(step: Step): string {
  const within = step.withinMs === undefined ? '' : `, at most ${formatDuration(step.withinMs)}, else fail`;
  switch (step.kind) {
    case 'expect':
      return `wait for ${step.shown.replace(/ \([^()]*\)$/, '')}${within}`;
    case 'pause':
      return `wait ${formatDuration(step.pauseMs)}`;
    case 'fresh':
      return 'let go of all that has arrived: only what comes from now on counts';
    case 'jig':
      return `have the jig run ${JSON.stringify(step.sequence)}; only what comes from just before it counts${within}`;
    case 'transfer':
      return `${explainTransfer(step.transfer)}${within}`;
    default:
      return `${step.text.replace(/ \([^()]*\)$/, '')}${within}`;
  }
}

function explainTransfer({ program, path }: Transfer): string {
  const shown = quoted(Buffer.from(path));
  if (program === 'rb') return `take what the board sends by YMODEM into the folder ${shown}`;
  return `send the file ${shown} by ${program === 'sx' ? 'XMODEM' : 'YMODEM'}`;
}

function kind<const S extends v.GenericSchema>(
  value: S,
  takes: 'waits' | 'is done',
  make: (value: v.InferOutput<S>, context: StepContext) => Body,
): StepKind {
  return { value, waits: takes === 'waits', make: (given, context) => make(v.parse(value, given), context) };
}

/** Its path counts from where the command runs, as one that `--var` gives has to. */
function transferKind(flag: keyof typeof TRANSFER_PROGRAMS): StepKind {
  return kind(TEXT, 'waits', (text, { filler, files }) => {
    const { value, showable } = filler.bytes(text, (plain) => Buffer.from(plain));
    if (!showable) throw new RigError('config', 'expected no secret in the name of a file, which is told');
    const path = Buffer.from(value).toString();
    const transfer: Transfer = { program: TRANSFER_PROGRAMS[flag], path };
    if (files === 'checked' && filler.isComplete) checkTransfer(transfer, quoted(value));
    return { kind: 'transfer', transfer };
  });
}

function someBytes(text: string, filler: Filler): { value: Uint8Array; showable: true | undefined } {
  const filled = filler.bytes(text, (plain) => bytesOfText(plain, 'the text'));
  if (filled.value.length === 0)
    throw new RigError(
      'config',
      `expected at least one byte of text, got none${text === '' ? '' : ` from ${quoted(Buffer.from(text))}`}`,
    );
  return filled;
}
