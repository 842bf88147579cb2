/** The jig's config: Sai's keys and ours, as written. `plan.ts` turns it into what is run. */

import * as v from 'valibot';
import { readConfigFile } from '../base/config-file.ts';
import { formatDuration, LONGEST_MS, parseDurationMs } from '../base/duration.ts';
import { RigError } from '../base/errors.ts';
import { parse, parseAll } from '../base/validate.ts';
import { ConfigMistakes } from './mistakes.ts';

// What only a check says is said once more as metadata, in JSON Schema: editors get it by `config-json-schema.ts`.

/** Paths, and what valibot leaves out of records: such a line would not be set, without a word. */
const NO_NAME = '^(?:\\.+|__proto__|prototype|constructor)$';

/** Source: Sai's README, URL elements; what it reads as one token. */
const Name = v.pipe(
  v.string(),
  v.regex(/^[\w.-]+$/, 'expected a name of letters, digits, _, - and .'),
  v.check((name) => !/^\.+$/.test(name), 'expected a name, not a path'),
  v.check((name) => !new RegExp(NO_NAME).test(name), 'expected another name: JavaScript has this for itself'),
  v.metadata({ not: { type: 'string', pattern: NO_NAME } }),
);

/** First URL elements that are the API's own. */
const RESERVED = ['targets', 'events', 'healthz', 'metrics'];
const TargetName = v.pipe(
  Name,
  v.check((name) => !RESERVED.includes(name), `expected a name other than ${RESERVED.join(', ')}`),
  v.metadata({ not: { anyOf: [{ type: 'string', pattern: NO_NAME }, { enum: RESERVED }] } }),
);

const LineValue = v.picklist([0, 1], 'expected 0 or 1');
const Natural = v.pipe(
  v.number('expected a whole number'),
  v.integer('expected a whole number'),
  v.minValue(0, 'expected a whole number from 0'),
);

/** Source: Linux, `struct gpio_chip`: it counts its lines in 16 bits. */
const LineNumber = v.pipe(Natural, v.maxValue(65_534, 'expected a line number up to 65534'));

const Milliseconds = v.pipe(Natural, v.maxValue(LONGEST_MS, `expected at most ${LONGEST_MS} ms`));
const DurationText = v.pipe(
  v.string(),
  v.regex(/^\d+(?:\.\d+)?(?:ms|s|m|h)$/, 'expected a duration such as 50ms or 2s'),
  v.check(isShortEnough, `expected at most ${formatDuration(LONGEST_MS)}`),
);
/** A bare number is milliseconds, as in Sai. */
const Duration = v.union([Milliseconds, DurationText], 'expected a duration such as 50ms or 2s');
export type Duration = v.InferOutput<typeof Duration>;

const GpioKeys = v.strictObject({
  name: Name,
  /** The kernel's number of the chip: Sai's README has the one, its code the other. */
  chip_index: v.exactOptional(Natural),
  chip_idx: v.exactOptional(Natural),
  /** Instead: the chip's name or label, or, with a slash, a path: the socket of a virtual board. */
  chip: v.exactOptional(v.pipe(v.string(), v.minLength(1, 'expected a chip'))),
  /** Number of the line inside the chip, or else its name there. */
  offset: v.exactOptional(LineNumber),
  line: v.exactOptional(v.pipe(v.string(), v.minLength(1, "expected a line's name"))),
  /** Which wire of the board it is; for people. */
  wire: v.exactOptional(v.string()),
  /** Value at start, at stop, and after an abort or a failure; Sai's default is 0. */
  safe: v.exactOptional(v.picklist([0, 1, 'release'], 'expected 0, 1 or "release"')),
  /** True: 1 is the low level. */
  activeLow: v.exactOptional(v.boolean()),
  drive: v.exactOptional(
    v.picklist(
      ['push-pull', 'open-drain', 'open-source'],
      'expected "push-pull", "open-drain" or "open-source"',
    ),
  ),
  bias: v.exactOptional(
    v.picklist(
      ['as-is', 'disabled', 'pull-up', 'pull-down'],
      'expected "as-is", "disabled", "pull-up" or "pull-down"',
    ),
  ),
  direction: v.exactOptional(v.picklist(['in', 'out'], 'expected "in" or "out"')),
  /** Of an input: changes that do not last so long are none. */
  debounce: v.exactOptional(Duration),
  /** An output is active for no longer than that, whoever set it; then it goes to its safe value. */
  maxActive: v.exactOptional(Duration),
});
/** Which keys go together; `plan.ts` says it. */
const Gpio = v.pipe(
  GpioKeys,
  v.metadata({
    allOf: [
      oneOfKeys('chip', 'chip_index', 'chip_idx'),
      oneOfKeys('offset', 'line'),
      {
        if: { properties: { direction: { const: 'in' } }, required: ['direction'] },
        // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
        then: { not: { anyOf: ['safe', 'drive', 'maxActive'].map((key) => ({ required: [key] })) } },
        else: { not: { required: ['debounce'] } },
      },
      { not: { properties: { safe: { const: 1 } }, required: ['safe', 'maxActive'] } },
    ],
  }),
);
export type Gpio = v.InferOutput<typeof Gpio>;

