import { describe, expect, test } from 'vitest';
import { Transcript } from '../../src/expect/transcript.ts';
import { CHUNKINGS } from '../peers/dut-on-pty.ts';

describe.each(CHUNKINGS)('%s', (chunking) => {
  const transcriptOf = (text: string, limitBytes?: number): Transcript => {
    const transcript = new Transcript(limitBytes);
    const chunks = chunking === 'whole chunks' ? [text] : text.split('');
    for (const chunk of chunks) transcript.push(Buffer.from(chunk, 'latin1'));
    return transcript;
  };

  test('the last lines that hold anything come oldest first', () => {
    const transcript = transcriptOf('one\r\n\r\ntwo\nthree\r\n  \r\n> ');
    expect(transcript.tail(3)).toEqual({ lines: ['two', 'three', '> '], silentSince: undefined });
    expect(transcript.lines()).toEqual(['one', 'two', 'three', '> ']);
  });

  test('a carriage return within a line is shown, the one of its end is not', () => {
    expect(transcriptOf('10 %\r20 %\r\n').lines()).toEqual(['10 %\\r20 %']);
  });

  test('a long line is cut', () => {
    expect(transcriptOf('x'.repeat(300)).lines()).toEqual([`${'x'.repeat(200)}…`]);
  });

  test('lines from before a fresh step are marked, also the one that it has cut', () => {
    const transcript = transcriptOf('one\ntwo\nlog');
    transcript.markFresh('--jig "reset"');
    expect(transcript.tail(2)).toEqual({
      lines: ['[before --jig "reset"] two', '[before --jig "reset"] log'],
      silentSince: '--jig "reset"',
    });
    transcript.push(Buffer.from('in: '));
    expect(transcript.tail(2)).toEqual({
      lines: ['[before --jig "reset"] log', 'in: '],
      silentSince: undefined,
    });
    expect(transcript.lines()).toEqual(['one', 'two', 'login: ']);
  });

  test('of a crash, what tells of it stands before the last lines', () => {
    const transcript = transcriptOf('pc 1\nboom\nr1\npc 1\nr2\npc 2\nend\n');
    expect(transcript.tail(2, ['boom', 'pc 1']).lines).toEqual(['boom', 'pc 1', '…', 'pc 2', 'end']);
    expect(transcript.tail(6, ['boom', 'pc 1']).lines).toEqual(transcript.lines().slice(1));
    expect(transcript.tail(2, ['elsewhere', 'pc 1']).lines).toEqual(['pc 2', 'end']);
  });

  test('what is too old to be kept is not told of, whatever it was before', () => {
    const transcript = transcriptOf('one\n', 10);
    transcript.markFresh('--fresh');
    transcript.push(Buffer.from('x'.repeat(30)));
    expect(transcript.tail()).toEqual({ lines: ['x'.repeat(10)], silentSince: undefined });
  });

  test('nothing is no line', () => {
    expect(transcriptOf('').lines()).toEqual([]);
  });

  test('it keeps the last of what came', () => {
    const lines = transcriptOf(
      Array.from({ length: 20_000 }, (_, line) => `${line}\n`).join(''),
      1000,
    ).lines();
    expect(lines.at(-1)).toBe('19999');
    expect(lines.length).toBeLessThan(400);
  });
});
