/** Longer commands (a generated script in an argument) hide the rest of the line. */
const MAX_CHARACTERS = 200;

/** A text by whomever, fit for one line on a terminal: no line ends, no escape sequences, not too long. */
export function oneLine(text: string): string {
  const shown = text.replaceAll(/[\s\p{Cc}]+/gu, ' ');
  return shown.length > MAX_CHARACTERS ? `${shown.slice(0, MAX_CHARACTERS)} …` : shown;
}
