/** Longer commands (a generated script in an argument) hide the rest of the line. */
const MAX_CHARACTERS = 200;

/** A text by whomever, fit for one line on a terminal: no line ends, no escape sequences, not too long. */
export function oneLine(text: string, maxCharacters = MAX_CHARACTERS): string {
  const shown = Array.from(text, (character) => (isControl(character) ? ' ' : character))
    .join('')
    .replaceAll(/\s+/g, ' ');
  return shown.length > maxCharacters ? `${shown.slice(0, maxCharacters)} …` : shown;
}

/** By number: a regular expression that knows Unicode's classes costs every waiter half a megabyte. */
function isControl(character: string): boolean {
  const code = character.codePointAt(0) ?? 0;
  return code < 0x20 || (code >= 0x7f && code < 0xa0);
}
