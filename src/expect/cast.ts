/** A recording as a terminal session. Source: asciinema, asciicast file format version 2. */

import { StringDecoder } from 'node:string_decoder';
import { bytesOf } from './recording.ts';
import type { Recording } from './recording-file.ts';

/** What a serial console assumes. */
const WIDTH = 80;
const HEIGHT = 24;

/** Line by line. With several ttys, what they say is in one session, as it came. */
export function* castOf({ head, entries }: Recording): Generator<string> {
  const title = [head.device, ...head.ttys.map(({ label }) => label)].filter((each) => each).join(', ');
  const timestamp = Math.floor(head.startedAtMs / 1000);
  yield lineOf({ version: 2, width: WIDTH, height: HEIGHT, timestamp, title });
  // A character may come in two chunks.
  const decoders = head.ttys.map(() => ({ in: new StringDecoder('utf8'), out: new StringDecoder('utf8') }));
  const transferring = new Set<number>();
  for (const entry of entries) {
    if (transferring.has(entry.tty) && (entry.is === 'in' || entry.is === 'out')) continue; // no text
    const at = Math.round(entry.ms * 1000) / 1e6;
    switch (entry.is) {
      case 'early':
      case 'in': {
        const text = decoders[entry.tty]?.in.write(bytesOf(entry)) ?? '';
        if (text !== '') yield lineOf([at, 'o', text]);
        break;
      }
      case 'out': {
        const text = decoders[entry.tty]?.out.write(bytesOf(entry)) ?? '';
        if (text !== '') yield lineOf([at, 'i', text]);
        break;
      }
      case 'open':
      case 'quiet':
        break;
      case 'jig':
        yield lineOf([at, 'm', `jig ${entry.sequence}: ${entry.event}`]);
        break;
      case 'line':
        yield lineOf([at, 'm', entry.what]);
        break;
      case 'file':
        if (entry.event === 'begin') transferring.add(entry.tty);
        else transferring.delete(entry.tty);
        yield lineOf([at, 'm', `${entry.what} ${entry.path}: ${entry.event}`]);
        break;
      case 'away':
      case 'back':
        yield lineOf([at, 'm', `the tty is ${entry.is}`]);
        break;
      case 'gone':
        yield lineOf([at, 'm', entry.error]);
        break;
      case 'end':
        yield lineOf([at, 'm', entry.verdict]);
    }
  }
}

function lineOf(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}
