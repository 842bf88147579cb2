/** The shape of a script file for editors: the schema that files are read with, and each step within it. */

import * as v from 'valibot';
import { controlStepsOf, scriptOf, Within } from './script-schema.ts';
import { STEP_KINDS } from './step-kinds.ts';

const Steps: v.GenericSchema<unknown[]> = v.pipe(v.array(v.lazy(() => Step)), v.minLength(1));

const Step: v.GenericSchema = v.union([
  v.literal('fresh'),
  ...Object.entries(STEP_KINDS).map(([kind, { value, waits }]) =>
    v.strictObject({ [kind]: value, ...(waits ? { within: Within } : {}) } as v.ObjectEntries),
  ),
  ...Object.values(controlStepsOf(Steps)),
]);

export const PublishedScript = scriptOf(Steps);
