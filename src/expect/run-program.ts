import { setImmediate as breathe } from 'node:timers/promises';
import { freshAhead } from './flow.ts';
import type { Control, Instruction, LateStep, Step } from './script.ts';
import type { Matched } from './stream-watch.ts';

/** Who does on a console what instructions say. */
export interface Performer {
  /** Resolves when the next instruction may be done; rejects when the session is over, or about to be. */
  turn(): Promise<void>;
  /** What matched, of a step that waits for it. With `freshAhead`, a step may follow after which all begins anew. */
  perform(step: Step, freshAhead: boolean): Promise<Matched | undefined>;
  /** Resolves when all branches have ended. */
  parallel(instruction: Control & { readonly kind: 'parallel' }, freshAhead: boolean): Promise<void>;
  /** From here on no fresh step can come any more. */
  noFreshAhead(): void;
  /** `what` has failed by what the script itself says, at the place that `text` names. */
  failure(text: string, what: string): Error;
}

/** So many instructions without a wait let others have their turn. */
const BREATHE_EACH = 1000;

/**
 * Runs instructions to their end, or to where one fails. What regexes capture is put into `captured`.
 *
 * @throws what `performer` throws
 */
export async function runProgram(
  program: readonly Instruction[],
  captured: Map<string, Uint8Array>,
  performer: Performer,
  freshAfter: 'fresh steps follow' | 'none follows',
): Promise<void> {
  const ahead = freshAhead(program).map((here) => here || freshAfter === 'fresh steps follow');
  const counts = new Map<number, number>();
  const count = (counter: number): number => {
    const times = (counts.get(counter) ?? 0) + 1;
    counts.set(counter, times);
    return times;
  };
  const step = async (given: Step | LateStep, at: number): Promise<Matched | undefined> => {
    const whole = given.kind === 'late' ? given.fill(captured) : given;
    const matched = await performer.perform(whole, ahead[at + 1] === true);
    for (const [name, bytes] of Object.entries(matched?.captures?.named ?? {}))
      captured.set(name, bytes ?? new Uint8Array());
    return matched;
  };
  for (let at = 0, done = 1; at < program.length; done++) {
    if (done % BREATHE_EACH === 0) await breathe();
    await performer.turn();
    const instruction = program[at] as Instruction;
    if (!ahead[at]) performer.noFreshAhead();
    switch (instruction.kind) {
      case 'goto':
        at = instruction.to;
        continue;
      case 'reset':
        for (const counter of instruction.counters) counts.delete(counter);
        break;
      case 'count':
        if (count(instruction.counter) > instruction.limit)
          throw performer.failure(instruction.text, `came by ${instruction.limit} times, its limit`);
        break;
      case 'again':
        if (count(instruction.counter) < instruction.times) {
          at = instruction.to;
          continue;
        }
        counts.delete(instruction.counter);
        break;
      case 'fail':
        throw performer.failure(instruction.text, `said ${instruction.reason}`);
      case 'parallel':
        await performer.parallel(instruction, ahead[at + 1] === true);
        break;
      case 'choose': {
        const matched = await step(instruction.step, at);
        at = instruction.to[matched?.index ?? -1] ?? at + 1;
        continue;
      }
      default:
        await step(instruction, at);
    }
    at++;
  }
  if (freshAfter === 'none follows') performer.noFreshAhead();
}
