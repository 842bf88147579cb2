/** How text is sent to a board that cannot take it as fast as a tty can. */

import { visible } from './text.ts';

export interface Sending {
  /** After each byte. */
  readonly paceMs: number;
  /** After each line. */
  readonly linePaceMs: number;
  /** How long the echo of a line may take; undefined where none is waited for. */
  readonly echoMs: number | undefined;
}

export const AT_ONCE: Sending = { paceMs: 0, linePaceMs: 0, echoMs: undefined };

/** What sending is done with. */
export interface SendingParts {
  readonly send: (bytes: Uint8Array) => Promise<void>;
  readonly pause: (pauseMs: number) => Promise<void>;
  /** Begins to wait for it before `send`, which it calls, as an echo can be there at once. */
  readonly echoOf: (line: Uint8Array, withinMs: number, send: () => Promise<void>) => Promise<void>;
}

/** Resolves once the kernel has taken all of it, and the board has echoed it where that is waited for. */
export async function sendText(bytes: Uint8Array, how: Sending, parts: SendingParts): Promise<void> {
  if (how.linePaceMs === 0 && how.echoMs === undefined) {
    await sendBytes(bytes, how, parts);
    return;
  }
  for (const line of linesOf(bytes)) {
    const send = (): Promise<void> => sendBytes(line, how, parts);
    const echo = echoOf(line);
    if (how.echoMs === undefined || echo === undefined) await send();
    else await parts.echoOf(echo, how.echoMs, send);
    if (how.linePaceMs > 0 && isEnded(line)) await parts.pause(how.linePaceMs);
  }
}

async function sendBytes(bytes: Uint8Array, { paceMs }: Sending, parts: SendingParts): Promise<void> {
  if (paceMs === 0) {
    await parts.send(bytes);
    return;
  }
  for (const byte of bytes) {
    await parts.send(Uint8Array.of(byte));
    await parts.pause(paceMs);
  }
}

const CR = 0x0d;
const LF = 0x0a;

/** Cut after `\n`, `\r` and `\r\n`. */
export function linesOf(bytes: Uint8Array): Uint8Array[] {
  const lines: Uint8Array[] = [];
  let from = 0;
  bytes.forEach((byte, at) => {
    if (byte !== LF && (byte !== CR || bytes[at + 1] === LF)) return;
    lines.push(bytes.subarray(from, at + 1));
    from = at + 1;
  });
  if (from < bytes.length) lines.push(bytes.subarray(from));
  return lines;
}

function isEnded(line: Uint8Array): boolean {
  return line.at(-1) === CR || line.at(-1) === LF;
}

/** The text of a line; undefined where there is none, or control bytes, whose echo only the board knows. */
function echoOf(line: Uint8Array): Uint8Array | undefined {
  let end = line.length;
  while (end > 0 && (line[end - 1] === CR || line[end - 1] === LF)) end--;
  const text = line.subarray(0, end);
  return text.length > 0 && text.every((byte) => byte >= 0x20 && byte !== 0x7f) ? text : undefined;
}

/** What came in place of an echo, for messages. */
export function shownInstead(bytes: Uint8Array): string {
  if (bytes.length === 0) return 'nothing';
  const text = visible(bytes.subarray(Math.max(0, bytes.length - 200)));
  return `"${text.length > 120 ? `…${text.slice(-120)}` : text}"`;
}
