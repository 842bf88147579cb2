/** What a script file holds: its own keys, and the steps that decide where to go on. */

import * as v from 'valibot';
import { didYouMean } from '../base/validate.ts';
import { CRASH_FAMILIES, CrashFamily } from '../wire/crash.ts';

const NAME_TEXT = 'expected a name of letters, digits and _';
const NAME = v.pipe(v.string(NAME_TEXT), v.regex(/^[A-Za-z_]\w*$/, NAME_TEXT));

/** Which is one, the step itself tells better. */
export const TIME_TEXT = v.string('expected a time such as 300ms, 2s or 5m');

const TIME = v.pipe(
  TIME_TEXT,
  v.regex(/^\d+(?:\.\d+)?(?:ms|s|m|h)$/, 'expected a time such as 300ms, 2s or 5m'),
);

/** So that a round that does nothing ends soon. */
const LIMIT_RANGE = 'expected a whole number from 1 to 10000';
const LIMIT = v.pipe(
  v.number(LIMIT_RANGE),
  v.integer(LIMIT_RANGE),
  v.minValue(1, LIMIT_RANGE),
  v.maxValue(10_000, LIMIT_RANGE),
);

/** YAML takes `12`, `no` and `~` for something else. */
export const TEXT = v.string('expected a text in quotes');

/** Steps are looked at one by one: which keys one has is for its kind to say. */
const STEPS_TEXT = 'expected a list of steps';
const STEPS = v.pipe(v.array(v.unknown(), STEPS_TEXT), v.minLength(1, 'expected at least one step'));

const ARMED_TEXT = 'expected a text in quotes, or {regex: "…"}';
const ARMED = v.array(
  v.union([TEXT, v.strictObject({ regex: TEXT }, ARMED_TEXT)], ARMED_TEXT),
  'expected a list of texts in quotes, or of {regex: "…"}',
);

const ENV_TEXT = 'expected the name of an environment variable';
const Variable = v.union(
  [
    TEXT,
    v.strictObject({
      about: v.exactOptional(TEXT),
      default: v.exactOptional(TEXT),
      env: v.exactOptional(v.pipe(v.string(ENV_TEXT), v.regex(/^[A-Za-z_]\w*$/, ENV_TEXT))),
    }),
  ],
  'expected a text in quotes, or {about: …, default: …, env: …}',
);
export type Variable = v.InferOutput<typeof Variable>;

const FAMILIES = v.pipe(v.array(CrashFamily), v.minLength(1, 'expected a family, or the word none'));
const CRASH_WORDS = ['auto', 'none', ...CRASH_FAMILIES] as const;
const Crash = v.union([v.picklist(CRASH_WORDS), FAMILIES], ({ input }) => {
  const hint = typeof input === 'string' ? didYouMean(input, CRASH_WORDS) : '';
  return `expected auto, none, a family such as u-boot, or a list of them${hint}`;
});

const HEAD = {
  /** For editors. */
  $schema: v.exactOptional(TEXT),
  about: v.exactOptional(TEXT),
  variables: v.exactOptional(v.record(NAME, Variable, 'expected names with their values')),
  eol: v.exactOptional(v.picklist(['lf', 'cr', 'crlf', 'none'], 'expected lf, cr, crlf or none')),
  pass: v.exactOptional(ARMED),
  fail: v.exactOptional(ARMED),
  crash: v.exactOptional(Crash),
  ignoreAnsi: v.exactOptional(v.boolean('expected true or false')),
  timeout: v.exactOptional(v.union([v.literal('never'), TIME], 'expected a time such as 90s, or never')),
};

export const ScriptFile = scriptOf(STEPS);
export type ScriptFile = v.InferOutput<typeof ScriptFile>;

/** A file whose steps are `steps`. */
export function scriptOf<const Steps extends StepsSchema>(steps: Steps) {
  return v.strictObject({ ...HEAD, steps });
}

type StepsSchema = v.GenericSchema<unknown[]>;

/** One of several that a step waits for, and what follows from it. */
function choiceOf<const Steps extends StepsSchema>(steps: Steps) {
  return v.pipe(
    v.strictObject(
      {
        expect: v.exactOptional(TEXT),
        regex: v.exactOptional(TEXT),
        goto: v.exactOptional(NAME),
        // biome-ignore lint/suspicious/noThenProperty: nobody awaits what a file says
        then: v.exactOptional(steps),
      },
      'expected a choice such as {expect: "login: ", goto: next}',
    ),
    v.check(
      ({ expect, regex }) => (expect === undefined) !== (regex === undefined),
      'expected either expect or regex',
    ),
    v.check(
      (choice) => (choice.goto === undefined) !== (choice.then === undefined),
      'expected either goto or then, to say how it goes on (goto: next for the step after)',
    ),
  );
}

/** The keys of steps that decide where to go on, and what each takes; `steps` are those within. */
export function controlStepsOf<const Steps extends StepsSchema>(steps: Steps) {
  return {
    choices: v.strictObject({
      choices: v.pipe(
        v.array(choiceOf(steps), 'expected a list of choices'),
        v.minLength(1, 'expected at least one choice'),
      ),
      within: Within,
    }),
    label: v.strictObject({ label: NAME, limit: v.exactOptional(LIMIT) }),
    goto: v.strictObject({ goto: NAME }),
    loop: v.strictObject({
      loop: v.strictObject({ limit: LIMIT, steps }, 'expected {limit: 5, steps: […]}'),
    }),
    repeat: v.strictObject({
      repeat: v.strictObject({ times: LIMIT, steps }, 'expected {times: 3, steps: […]}'),
    }),
    fail: v.strictObject({ fail: v.pipe(TEXT, v.minLength(1, 'expected a reason')) }),
    call: v.strictObject({
      call: v.pipe(TEXT, v.minLength(1, 'expected the path of a script')),
      with: v.exactOptional(v.record(NAME, TEXT, 'expected names with their values')),
    }),
    parallel: v.strictObject({
      parallel: v.pipe(
        v.record(
          v.pipe(v.string(), v.minLength(1, 'expected a tty')),
          steps,
          'expected ttys with their steps',
        ),
        v.check((branches) => Object.keys(branches).length > 0, 'expected at least one tty'),
      ),
    }),
  } as const;
}

/** The time a step that waits may have of its own. */
export const Within = v.exactOptional(TIME);

export const CONTROL_STEPS = controlStepsOf(STEPS);
