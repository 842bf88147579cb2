import { closeSync, openSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import type { Drive, LineSettings } from '../../src/jig/gpio.ts';
import { PulseThread } from '../../src/jig/pulse-thread.ts';
import { UapiLines } from '../../src/jig/uapi-lines.ts';
import { DescriptorWatch } from '../../src/native/descriptor-watch.ts';

/** Two outputs of a chip that does nothing that it is told: what the second was at first. */
function failing(initial: Drive): UapiLines {
  const fd = openSync('/dev/null', 'r+');
  onTestFinished(() => closeSync(fd));
  const settings = { direction: 'output', mode: 'push-pull', bias: 'as-is' } as const;
  const lines: (readonly [number, LineSettings])[] = [
    [0, { ...settings, initial: 0 }],
    [1, { ...settings, initial }],
  ];
  const chip = {
    gone: new AbortController().signal,
    call: <T>(_refusal: string, act: () => T) => act(),
    lose: () => {},
    forget: () => {},
  };
  return new UapiLines(chip, [{ fd, lines }], new DescriptorWatch(), new PulseThread(''));
}

test('a line that could not be driven is let go of again, whatever has become of it', async () => {
  const lines = failing('released');
  await lines.set(new Map([[1, 'released']])); // as it is
  await expect(lines.set(new Map([[1, 1]]))).rejects.toThrow('ENOTTY');
  await expect(lines.set(new Map([[1, 'released']]))).rejects.toThrow('ENOTTY');
});

test('a line that could not be let go of is let go of again', async () => {
  const lines = failing(0);
  for (const _ of [1, 2]) await expect(lines.set(new Map([[1, 'released']]))).rejects.toThrow('ENOTTY');
});
