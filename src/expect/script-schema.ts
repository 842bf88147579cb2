/** What a script file holds: its own keys, and the steps that decide where to go on. */

import * as v from 'valibot';
import { CrashFamily } from '../wire/crash.ts';

const NAME = v.pipe(v.string(), v.regex(/^[A-Za-z_]\w*$/, 'expected a name of letters, digits and _'));

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
const STEPS = v.pipe(v.array(v.unknown()), v.minLength(1, 'expected at least one step'));

const ARMED = v.array(v.union([TEXT, v.strictObject({ regex: TEXT })]));

const Variable = v.union([
  TEXT,
  v.strictObject({
    about: v.exactOptional(TEXT),
    default: v.exactOptional(TEXT),
    env: v.exactOptional(
      v.pipe(v.string(), v.regex(/^[A-Za-z_]\w*$/, 'expected the name of an environment variable')),
    ),
  }),
]);
export type Variable = v.InferOutput<typeof Variable>;

const FAMILIES = v.pipe(v.array(CrashFamily), v.minLength(1, 'expected a family, or the word none'));

const HEAD = {
  /** For editors. */
  $schema: v.exactOptional(v.string()),
  about: v.exactOptional(TEXT),
  variables: v.exactOptional(v.record(NAME, Variable)),
  eol: v.exactOptional(v.picklist(['lf', 'cr', 'crlf', 'none'])),
  pass: v.exactOptional(ARMED),
  fail: v.exactOptional(ARMED),
  crash: v.exactOptional(v.union([v.picklist(['auto', 'none']), FAMILIES])),
  ignoreAnsi: v.exactOptional(v.boolean()),
  timeout: v.exactOptional(v.union([v.literal('never'), TIME])),
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
    v.strictObject({
      expect: v.exactOptional(TEXT),
      regex: v.exactOptional(TEXT),
      goto: v.exactOptional(NAME),
      // biome-ignore lint/suspicious/noThenProperty: nobody awaits what a file says
      then: v.exactOptional(steps),
    }),
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
      choices: v.pipe(v.array(choiceOf(steps)), v.minLength(1, 'expected at least one choice')),
      within: Within,
    }),
    label: v.strictObject({ label: NAME, limit: v.exactOptional(LIMIT) }),
    goto: v.strictObject({ goto: NAME }),
    loop: v.strictObject({ loop: v.strictObject({ limit: LIMIT, steps }) }),
    repeat: v.strictObject({ repeat: v.strictObject({ times: LIMIT, steps }) }),
    fail: v.strictObject({ fail: v.pipe(TEXT, v.minLength(1, 'expected a reason')) }),
    call: v.strictObject({
      call: v.pipe(TEXT, v.minLength(1, 'expected the path of a script')),
      with: v.exactOptional(v.record(NAME, TEXT)),
    }),
    parallel: v.strictObject({
      parallel: v.pipe(
        v.record(v.pipe(v.string(), v.minLength(1, 'expected a tty')), steps),
        v.check((branches) => Object.keys(branches).length > 0, 'expected at least one tty'),
      ),
    }),
  } as const;
}

/** The time a step that waits may have of its own. */
export const Within = v.exactOptional(TIME);

export const CONTROL_STEPS = controlStepsOf(STEPS);
