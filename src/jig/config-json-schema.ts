/** The shape of the jig's config for editors: the schema that it is read with, and each step within it. */

import * as v from 'valibot';
import { jigConfigOf, PauseStep, STEPS } from './config.ts';

/** As the documents say it; editors show it. */
const DESCRIPTIONS: Readonly<Record<keyof typeof STEPS, string>> = {
  gpio_name: 'The line takes the value.',
  set: 'Several lines take their values, those of a chip in one step.',
  pulse: 'The line takes 1, or value, for that long; then what it had.',
  wait_for: 'Until the input has the value, or changes; else the sequence fails.',
  repeat: 'The steps, so often.',
  power: "The target's power is switched.",
  http: 'A server is asked, and has to answer as expected.',
  call: 'The steps of another sequence of the target.',
};

const Step: v.GenericSchema = v.union([
  v.pipe(PauseStep, v.description('Time passes; a bare number is milliseconds.')),
  ...Object.entries({
    ...STEPS,
    repeat: v.strictObject({ ...STEPS.repeat.entries, seq: v.array(v.lazy(() => Step)) }),
  }).map(([kind, schema]: [string, v.GenericSchema]) =>
    v.pipe(schema, v.description(DESCRIPTIONS[kind as keyof typeof STEPS])),
  ),
]);

export const PublishedJigConfig = jigConfigOf(v.lazy(() => Step));
