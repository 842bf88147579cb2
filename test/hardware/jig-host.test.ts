import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, type TestContext, test } from 'vitest';
import { needsProgram, needsRoot } from '../peers/needs.ts';
import { tempFolder } from '../temp-folder.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const HARDWARE = join(ROOT, 'hardware');
const UNIT = join(HARDWARE, 'systemd/sai-jig.service');
const OVERLAY = join(HARDWARE, 'overlays/sai-jig-lines.dts');

function run(program: string, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  return { status, stdout, stderr };
}

function compiled(context: TestContext, source: string, folder = tempFolder()): string {
  needsProgram(context, 'dtc');
  const path = join(folder, 'out.dtb');
  const outcome = run('dtc', '-@', '-I', 'dts', '-O', 'dtb', '-o', path, source);
  expect(outcome).toEqual({ status: 0, stdout: '', stderr: '' });
  return path;
}

function namesIn(blob: string, node: string): string[] {
  return run('fdtget', '-t', 's', blob, node, 'gpio-line-names').stdout.trim().split(' ');
}

test('systemd takes the unit, all of it', (context) => {
  needsProgram(context, 'systemd-analyze');
  const path = join(tempFolder(), 'sai-jig.service');
  // Where npm puts the command on a Pi, nothing is here.
  const text = readFileSync(UNIT, 'utf8').replaceAll('/usr/local/bin/sai-jig', join(ROOT, 'bin/sai-jig'));
  writeFileSync(path, text);
  expect(run('systemd-analyze', 'verify', '--man=no', path)).toEqual({ status: 0, stdout: '', stderr: '' });
  writeFileSync(path, text.replace('RestartSec=', 'RestartSecs='));
  expect(run('systemd-analyze', 'verify', '--man=no', path).stderr).toContain('RestartSecs');
});

test('systemctl enables the unit, so that it starts with the host', (context) => {
  needsProgram(context, 'systemctl');
  const root = tempFolder();
  const units = join(root, 'etc/systemd/system');
  mkdirSync(units, { recursive: true });
  copyFileSync(UNIT, join(units, 'sai-jig.service'));
  expect(run('systemctl', `--root=${root}`, 'enable', 'sai-jig')).toMatchObject({ status: 0 });
  expect(readdirSync(join(units, 'multi-user.target.wants'))).toEqual(['sai-jig.service']);
});

test('the unit calls sai-jig as it can be called', () => {
  const [start = '', stop = ''] = ['ExecStart', 'ExecStopPost'].map(
    (key) => new RegExp(`^${key}=/usr/local/bin/sai-jig (.*)$`, 'm').exec(readFileSync(UNIT, 'utf8'))?.[1],
  );
  const config = join(HARDWARE, 'wiring/esp32.jig.json');
  const args = (line: string) => line.replace('/etc/sai/jig/conf', config).split(' ');
  const command = join(ROOT, 'bin/sai-jig');
  expect(run(command, ...args(stop), '--backend', 'simulated')).toMatchObject({ status: 0 });
  expect(run(command, ...args(start), '--check')).toMatchObject({ status: 0 });
});

test('systemd-sysusers makes the user of the unit, in the group of the chips', (context) => {
  needsProgram(context, 'systemd-sysusers');
  needsRoot(context, 'to write a user database');
  const root = tempFolder();
  for (const folder of ['etc', 'usr/lib/sysusers.d']) mkdirSync(join(root, folder), { recursive: true });
  copyFileSync(join(HARDWARE, 'sysusers.d/sai-jig.conf'), join(root, 'usr/lib/sysusers.d/sai-jig.conf'));
  expect(run('systemd-sysusers', `--root=${root}`)).toMatchObject({ status: 0 });
  const user = /^User=(.*)$/m.exec(readFileSync(UNIT, 'utf8'))?.[1];
  expect(readFileSync(join(root, 'etc/passwd'), 'utf8')).toContain(`${user}:x:`);
  expect(readFileSync(join(root, 'etc/group'), 'utf8')).toMatch(new RegExp(`^gpio:x:\\d+:${user}$`, 'm'));
});

test('the overlay compiles, and names each line of the header as the examples call it', (context) => {
  const names = namesIn(compiled(context, OVERLAY), '/fragment@0/__overlay__');
  const wiring = join(HARDWARE, 'wiring');
  const expected = [...names];
  for (const file of readdirSync(wiring).filter((each) => each.endsWith('.jig.json'))) {
    const { targets } = JSON.parse(readFileSync(join(wiring, file), 'utf8')) as {
      targets: { name: string; gpios: { name: string; offset: number }[] }[];
    };
    for (const { name, gpios } of targets)
      for (const gpio of gpios) expected[gpio.offset] = `${name}.${gpio.name}`;
  }
  expect(names).toEqual(expected);
  expect(names).toHaveLength(28);
  expect(new Set(names).size).toBe(28);
});

test('laid over a tree whose header is labelled gpio, the overlay replaces the names', (context) => {
  const folder = tempFolder();
  const base = join(folder, 'base.dts');
  writeFileSync(base, '/dts-v1/;\n/ { gpio: chip { gpio-line-names = "ID_SDA", "ID_SCL", "GPIO2"; }; };\n');
  const tree = compiled(context, base);
  const overlay = compiled(context, OVERLAY);
  const merged = join(folder, 'merged.dtb');
  expect(run('fdtoverlay', '-i', tree, '-o', merged, overlay)).toMatchObject({ status: 0 });
  expect(namesIn(merged, '/chip')).toEqual(namesIn(overlay, '/fragment@0/__overlay__'));
});
