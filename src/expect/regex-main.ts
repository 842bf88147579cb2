/** The thread in which patterns run whose time nobody can bound; started by `UnsafeRegexes`, ended by it too. */

import { workerData } from 'node:worker_threads';
import { rawHit } from './regex-hit.ts';
import type { Question, RegexThread } from './unsafe-regexes.ts';

const { port, answered } = workerData as RegexThread;
const compiled = new Map<string, RegExp>();

port.on('message', ({ source, text, from }: Question) => {
  const regex = compiled.get(source) ?? new RegExp(source, 'gm');
  compiled.set(source, regex);
  answer(rawHit(regex, text, from));
});
answer('ready');

function answer(value: unknown): void {
  port.postMessage(value);
  Atomics.add(answered, 0, 1);
  Atomics.notify(answered, 0);
}
