import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { diagnose } from '../../src/device/doctor.ts';
import { HostFiles } from '../../src/device/host-files.ts';
import { openRunDir } from '../../src/device/run-dir.ts';
import { listUsbDevices } from '../../src/device/sysfs-usb.ts';
import { isProbeOfKind } from '../../src/device/usb-ids.ts';
import type { ProbeKind } from '../../src/wire/device.ts';
import { CP2102, FakeHost, type FakeUsbDevice, FT2232, STLINK } from '../peers/fake-host.ts';
import { needsProgram, needsRoot } from '../peers/needs.ts';
import { tempFolder } from '../temp-folder.ts';

const HARDWARE = fileURLToPath(new URL('../../hardware', import.meta.url));
const TMPFILES = join(HARDWARE, 'tmpfiles.d/sai-rig.conf');
const RULES = join(HARDWARE, 'udev/70-sai-rig.rules');
const DIALOUT = 20;

/** The lines that say something. */
function statementsOf(file: string): string[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('#'));
}

test('systemd-tmpfiles makes the run folder as sai-device wants it, and as --doctor finds nothing wrong with it', async (context) => {
  needsProgram(context, 'systemd-tmpfiles');
  needsRoot(context, 'to give the folder to its group');
  const root = tempFolder();
  for (const folder of ['etc', 'run', 'usr/lib/tmpfiles.d'])
    mkdirSync(join(root, folder), { recursive: true });
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  writeFileSync(join(root, 'etc/group'), `root:x:0:\ndialout:x:${DIALOUT}:\n`);
  copyFileSync(TMPFILES, join(root, 'usr/lib/tmpfiles.d/sai-rig.conf'));
  const { status, stderr } = spawnSync('systemd-tmpfiles', ['--create', `--root=${root}`], {
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });

  const files = new HostFiles(root);
  for (const path of ['/run/sai', '/run/sai/leases', '/run/sai/queue']) {
    const { mode = 0, uid, gid } = files.stat(path) ?? {};
    expect({ path, mode: mode & 0o7777, uid, gid }).toEqual({ path, mode: 0o3775, uid: 0, gid: DIALOUT });
  }
  const { ailments } = await diagnose({
    config: '/no/such/conf',
    runDir: undefined,
    login: { name: 'ann', gids: [DIALOUT] },
    mayUse: () => true,
    files,
  });
  expect(ailments.map(({ problem }) => problem)).toEqual([expect.stringContaining('/no/such/conf')]);
  const path = join(root, 'run/sai');
  expect(openRunDir({ configured: path, ttyGid: DIALOUT, force: false })).toMatchObject({
    runDir: { path, leases: join(path, 'leases'), queue: join(path, 'queue') },
  });
});

test('every tmpfiles.d line makes a folder of the group of the ttys', () => {
  for (const line of statementsOf(TMPFILES))
    expect(line).toMatch(/^d\s+\/run\/sai(?:\/\w+)?\s+3775 root dialout -$/);
});

test('udev takes the rules', (context) => {
  needsProgram(context, 'udevadm');
  const { status: isKnown } = spawnSync('udevadm', ['verify', '--help']);
  context.skip(isKnown !== 0, 'needs udevadm of systemd 254 or newer, which has verify');
  const { status, stdout, stderr } = spawnSync('udevadm', ['verify', RULES], { encoding: 'utf8' });
  expect(status, stdout + stderr).toBe(0);
});

/** Whether a rule is for a USB device of those numbers, by udev's patterns. */
function isFor(rule: string, { vid, pid, product = '' }: FakeUsbDevice): boolean {
  const facts: Record<string, string> = { idVendor: vid, idProduct: pid, product };
  return [...rule.matchAll(/ATTR\{(\w+)\}=="([^"]*)"/g)].every(([, name = '', glob = '']) =>
    new RegExp(`^(?:${glob.replaceAll('*', '.*')})$`).test(facts[name] ?? ''),
  );
}

test.each<[ProbeKind, FakeUsbDevice]>([
  ['stlink', STLINK],
  ['stlink', { port: '1-1', vid: '0483', pid: '3757' }],
  ['jlink', { port: '1-1', vid: '1366', pid: '0105' }],
  ['cmsis-dap', { port: '1-1', vid: '2e8a', pid: '000c', product: 'Debug Probe (CMSIS-DAP)' }],
  ['esp-usb-jtag', { port: '1-1', vid: '303a', pid: '1001' }],
  ['esp-usb-jtag', { port: '1-1', vid: '303a', pid: '1002' }],
  ['ftdi', FT2232],
  ['ftdi', { port: '1-1', vid: '15ba', pid: '002b' }],
])('the rules know a probe of kind %s, as sai-device does: %j', (kind, probe) => {
  const host = new FakeHost();
  host.plug(probe);
  const device = listUsbDevices(host.files).find(({ path }) => path === probe.port);
  expect(device && isProbeOfKind(device, kind)).toBe(true);
  const rules = statementsOf(RULES).filter((line) => line.endsWith('ENV{SAI_PROBE}="1"'));
  expect(rules.filter((rule) => isFor(rule, probe))).toHaveLength(1);
  expect(rules.filter((rule) => isFor(rule, CP2102))).toEqual([]);
});

test('every rule is a list of matches and assignments that ends nowhere else than in its label', () => {
  const term = String.raw`[A-Z_]+(?:\{\w+\})?(?:==|!=|=|\+=|:=)"[^"]*"`;
  for (const line of statementsOf(RULES)) expect(line).toMatch(new RegExp(`^${term}(?:, ${term})*$`));
  const text = readFileSync(RULES, 'utf8');
  expect(text.match(/GOTO="(\w+)"/)?.[1]).toBe(text.match(/LABEL="(\w+)"/)?.[1]);
});

test.each([
  'udev/70-sai-rig.rules',
  'udev/71-sai-jig.rules',
  'tmpfiles.d/sai-rig.conf',
  'sysusers.d/sai-jig.conf',
  'systemd/sai-jig.service',
])('%s tells how it is put in place, as the document does, whose commands are tried', (file) => {
  const text = readFileSync(join(HARDWARE, file), 'utf8');
  const [, folder] = /^# {3}install -D -m 644 -t (\S+) /m.exec(text) ?? [];
  expect(text).toContain(`#   install -D -m 644 -t ${folder} ${basename(file)} && `);
  const document = readFileSync(join(HARDWARE, 'README.md'), 'utf8');
  expect(document).toContain(`\n    install -D -m 644 -t ${folder} ${file}\n`);
});