const HttpUrl = v.pipe(
  v.string(),
  v.check(isHttpUrl, 'expected http://HOST or https://HOST, without a user'),
  v.metadata({
    pattern: '^\\s*[Hh][Tt][Tt][Pp][Ss]?:',
    not: { type: 'string', pattern: '^[^/?#]*//[^/?#]*@' },
  }),
);

/** A program and its arguments; there is no shell. */
const Argv = v.pipe(
  v.array(v.string()),
  v.check(([program = '']) => program !== '', 'expected a program, then its arguments'),
  v.metadata({ minItems: 1 }),
);

const POWER_KEYS = {
  /** At start, at stop, after an abort or a failure. */
  safe: v.picklist(['on', 'off', 'keep'], 'expected "on", "off" or "keep"'),
  /** Off for at least that before it is on again: the step waits. */
  minOff: v.exactOptional(Duration),
  /** From once on to the next: the step waits. */
  minInterval: v.exactOptional(Duration),
  /** Longest time for one switching. */
  within: v.exactOptional(Duration),
};

/** What switches the power of a target. */
export const Power = v.variant('kind', [
  v.strictObject({
    kind: v.literal('tasmota'),
    url: HttpUrl,
    /** Of a plug with several; 1 is the first. */
    relay: v.exactOptional(v.pipe(Natural, v.minValue(1, 'expected at least 1'))),
    user: v.exactOptional(v.string()),
    password: v.exactOptional(v.string()),
    ...POWER_KEYS,
  }),
  v.strictObject({
    kind: v.literal('uhubctl'),
    /** As uhubctl lists it: `1-1.4`. */
    location: v.pipe(v.string(), v.regex(/^\d+(?:-\d+(?:\.\d+)*)?$/, 'expected a location such as 1-1.4')),
    port: v.pipe(Natural, v.minValue(1, 'expected at least 1')),
    ...POWER_KEYS,
  }),
  v.strictObject({
    kind: v.literal('command'),
    on: Argv,
    off: Argv,
    /** Says `on` or `off`; asked after each switching. */
    state: v.exactOptional(Argv),
    ...POWER_KEYS,
  }),
]);
export type Power = v.InferOutput<typeof Power>;

/** A step as written; its keys tell its kind, and the kind its schema. */
const AnyStep = v.looseObject({});

/** Each kind of step by the key that only it has. A pause has none but `value`. */
export const STEPS = {
  /** Sai's: a line takes a value. */
  gpio_name: v.strictObject({ gpio_name: Name, value: LineValue }),
  /** Several lines at once. */
  set: v.strictObject({
    set: v.pipe(v.record(Name, LineValue), v.minEntries(1, 'expected at least one line')),
  }),
  /** A line takes a value (1) for at least a time, then has again what it had before. */
  pulse: v.strictObject({ pulse: Name, for: Duration, value: v.exactOptional(LineValue) }),
  /** Until an input has a value, or changes. */
  wait_for: v.pipe(
    v.strictObject({
      wait_for: Name,
      value: v.exactOptional(LineValue),
      edge: v.exactOptional(
        v.picklist(['rising', 'falling', 'both'], 'expected "rising", "falling" or "both"'),
      ),
      within: Duration,
    }),
    v.metadata(oneOfKeys('value', 'edge')),
  ),
  repeat: v.strictObject({
    repeat: v.pipe(Natural, v.minValue(1, 'expected at least 1')),
    seq: v.array(AnyStep),
  }),
  /** The target's `power` is switched. */
  power: v.strictObject({ power: v.picklist(['on', 'off'], 'expected "on" or "off"') }),
  /** A web server is asked for something. */
  http: v.strictObject({
    http: HttpUrl,
    method: v.exactOptional(
      v.picklist(['GET', 'POST', 'PUT', 'PATCH', 'DELETE'], 'expected GET, POST, PUT, PATCH or DELETE'),
    ),
    headers: v.exactOptional(
      v.record(
        v.pipe(v.string(), v.regex(/^[\w-]+$/, "expected a header's name")),
        v.pipe(v.string(), v.regex(/^[\t\x20-\x7e]*$/, 'expected plain text')),
      ),
    ),
    body: v.exactOptional(v.string()),
    /** Status of the answer; any of 200 to 299 when left out. */
    expect: v.exactOptional(
      v.pipe(Natural, v.minValue(200, 'expected a status'), v.maxValue(599, 'expected a status')),
    ),
    within: v.exactOptional(Duration),
  }),
  /** Another sequence of the same target. */
  call: v.strictObject({ call: Name }),
} as const;

