/** What a script file holds: its own keys, and the steps that decide where to go on. */

import * as v from 'valibot';
import { CrashFamily } from '../wire/crash.ts';

const NAME = v.pipe(v.string(), v.regex(/^[A-Za-z_]\w*$/, 'expected a name of letters, digits and _'));

const TIME = v.pipe(
  v.string('expected a time such as 300ms, 2s or 5m'),
  v.regex(/^\d+(?:\.\d+)?(?:ms|s|m|h)$/, 'expected a time such as 300ms, 2s or 5m'),
);

/** So that a round that does nothing ends soon. */
const LIMIT = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(10_000));

/** Steps are looked at one by one: which keys one has is for its kind to say. */
const STEPS = v.pipe(v.array(v.unknown()), v.minLength(1, 'expected at least one step'));

const ARMED = v.array(v.union([v.string(), v.strictObject({ regex: v.string() })]));

const Variable = v.union([
  v.string(),
  v.pipe(
    v.strictObject({
      about: v.exactOptional(v.string()),
      default: v.exactOptional(v.string()),
      env: v.exactOptional(
        v.pipe(v.string(), v.regex(/^[A-Za-z_]\w*$/, 'expected the name of an environment variable')),
      ),
    }),
  ),
]);
export type Variable = v.InferOutput<typeof Variable>;

export const ScriptFile = v.strictObject({
  about: v.exactOptional(v.string()),
  variables: v.exactOptional(v.record(NAME, Variable)),
  eol: v.exactOptional(v.picklist(['lf', 'cr', 'crlf', 'none'])),
  pass: v.exactOptional(ARMED),
  fail: v.exactOptional(ARMED),
  crash: v.exactOptional(v.union([v.picklist(['auto', 'none']), v.array(CrashFamily)])),
  ignoreAnsi: v.exactOptional(v.boolean()),
  timeout: v.exactOptional(v.union([v.literal('never'), TIME])),
  steps: STEPS,
});
export type ScriptFile = v.InferOutput<typeof ScriptFile>;

/** One of several that a step waits for, and what follows from it. */
const CHOICE = v.pipe(
  v.strictObject({
    expect: v.exactOptional(v.string()),
    regex: v.exactOptional(v.string()),
    goto: v.exactOptional(NAME),
    // biome-ignore lint/suspicious/noThenProperty: nobody awaits what a file says
    then: v.exactOptional(STEPS),
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

/** The keys of steps that decide where to go on, and what each takes. */
export const CONTROL_STEPS = {
  choices: v.strictObject({
    choices: v.pipe(v.array(CHOICE), v.minLength(1, 'expected at least one choice')),
    within: v.exactOptional(TIME),
  }),
  label: v.strictObject({ label: NAME, limit: v.exactOptional(LIMIT) }),
  goto: v.strictObject({ goto: NAME }),
  loop: v.strictObject({ loop: v.strictObject({ limit: LIMIT, steps: STEPS }) }),
  repeat: v.strictObject({ repeat: v.strictObject({ times: LIMIT, steps: STEPS }) }),
  fail: v.strictObject({ fail: v.pipe(v.string(), v.minLength(1, 'expected a reason')) }),
  call: v.strictObject({
    call: v.pipe(v.string(), v.minLength(1, 'expected the path of a script')),
    with: v.exactOptional(v.record(NAME, v.string())),
  }),
  parallel: v.strictObject({
    parallel: v.pipe(
      v.record(v.pipe(v.string(), v.minLength(1, 'expected a tty')), STEPS),
      v.check((branches) => Object.keys(branches).length > 0, 'expected at least one tty'),
    ),
  }),
} as const;

/** The time a step that waits may have of its own. */
export const Within = v.exactOptional(TIME);
