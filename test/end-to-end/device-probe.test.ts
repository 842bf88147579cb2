import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, type TestContext, test } from 'vitest';
import { Bench, type Started } from '../peers/bench.ts';
import { FakeHost, STLINK } from '../peers/fake-host.ts';
import { needsProgram, needsRoot } from '../peers/needs.ts';
import { until } from '../until.ts';

const PROBE = { serial: STLINK.serial, kind: 'stlink' };

test('a device whose probe is not plugged in (74) is not even opened, and one that has none is taken', async () => {
  await using bench = new Bench({ probe: { serial: 'no-such-probe', kind: 'stlink' } });
  const findings = bench.file('findings');
  const { status, stdout, stderr } = await bench.run(['uno', 'echo', 'ran'], { SAI_FINDINGS: findings });
  expect({ status, stdout, stderr }).toEqual({
    status: 74,
    stdout: '',
    stderr: expect.stringMatching(
      /^sai-device: uno1: expected the stlink probe with serial no-such-probe, found [^\n]+; plug the probe in, or correct the config\n$/,
    ),
  });
  expect(bench.leftBehind()).toEqual([]);
  bench.configure({
    devices: [
      { name: 'uno1', type: 'uno', locks: [bench.config], probe: { serial: 'none', kind: 'ftdi' } },
      { name: 'uno2', type: 'uno', ttys: [bench.board.ttyPath] },
    ],
  });
  expect((await bench.run(['uno', 'sh', '-c', 'echo $SAI_DEVICE_NAME'])).stdout).toBe('uno2\n');
});

test('a tty that is on another USB device than the config says (74) is named with what is there', async () => {
  await using bench = new Bench({ usb: { serial: '75834353930351F0B1C0' } });
  const { status, stderr } = await bench.run(['uno', 'true']);
  expect({ status, stderr }).toEqual({
    status: 74,
    stderr:
      'sai-device: uno1: expected the USB device with serial 75834353930351F0B1C0, ' +
      `found none behind ${bench.board.ttyPath}; plug the right board in, or correct usb in the config\n`,
  });
});

test('a board that is held is waited for, whatever its USB identity says meanwhile', async () => {
  await using bench = new Bench();
  const holder = bench.start(['uno', 'sh', '-c', 'echo up; exec cat']);
  await holder.prints(/up/);
  const device = { name: 'uno1', type: 'uno', ttys: [bench.board.ttyPath], usb: { serial: 'x' } };
  bench.configure({ devices: [device] });
  expect((await bench.run(['--no-wait', 'uno', 'true'])).status).toBe(75);
  expect((await bench.run(['--list'])).stdout).toMatch(/^uno1 is held by /);
  holder.closeInput();
  await holder.ended;
  expect((await bench.run(['--list'])).stdout).toMatch(
    /^uno1 is not usable: expected the USB device with serial x, /,
  );
});

/** Starts sai-device where /sys is that of a host with the probe. */
function withProbe(context: TestContext, bench: Bench): (...args: string[]) => Started {
  needsRoot(context, 'to put a /sys of its own in the place of the real one');
  needsProgram(context, 'unshare');
  const host = new FakeHost();
  host.plug(STLINK);
  const inside = ['--mount', 'sh', '-c', `mount --bind ${host.root}/sys /sys && exec "$@"`, 'sh'];
  return (...args) => bench.start(args, {}, ['unshare', ...inside]);
}

test('each lease of a device with a probe has its number and ten TCP ports of its own', async (context) => {
  await using bench = new Bench(
    { probe: PROBE },
    { name: 'nrf1', type: 'nrf', probe: PROBE },
    { type: 'avr' },
  );
  const run = withProbe(context, bench);
  const script = bench.file('show.sh');
  writeFileSync(script, 'echo "$SAI_DEVICE_NAME $SAI_DEVICE_PROBE_SERIAL $SAI_DEVICE_PORT_BASE"\n');
  const show = `. ${script}`;
  const nested = `${show}; sai-device nrf sh -c '${show}'; sai-device avr sh -c '${show}'`.replaceAll(
    'sai-device',
    `${process.execPath} bin/sai-device`,
  );
  const { status, stdout, stderr } = await run('uno', 'sh', '-c', nested).ended;
  expect({ status, stdout, stderr }).toEqual({
    status: 0,
    stdout: `uno1 ${PROBE.serial} 24000\nnrf1 ${PROBE.serial} 24010\nuno3  \n`,
    stderr: '',
  });
});

test('the ports of a lease stay its own after its holder was killed, as long as its command lives', async (context) => {
  await using bench = new Bench({ probe: PROBE });
  const gate = bench.file('gate');
  spawnSync('mkfifo', [gate]);
  const script = `trap "" TERM; echo up; exec cat ${gate}`;
  const holder = withProbe(context, bench)('--grace', '60s', 'uno', 'sh', '-c', script);
  await holder.prints(/up/);
  const isFree = (): boolean =>
    spawnSync('flock', ['-n', join(bench.runDir, 'ports-24000.lock'), 'true']).status === 0;
  holder.kill('SIGKILL');
  const { stdout } = await bench.run(['--list']);
  expect({ stdout, isFree: isFree() }).toEqual({
    stdout: expect.stringMatching(/^uno1 is held by/),
    isFree: false,
  });
  writeFileSync(gate, ''); // the command ends
  await until(isFree, 'the ports are free');
});
