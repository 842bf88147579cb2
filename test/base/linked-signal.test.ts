import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { LinkedSignal } from '../../src/base/linked-signal.ts';

test('a linked signal is aborted with the first of its signals, for that one’s reason', () => {
  const [first, second] = [new AbortController(), new AbortController()];
  using linked = new LinkedSignal([first.signal, second.signal]);
  expect(linked.signal.aborted).toBe(false);
  second.abort('second');
  first.abort('first');
  expect(linked.signal.reason).toBe('second');
});

test('a linked signal of one that is aborted already is aborted from the beginning', () => {
  using linked = new LinkedSignal([new AbortController().signal, AbortSignal.abort('before')]);
  expect(linked.signal.reason).toBe('before');
});

test('a disposed linked signal leaves no listener behind', () => {
  const lasting = new AbortController();
  const linked = new LinkedSignal([lasting.signal]);
  expect(getEventListeners(lasting.signal, 'abort')).toHaveLength(1);
  linked[Symbol.dispose]();
  expect(getEventListeners(lasting.signal, 'abort')).toHaveLength(0);
  lasting.abort();
  expect(linked.signal.aborted).toBe(false);
});

test('a hundred may follow one signal without a warning', async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error): void => void warnings.push(warning);
  process.on('warning', onWarning);
  const source = new AbortController();
  const linked = Array.from({ length: 100 }, () => new LinkedSignal([source.signal]));
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', onWarning);
  source.abort();
  expect(linked.every(({ signal }) => signal.aborted)).toBe(true);
  expect(warnings).toEqual([]);
});
