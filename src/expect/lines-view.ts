/** Whole lines of a console, for boards that speak in lines and nothing else. The only file that knows the parser. */

import { ReadlineParser } from '@serialport/parser-readline';
import { RigError } from '../base/errors.ts';
import type { BoardConsole } from './board-console.ts';
import type { Limits } from './limits.ts';

const LF = 0x0a;

/** Of a board that speaks faster than its lines are taken: then nothing more is read until one is wanted. */
const WAITING_LIMIT_BYTES = 1024 * 1024;

/**
 * Each line without its end, decoded as UTF-8. What is not yet a line when the loop ends is for the next wait.
 *
 * @throws {ExpectationError} no line within the limits
 * @throws {RigError} blame `protocol` for a line that is longer than `maxBytes`
 */
export async function* linesOf(
  console: BoardConsole,
  maxBytes: number,
  limits: Limits,
): AsyncGenerator<string, void, undefined> {
  // It keeps what has no end yet, and looks at all of it again with each chunk: so it is given whole lines only.
  const parser = new ReadlineParser({ delimiter: '\n' });
  let waiting = Buffer.alloc(0);
  let hasTaken = false;
  let wake: (() => void) | undefined;
  let goOn: (() => void) | undefined;
  const endTurn = console.handOver({
    takes: 'text',
    take: (chunk) => {
      waiting = Buffer.concat([waiting, chunk]);
      wake?.();
      if (wake || waiting.length <= WAITING_LIMIT_BYTES) return undefined;
      return new Promise((resolve) => {
        goOn = resolve;
      });
    },
    letGo: () => {
      const rest = waiting;
      waiting = Buffer.alloc(0);
      goOn?.();
      return { bytes: rest, before: hasTaken ? LF : undefined };
    },
  });
  try {
    for (;;) {
      const newline = waiting.indexOf(LF);
      if (newline >= 0 && newline <= maxBytes) {
        parser.write(waiting.subarray(0, newline + 1));
        waiting = waiting.subarray(newline + 1);
        hasTaken = true;
        yield String(parser.read() ?? '').replace(/\r$/, '');
      } else if (waiting.length > maxBytes) {
        throw new RigError(
          'protocol',
          `${console.label}: expected lines of at most ${maxBytes} bytes, got ${waiting.length} without an end; match prompts with expect`,
        );
      } else {
        await console.untilTaken<void>('a line', limits, (resolve) => {
          wake = resolve;
          goOn?.();
        });
        wake = undefined;
      }
    }
  } finally {
    wake = undefined;
    goOn?.();
    parser.destroy();
    endTurn();
  }
}
