import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { readFindings } from '../../src/findings/findings-file.ts';
import { RunningJig } from '../peers/running-jig.ts';
import { type Outcome, type RunningLab, runCommand, startLab } from '../peers/running-lab.ts';

/** A virtual Uno whose lines a jig holds; the lease of it says so. */
async function labWithJig(): Promise<{ lab: RunningLab; jig: RunningJig }> {
  const lab = await startLab('free');
  const jigFile = join(lab.folder, 'lab', 'jig.json');
  const jig = await RunningJig.startWith('--config', jigFile, '--port', '0');
  const pool = lab.env['SAI_DEVICES_CONF'] ?? '';
  const { devices } = JSON.parse(readFileSync(pool, 'utf8')) as { devices: object[] };
  const withJig = devices.map((device) => ({ ...device, jig: { url: jig.url, target: 'uno-1' } }));
  writeFileSync(join(lab.folder, 'devices.json'), JSON.stringify({ devices: withJig }));
  return { lab: { ...lab, env: { ...lab.env, SAI_DEVICES_CONF: join(lab.folder, 'devices.json') } }, jig };
}

function expectOnUno(lab: RunningLab, ...steps: string[]): Promise<Outcome> {
  return runCommand('sai-device', ['--quiet', 'uno', 'sai-expect', ...steps], lab);
}

describe('sai-expect --jig', () => {
  test('resets the board, and sees all that it says from then on and nothing from before', async () => {
    const { lab } = await labWithJig();
    const before = ['--line', 'echo stale PASS', '--expect', 'stale PASS\r\n> '];
    expect(await expectOnUno(lab, '--line', 'version', '--expect', 'sai-uno', ...before)).toMatchObject({
      status: 0,
    });
    const outcome = await expectOnUno(
      lab,
      '--line',
      'echo stale PASS',
      '--jig',
      'reset',
      '--expect',
      '(reset: external)',
      '--expect',
      'ready',
      '--jig',
      'hold-button',
      '--expect',
      'button pressed',
      '--jig',
      'release-button',
      '--line',
      'selftest',
      '--pass',
      'PASS',
    );
    expect(outcome).toMatchObject({ status: 0, stderr: '' });
    // With the stale PASS it would have passed before the board was reset.
    const tooEarly = await expectOnUno(
      lab,
      '--line',
      'echo stale PASS',
      '--jig',
      'press',
      '--pass',
      'PASS',
      '--timeout',
      '1s',
    );
    expect(tooEarly).toMatchObject({ status: 1 });
  });

  test('blames the jig where the jig is to blame', async () => {
    const lab = await startLab('free');
    const findings = join(lab.folder, 'findings');
    const silent = createServer();
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      silent.closeAllConnections();
      silent.close();
    });
    const { port } = silent.address() as AddressInfo;
    const jig = await RunningJig.startWith('--config', join(lab.folder, 'lab', 'jig.json'), '--port', '0');
    const cases: [
      url: string | undefined,
      sequence: string,
      status: number,
      blame: string,
      message: RegExp,
    ][] = [
      [
        undefined,
        'reset',
        78,
        'config',
        /^--jig "reset": expected the device to have a jig, found none; name it in the devices config .*sai-virtual-lab up --with-jig/,
      ],
      [
        'pi:44000/uno-1',
        'reset',
        78,
        'config',
        /^SAI_DEVICE_JIG: expected a jig's URL, such as http:.*, got "pi:44000/,
      ],
      [
        'http://127.0.0.1:1/uno-1',
        'reset',
        69,
        'unavailable',
        /^--jig reset: jig .*: it does not answer: connect ECONNREFUSED/,
      ],
      [
        `http://127.0.0.1:${port}/uno-1`,
        'reset',
        69,
        'unavailable',
        /: expected --jig "reset" to end within 500 ms; nothing arrived$/,
      ],
      [
        `${jig.url}/uno-1`,
        'rest',
        64,
        'usage',
        /^--jig rest: jig .*: uno-1: expected one of its sequences, .*, got "rest"$/,
      ],
      [
        `${jig.url}/uno-2`,
        'reset',
        78,
        'config',
        /^--jig reset: jig .*: expected a target, one of uno-1, got "uno-2"$/,
      ],
    ];
    for (const [url, sequence, status, blame, message] of cases) {
      const { SAI_DEVICE_JIG: _outer, ...env } = lab.env;
      const run = {
        env: { ...env, SAI_FINDINGS: findings, ...(url === undefined ? {} : { SAI_DEVICE_JIG: url }) },
      };
      // Short only where it is to pass.
      const timeout = url?.includes(`:${port}/`) ? '500ms' : '1m';
      const outcome = await runCommand(
        'sai-expect',
        ['--tty', lab.tty, '--jig', sequence, '--timeout', timeout],
        run,
      );
      const [first = ''] = outcome.stderr.replace(/^sai-expect: /, '').split('\n');
      expect({ url, status: outcome.status }).toEqual({ url, status });
      expect(first).toMatch(message);
      expect(readFindings(findings).at(-1)).toMatchObject({ tool: 'sai-expect', blame });
    }
  });
});