/** Sai's: time passes. */
export const PauseStep = v.strictObject({ value: Duration });

/** What is generic in the steps, which are read once their kind is known. */
const sequenceOf = <const S extends v.GenericSchema>(step: S) =>
  v.strictObject({ name: Name, seq: v.array(step) });
export type Sequence = v.InferOutput<ReturnType<typeof sequenceOf<typeof AnyStep>>>;

const targetOf = <const S extends v.GenericSchema>(step: S) =>
  v.strictObject({
    name: TargetName,
    description: v.exactOptional(v.string()),
    gpios: v.array(Gpio),
    sequences: v.array(sequenceOf(step)),
    /** True: a request without `Sai-Fence` is refused. */
    requireFence: v.exactOptional(v.boolean()),
    power: v.exactOptional(Power),
    /** Of each list of outputs at most one is ever active. */
    interlocks: v.exactOptional(
      v.array(
        v.pipe(
          v.array(Name),
          v.minLength(2, 'expected at least two lines'),
          v.metadata({ uniqueItems: true }),
        ),
      ),
    ),
  });
export type Target = v.InferOutput<ReturnType<typeof targetOf<typeof AnyStep>>>;

/** Chips that are not the kernel's, by the name that a line's `chip` says. */
const DeclaredChip = v.variant('kind', [
  /** Lines `dtr` and `rts` of a tty. */
  v.strictObject({
    kind: v.literal('modem'),
    tty: v.pipe(v.string(), v.regex(/^\//, "expected a tty's path, beginning with /")),
  }),
  v.strictObject({
    kind: v.literal('command'),
    /** Longest time for one command. */
    within: v.exactOptional(Duration),
    lines: v.record(
      Name,
      v.strictObject({
        high: Argv,
        low: Argv,
        /** Lets go of the line; also run when the jig does. */
        release: v.exactOptional(Argv),
      }),
    ),
  }),
]);
export type DeclaredChip = v.InferOutput<typeof DeclaredChip>;

const FileName = v.pipe(v.string(), v.minLength(1, 'expected a file'));

/** The config with steps of that schema. */
export const jigConfigOf = <const S extends v.GenericSchema>(step: S) =>
  v.strictObject({
    /** For editors: where the JSON Schema of this file is. */
    $schema: v.exactOptional(v.string()),
    schema: v.literal('sai-jig', 'expected "sai-jig"'),
    port: v.exactOptional(v.pipe(Natural, v.maxValue(65_535, 'expected a port up to 65535'))),
    /** Network interface or address to listen on; all when left out. */
    iface: v.exactOptional(v.string()),
    /** Whoever sends one of these as bearer token may use the jig; anybody may when left out. */
    tokens: v.exactOptional(
      v.pipe(
        v.array(v.pipe(v.string(), v.regex(/^[\x21-\x7e]{16,}$/, 'expected 16 or more visible characters'))),
        v.minLength(1, 'expected at least one token'),
      ),
    ),
    /** Files in PEM, from the config's own folder; with `clientCa` clients have to show a certificate that it signed. */
    tls: v.exactOptional(
      v.strictObject({ cert: FileName, key: FileName, clientCa: v.exactOptional(FileName) }),
    ),
    /** Where it is written who asked for what; nowhere when left out. */
    auditFile: v.exactOptional(FileName),
    chips: v.exactOptional(v.record(Name, DeclaredChip)),
    targets: v.array(targetOf(step)),
  });

/** Sai's `/etc/sai/jig/conf`, and ours: `conf/jig.example.json`. */
export const JigConfig = jigConfigOf(AnyStep);
export type JigConfig = v.InferOutput<typeof JigConfig>;

/** @throws {RigError} blame `config` with file, path inside it, expected, found */
export async function loadJigConfig(path: string): Promise<JigConfig> {
  return parse(JigConfig, await readConfigFile(path), path);
}

/** The same, with all that is wrong. @throws {ConfigMistakes} */
export async function loadWholeJigConfig(path: string): Promise<JigConfig> {
  const parsed = parseAll(JigConfig, await readConfigFile(path), path);
  if ('problems' in parsed) throw new ConfigMistakes(parsed.problems);
  return parsed.output;
}

/** Of a duration as the config has it. */
export function durationMs(duration: Duration): number {
  return typeof duration === 'number' ? duration : parseDurationMs(duration, 'duration');
}

/** In JSON Schema: exactly one of them is there. */
function oneOfKeys(...keys: readonly string[]): { oneOf: { required: string[] }[] } {
  return { oneOf: keys.map((key) => ({ required: [key] })) };
}

function isHttpUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return (protocol === 'http:' || protocol === 'https:') && username === '' && password === '';
}

function isShortEnough(text: string): boolean {
  try {
    parseDurationMs(text, 'duration');
    return true;
  } catch (error) {
    if (error instanceof RigError) return false;
    throw error;
  }
}
