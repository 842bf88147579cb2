import { formatDuration } from '../base/duration.ts';
import type { Console } from '../tty/console.ts';
import { literalPattern } from './armed-pattern.ts';
import type { BoardOutput } from './board-output.ts';
import { type Clock, pause } from './clock.ts';
import { type StartTransfer, startTransfer, type Transfer } from './file-transfer.ts';
import type { RunJig } from './jig-step.ts';
import { isFresh, type Step } from './script.ts';
import { AT_ONCE, type Sending, sendText, shownInstead } from './sending.ts';
import type { SessionProgress } from './session-progress.ts';
import type { Matched, StreamWatch } from './stream-watch.ts';
import { quoted } from './text.ts';
import { untilDone } from './until-done.ts';
import type { ExpectationError } from './verdict.ts';

export interface StepsParts {
  readonly console: Console;
  readonly output: BoardOutput;
  readonly watch: StreamWatch;
  readonly clock: Clock;
  readonly progress: SessionProgress;
  readonly sending: Sending | undefined;
  readonly runJig: RunJig;
  readonly startTransfer: StartTransfer | undefined;
  readonly onProgress: ((text: string) => void) | undefined;
  /** Aborted with the session. */
  readonly over: AbortSignal;
  /** Holds up whatever is to be done next while the session is ending. */
  readonly turn: () => Promise<void>;
  /** Ends the session. */
  readonly fail: (failure: ExpectationError) => void;
}

/** Does the steps of a script on one console, one at a time. */
export class SessionSteps {
  readonly #parts: StepsParts;
  #onMatch: ((matched: Matched) => void) | undefined;

  constructor(parts: StepsParts) {
    this.#parts = parts;
  }

  /** What the step waits for has come. */
  matched(matched: Matched): void {
    this.#onMatch?.(matched);
  }

  /** `passCounts` is for a fresh step: whether it is the last one that can come. */
  async perform(step: Step, passCounts: 'from now on' | 'not yet'): Promise<Matched | undefined> {
    const { output, over } = this.#parts;
    if (step.kind === 'expect') return await this.#expect(step);
    if (isFresh(step)) await output.fresh(step.text, passCounts, over);
    if (step.kind === 'fresh') return undefined;
    await this.#idle();
    await this.#act(step);
    return undefined;
  }

  async #act(step: Exclude<Step, { readonly kind: 'expect' | 'fresh' }>): Promise<void> {
    const { console, clock, runJig, over } = this.#parts;
    switch (step.kind) {
      case 'jig':
        await runJig(step.sequence, over);
        return;
      case 'break':
        return await console.sendBreak(step.breakMs, over);
      case 'drive':
        console.drive(step.lines);
        return;
      case 'send':
        return await this.#send(step.bytes);
      case 'transfer':
        return await this.#transferFile(step.text, step.transfer);
      case 'pause':
        return await pause(clock, step.pauseMs, over);
    }
  }

  async #idle(): Promise<void> {
    const { output, watch, turn } = this.#parts;
    output.look(() => watch.idle());
    await turn();
  }

  async #expect({ choice }: Step & { readonly kind: 'expect' }): Promise<Matched> {
    const { output, watch, over } = this.#parts;
    const matched = await untilDone<Matched>(over, (resolve) => {
      this.#onMatch = resolve;
      output.look(() => watch.expect(...choice));
    });
    output.endWait();
    return matched;
  }

  async #send(bytes: Uint8Array): Promise<void> {
    const { console, clock, sending = AT_ONCE, over } = this.#parts;
    await sendText(bytes, sending, {
      send: (piece) => console.send(piece, over),
      pause: (pauseMs) => pause(clock, pauseMs, over),
      echoOf: (line, withinMs, send) => this.#untilEchoed(line, withinMs, send),
    });
  }

  /** What had come before is no echo. */
  async #untilEchoed(line: Uint8Array, withinMs: number, send: () => Promise<void>): Promise<void> {
    const { output, watch, clock, progress, over, fail } = this.#parts;
    const { pattern } = literalPattern(line, '--wait-echo');
    await new Promise<void>((resolve) => clock.onceRead(resolve));
    watch.useUp();
    const echoed = untilDone<Matched>(over, (resolve) => {
      this.#onMatch = resolve;
      output.look(() => watch.expect(pattern));
    });
    echoed.catch(() => {}); // told below, or by what ended the session
    await send();
    let isWaiting = true;
    const limit = clock.after(withinMs, () =>
      clock.onceRead(() => {
        if (!isWaiting) return; // it was among what has just been read
        const found = shownInstead(watch.unread.bytes);
        const what = `expected the echo of ${quoted(line)} within ${formatDuration(withinMs)}, got ${found}`;
        fail(progress.failure('verdict', what));
      }),
    );
    try {
      await echoed;
    } finally {
      isWaiting = false;
      limit.cancel();
    }
    await this.#idle();
  }

  /** What goes through is neither text nor kept; what is left over is. */
  async #transferFile(text: string, transfer: Transfer): Promise<void> {
    const { console, output, progress, onProgress, over, startTransfer: start = startTransfer } = this.#parts;
    const running = start(transfer, {
      send: (bytes, signal) => console.send(bytes, signal),
      onProgress: (progressText) => onProgress?.(progressText),
    });
    let rest: Uint8Array = new Uint8Array();
    const endTurn = output.handOver({
      takes: 'a file',
      take: (chunk) => {
        running.push(chunk);
        return undefined;
      },
      letGo: () => ({ bytes: rest, before: undefined }),
    });
    let failure: string | undefined;
    try {
      ({ failure, rest } = await running.end(over));
    } finally {
      endTurn();
    }
    if (failure !== undefined) throw progress.failure('verdict', `${text}: ${failure}`, { isWaiting: false });
  }
}
