import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from '../../src/base/validate.ts';
import { JigConfig } from '../../src/jig/config.ts';
import { inspectHost } from '../../src/jig/inspect-host.ts';
import { planTargets } from '../../src/jig/plan.ts';
import { openPty } from '../../src/native/pty.ts';
import { tempFolder } from '../temp-folder.ts';

test('what a config needs of its host and that is not there is remarked on, once', () => {
  const folder = tempFolder();
  const pty = openPty();
  const noTty = join(folder, 'no-tty');
  writeFileSync(noTty, '');
  const relay = join(folder, 'relay');
  writeFileSync(relay, '');
  chmodSync(relay, 0o755);
  const line = (name: string, chip: string, at: string): object => ({ name, chip, line: at });
  const config = {
    schema: 'sai-jig',
    chips: {
      good: { kind: 'modem', tty: pty.ttyPath },
      bad: { kind: 'modem', tty: noTty },
      gone: { kind: 'modem', tty: join(folder, 'gone') },
      board: {
        kind: 'command',
        lines: { k1: { high: ['relay', '1'], low: ['ralay', '0'], release: ['ralay', 'x'] } },
      },
    },
    targets: [
      {
        name: 'dut',
        gpios: [
          line('a', 'good', 'rts'),
          line('b', 'bad', 'rts'),
          line('c', 'gone', 'rts'),
          line('d', 'gone', 'dtr'),
          line('e', 'board', 'k1'),
        ],
        power: { kind: 'command', on: [relay, 'on'], off: [join(folder, 'off')], safe: 'keep' },
        sequences: [],
      },
    ],
  };
  const targets = planTargets(parse(JigConfig, config, 'jig.json'), 'jig.json');
  expect(inspectHost(targets, undefined, { PATH: folder }).map(({ code, text }) => [code, text])).toEqual([
    ['no-tty', `${noTty}: expected a serial adapter, it is no tty; while it is so, the jig does not start`],
    [
      'no-tty',
      `${join(folder, 'gone')}: expected a serial adapter, there is none; while it is so, the jig does not start`,
    ],
    ['no-program', 'ralay: command not found; while it is so, what it is for fails'],
    ['no-program', `${join(folder, 'off')}: command not found; while it is so, what it is for fails`],
  ]);
});
