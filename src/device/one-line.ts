/** Longer commands (a generated script in an argument) hide the rest of the line. */
const MAX_CHARACTERS = 200;

/** A text by whomever, fit for one line on a terminal: no line ends, no escape sequences, not too long. */
export function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
  const shown = text.replaceAll(/[\s\u0000-\u001f\u007f-\u009f]+/g, ' ');
  return shown.length > MAX_CHARACTERS ? `${shown.slice(0, MAX_CHARACTERS)} …` : shown;
}
