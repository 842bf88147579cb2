/** The thread in which patterns run whose time nobody can bound; started by `UnsafeRegexes`, ended by it too. */

import { workerData } from 'node:worker_threads';
import { reasonOf } from '../base/errors.ts';
import { rawHit } from './regex-hit.ts';
import type { Answer, Question, RegexThread } from './unsafe-regexes.ts';

const { port, answered } = workerData as RegexThread;
const compiled = new Map<string, RegExp>();

port.on('message', (question: Question) => answer(answerTo(question)));
answer('ready');

function answerTo({ source, text, from }: Question): Answer {
  try {
    const regex = compiled.get(source) ?? new RegExp(source, 'gm');
    compiled.set(source, regex);
    return { hit: rawHit(regex, text, from) };
  } catch (error) {
    return { failure: reasonOf(error) }; // V8 compiles when it first runs, and then finds some too large
  }
}

function answer(value: unknown): void {
  port.postMessage(value);
  Atomics.add(answered, 0, 1);
  Atomics.notify(answered, 0);
}
