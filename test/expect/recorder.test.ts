import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Recorder } from '../../src/expect/recorder.ts';
import { readRecording } from '../../src/expect/recording-file.ts';
import { Replay } from '../../src/expect/replay.ts';
import type { Console, DrivenLines } from '../../src/tty/console.ts';
import { tempFolder } from '../temp-folder.ts';

/** A tty with modem lines, which a pty lacks. */
class TtyWithLines implements Console {
  readonly label = 't';
  readonly overruns = undefined;
  readonly driven: DrivenLines[] = [];
  readonly bytes = (async function* () {})();
  async send(): Promise<void> {}
  async sendBreak(): Promise<void> {}
  drive(lines: DrivenLines): void {
    this.driven.push(lines);
  }
  async [Symbol.asyncDispose](): Promise<void> {}
}

const ttys = [{ label: 't', path: '/dev/t', baudRate: 1 }];

test('what is done to modem lines is recorded between what is sent, and compared', async () => {
  const path = join(tempFolder(), 'x.rec');
  const recorder = new Recorder(path, { ttys });
  const tty = new TtyWithLines();
  const recorded = recorder.console(tty, 0);
  const act = async (console: Console): Promise<void> => {
    await console.send(Buffer.from('a'));
    console.drive({ dtr: 'off', rts: 'on' });
    await console.send(Buffer.from('b'));
  };
  await act(recorded);
  expect(recorder.close()).toBeUndefined();
  expect(tty.driven).toEqual([{ dtr: 'off', rts: 'on' }]);
  const recording = readRecording(path, '--replay');
  expect(recording.entries).toMatchObject([
    { is: 'open' },
    { is: 'out', text: 'a' },
    { is: 'line', what: 'dtr off, rts on' },
    { is: 'out', text: 'b' },
  ]);
  const differencesOf = async (act: (console: Console) => Promise<void>): Promise<string[]> => {
    const differences: string[] = [];
    const replay = new Replay(recording, [0], (text) => differences.push(text));
    await act(replay.console(0));
    await replay.run(new Promise(() => {}));
    return differences;
  };
  expect(await differencesOf(act)).toEqual([]);
  expect(
    await differencesOf(async (console) => {
      await console.send(Buffer.from('a'));
      console.drive({ rts: 'off' });
      await console.send(Buffer.from('b'));
      console.drive({ dtr: 'on' });
    }),
  ).toEqual([
    't: does rts off where the recording has dtr off, rts on',
    't: does dtr on, which the recording lacks',
  ]);
});
