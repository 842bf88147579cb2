import { expect, test } from 'vitest';
import { CrashAftermath } from '../../src/expect/crash-aftermath.ts';
import { ReplayClock } from '../../src/expect/replay-clock.ts';
import { Transcript } from '../../src/expect/transcript.ts';

test('of two crashes the last one is told, also where its line is coloured', () => {
  const transcript = new Transcript();
  const crash = (address: string, code: number): string[] => [
    `\x1b[1;31m<err> os: Faulting instruction address (r15/pc): ${address}\x1b[0m`,
    `\x1b[1;31m<err> os: >>> ZEPHYR FATAL ERROR ${code}: CPU exception on CPU 0\x1b[0m`,
  ];
  const lines = [...crash('0x00001111', 0), ...Array.from({ length: 60 }, (_, i) => `line ${i}`)];
  const [before = '', last = ''] = crash('0x00002222', 1);
  transcript.push(Buffer.from(`${[...lines, before, last].join('\r\n')}\r\n`));
  const event = { kind: 'crash', family: 'zephyr', line: last } as const;
  const aftermath = new CrashAftermath(
    event,
    Object.assign(new ReplayClock(), { onceRead: (act: () => void) => act() }),
    () => {},
  );
  expect(aftermath.report(transcript).crash.evidence).toBe('pc 0x00002222');
});
