import { readFileSync } from 'node:fs';
import { RigError, reasonOf } from '../base/errors.ts';
import { parse } from '../base/validate.ts';
import { RecordingEntry, RecordingHead } from './recording.ts';

export interface Recording {
  readonly head: RecordingHead;
  readonly entries: readonly RecordingEntry[];
  /** Whether its last line is cut: whoever wrote it was killed. */
  readonly isCut: boolean;
}

/** @throws {RigError} blame `usage` for what is no recording, naming the line */
export function readRecording(path: string, what: string): Recording {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new RigError('usage', `${what} ${path}: cannot be read: ${reasonOf(error)}`, { cause: error });
  }
  const end = text.lastIndexOf('\n');
  const lines = text.slice(0, Math.max(0, end)).split('\n');
  const [first = '', ...others] = lines;
  const place = (index: number): string => `${what} ${path}:${index + 1}`;
  const head = parse(RecordingHead, jsonOf(first, place(0)), place(0), 'usage');
  const entries = others.map((line, index) =>
    parse(RecordingEntry, jsonOf(line, place(index + 1)), place(index + 1), 'usage'),
  );
  const strayed = entries.findIndex(({ tty }) => tty >= head.ttys.length);
  if (strayed >= 0) {
    throw new RigError(
      'usage',
      `${place(strayed + 1)}: tty: expected one of the ${head.ttys.length} of the recording, got ${entries[strayed]?.tty}`,
    );
  }
  return { head, entries, isCut: end !== text.length - 1 };
}

function jsonOf(line: string, place: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw new RigError(
      'usage',
      `${place}: expected a line of a recording, got ${JSON.stringify(line.slice(0, 60))}`,
      {
        cause: error,
      },
    );
  }
}
