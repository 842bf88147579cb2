/** The shape of a script file for editors: the schema that files are read with, and each step within it. */

import * as v from 'valibot';
import { controlStepsOf, scriptOf, Within } from './script-schema.ts';
import { STEP_KINDS } from './step-kinds.ts';

/** As the documents say it; editors show it. */
const DESCRIPTIONS: Readonly<Record<string, string>> = {
  send: 'Sends the text as it stands.',
  line: 'Sends the text with the end of line.',
  expect: 'Waits for the text; what it matched is used up.',
  regex: 'Waits for a match; named groups capture.',
  pause: 'Waits that long: 200ms.',
  fresh: 'From here on, only what arrives from now on can match.',
  jig: "Has the device's jig run the sequence; fresh from just before it.",
  break: 'Holds the line in the break condition so long; fresh from just before it.',
  dtr: 'Drives DTR; fresh from just before it.',
  rts: 'Drives RTS; fresh from just before it.',
  ysend: 'Sends a file by YMODEM.',
  xsend: 'Sends a file by XMODEM.',
  yreceive: 'Takes what the board sends by YMODEM into the folder.',
  choices: 'Waits for the first of several, and goes on as that one says.',
  label: 'Names a place; going back to it needs a limit.',
  goto: 'Goes to a label, or to next, end or leave.',
  loop: 'Round and round; when nothing has left it after that many rounds, fails.',
  repeat: 'Exactly so often.',
  fail: 'Fails with that reason.',
  call: 'The steps of another script; its path counts from the file that calls.',
  parallel: 'Steps on several ttys at the same time, by index, name or path of each.',
};

const KEYS: Readonly<Record<string, string>> = {
  about: 'What the script is for; its first line is shown in lists.',
  variables: 'Names with values, which texts may use.',
  pass: 'Texts that end the session with a pass whenever they come.',
  fail: 'Texts that end the session with a fail whenever they come.',
  timeout: 'For the whole: 90s, never; else 60 s.',
  eol: 'End of line of line; else lf.',
  crash: 'What counts as a crash: auto, none, a family or a list of them.',
  ignoreAnsi: 'Whether patterns see the text between escape sequences.',
  steps: 'What is done, in order.',
};

const Steps: v.GenericSchema<unknown[]> = v.pipe(v.array(v.lazy(() => Step)), v.minLength(1));

const Step: v.GenericSchema = v.union([
  v.literal('fresh'),
  ...Object.entries(STEP_KINDS).map(([kind, { value, waits }]) =>
    described(
      kind,
      v.strictObject({ [kind]: value, ...(waits ? { within: Within } : {}) } as v.ObjectEntries),
    ),
  ),
  ...Object.entries(controlStepsOf(Steps)).map(([kind, schema]) => described(kind, schema)),
]);

function described<const S extends v.GenericSchema>(kind: string, schema: S): v.GenericSchema {
  return v.pipe(schema, v.description(DESCRIPTIONS[kind] ?? kind));
}

const { entries } = scriptOf(Steps);

export const PublishedScript = v.strictObject(
  Object.fromEntries(
    Object.entries(entries).map(([key, schema]) => [key, withText(schema, KEYS[key])]),
  ) as typeof entries,
);

/** Within what makes a key optional: there, it must stay the outermost. */
function withText(
  schema: v.GenericSchema & { readonly wrapped?: v.GenericSchema },
  text: string | undefined,
): v.GenericSchema {
  if (text === undefined) return schema;
  if (schema.wrapped) return v.exactOptional(v.pipe(schema.wrapped, v.description(text)));
  return v.pipe(schema, v.description(text));
}
