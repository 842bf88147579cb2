import { chmodSync, chownSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Ailment, Patient } from '../../src/device/ailment.ts';
import { diagnose } from '../../src/device/doctor.ts';
import { CH340, CP2102, FakeHost, FT2232, UNO } from '../peers/fake-host.ts';
import { needsRoot } from '../peers/needs.ts';
import { tempFolder } from '../temp-folder.ts';

const DIALOUT = 20;
const UNO_BY_PATH = '/dev/serial/by-path/pci-0000:00:14.0-usb-0:1.1:1.0';

/** A host on which nothing is wrong, with an Uno, and what a test makes of it. */
class Bench {
  readonly host = new FakeHost();
  readonly config = join(tempFolder(), 'conf');
  patient: Patient;

  constructor() {
    const { host } = this;
    host.plug(UNO, { name: 'ttyACM0' });
    host.file(
      '/proc/self/mountinfo',
      '22 1 8:1 / / rw - ext4 /dev/sda1 rw\n24 22 0:6 / /dev rw shared:2 - devtmpfs udev rw\n',
    );
    host.file('/proc/sys/kernel/osrelease', '6.1.0-18-amd64\n');
    host.file('/proc/cmdline', 'quiet console=ttyS0,115200 console=tty0\n');
    host.file('/etc/group', `root:x:0:\ndialout:x:${DIALOUT}:ann,bob\nlab:x:77:\n`);
    host.file('/usr/lib/tmpfiles.d/sai-rig.conf', '# leases\nd /run/sai 3775 root dialout\n');
    for (const folder of ['/run/sai', '/run/sai/leases', '/run/sai/queue']) {
      host.folder(folder);
      chmodSync(join(host.root, folder), 0o3775);
    }
    host.process(1, '/sbin/init');
    host.process(400, '/sbin/agetty', '--noclear', 'tty1', 'linux');
    this.list({ name: 'uno1', type: 'uno', ttys: [UNO_BY_PATH] });
    this.patient = {
      config: this.config,
      runDir: undefined,
      login: { name: 'ann', gids: [1000] },
      mayUse: () => true,
      files: host.files,
    };
  }

  list(...devices: object[]): void {
    writeFileSync(this.config, JSON.stringify({ devices }));
  }

  async findings(): Promise<readonly Ailment[]> {
    return (await diagnose(this.patient)).ailments;
  }
}

/** The one thing that is wrong. */
async function onlyFinding(bench: Bench): Promise<Ailment | undefined> {
  const findings = await bench.findings();
  expect(findings).toHaveLength(1);
  return findings[0];
}

test('on a host on which nothing is wrong nothing is found', async () => {
  const bench = new Bench();
  bench.host.file('/proc/sys/fs/protected_regular', '2\n');
  bench.host.file('/etc/group', `lab:x:${bench.host.files.stat('/run/sai')?.gid}:\n`);
  expect(await diagnose(bench.patient)).toEqual({
    ailments: [],
    facts: [
      'run folder: /run/sai, mode 3775, group lab, on ext4',
      'fs.protected_regular=2: flock(1) is refused on lease files of other users; the commands of the rig are not',
    ],
  });
});

describe('config:', () => {
  test('none at all', async () => {
    const bench = new Bench();
    bench.patient = { ...bench.patient, config: '/no/such/conf' };
    expect(await onlyFinding(bench)).toEqual({
      blame: 'config',
      problem: '/no/such/conf: expected a config file, found none',
      cure: 'write one, from what sai-device --scan proposes, or name another with --config',
    });
  });

  test('one that is wrong, and one that lists nothing', async () => {
    const bench = new Bench();
    bench.list({ name: 'a b', ttys: [] });
    expect((await bench.findings()).map(({ problem }) => problem)).toEqual([
      expect.stringContaining('devices.0.name: expected a word'),
      expect.stringContaining('devices.0.type: expected a string, got nothing'),
    ]);
    bench.list();
    expect(await onlyFinding(bench)).toMatchObject({ problem: `${bench.config} lists no devices` });
  });

  test.each([
    ['/dev/ttyACM0', 'goes to whichever board was plugged in first'],
    [
      '/dev/serial/by-id/usb-1a86_USB_Serial-if00-port0',
      'leads to any adapter of its make, because they have no serial number',
    ],
  ])('a name that is not the board’s own: %s', async (path, problem) => {
    const bench = new Bench();
    bench.host.plug(CH340, { name: 'ttyUSB0' });
    bench.list({ name: 'x1', type: 'x', ttys: [path] });
    expect(await onlyFinding(bench)).toEqual({
      blame: 'config',
      problem: `x1: ${path}: ${problem}`,
      cure: expect.stringMatching(/^write \/dev\/serial\/by-path\/pci/),
    });
  });
});

describe('ttys:', () => {
  test('one that is not there', async () => {
    const bench = new Bench();
    bench.list({ name: 'uno1', type: 'uno', ttys: ['/dev/none'] });
    expect(await onlyFinding(bench)).toEqual({
      blame: 'hardware',
      problem: 'uno1: /dev/none: no such tty',
      cure: 'plug the board in, or correct the config; see --scan',
    });
  });

  test('a lock that is not there, one that may not be read, and a file that is no tty', async () => {
    const bench = new Bench();
    bench.host.link('/dev/plain', '/dev/nothing-but-a-folder');
    bench.host.folder('/dev/nothing-but-a-folder');
    bench.host.folder('/srv/lock');
    bench.list({ name: 'x1', type: 'x', ttys: ['/dev/plain'], locks: ['/dev/none', '/srv/lock'] });
    bench.patient = { ...bench.patient, mayUse: (path, what) => path !== '/srv/lock' || what !== 'file' };
    expect((await bench.findings()).map(({ blame, problem }) => [blame, problem])).toEqual([
      ['config', 'x1: /dev/plain: expected a tty, found another kind of file'],
      ['hardware', 'x1: /dev/none: no such file'],
      ['hardware', 'x1: /srv/lock: no permission'],
    ]);
  });

  test.for([
    ['ann', [1000], 0o660, 'ann is in group dialout, which this login is older than: log in again'],
    ['eve', [1000], 0o660, 'add this user to group dialout (usermod -aG dialout eve, then log in again)'],
    ['ann', [1000], 0o600, expect.stringMatching(/^have a udev rule give it to a group/)],
  ] as const)(
    'one that %s, in groups %j, may not use (mode %o)',
    async ([name, gids, mode, cure], context) => {
      needsRoot(context, 'to give a file to another group');
      const bench = new Bench();
      const node = join(bench.host.root, 'dev/ttyACM0');
      chownSync(node, 0, DIALOUT);
      chownSync(join(bench.host.root, 'run/sai'), 0, DIALOUT);
      chmodSync(join(bench.host.root, 'run/sai'), 0o3775);
      chmodSync(node, mode);
      bench.patient = { ...bench.patient, login: { name, gids }, mayUse: (path) => path !== UNO_BY_PATH };
      expect(await onlyFinding(bench)).toEqual({
        blame: 'hardware',
        problem: `uno1: ${UNO_BY_PATH}: no permission`,
        cure,
      });
    },
  );

  const OWN_NODES = '30 22 0:55 / / rw - overlay overlay rw\n31 30 0:56 / /dev rw - tmpfs tmpfs rw\n';

  test('a node of a container’s own, which the host’s locks do not reach', async () => {
    const bench = new Bench();
    bench.host.file('/proc/self/mountinfo', OWN_NODES);
    expect(await onlyFinding(bench)).toEqual({
      blame: 'hardware',
      problem: `uno1: ${UNO_BY_PATH}: a device node of its own, on tmpfs: locks on it do not keep out who uses the host's`,
      cure: "bind-mount the host's instead: -v /dev:/dev, or -v /dev/ttyACM0:/dev/ttyACM0; and share /run/sai",
    });
    bench.host.file(
      '/proc/self/mountinfo',
      `${OWN_NODES}32 31 0:6 /ttyACM0 /dev/ttyACM0 rw - devtmpfs udev rw\n`,
    );
    expect(await bench.findings()).toEqual([]);
  });

  test('another board in the socket, and a probe that is not plugged in', async () => {
    const bench = new Bench();
    const uno = { type: 'uno', ttys: [UNO_BY_PATH] };
    bench.list({ ...uno, name: 'uno1', usb: { serial: 'x' } });
    expect(await onlyFinding(bench)).toMatchObject({
      blame: 'hardware',
      problem: expect.stringMatching(/^uno1: expected the USB device with serial x, found .*2341:0043/),
      cure: 'plug the right board in, or correct usb in the config',
    });
    bench.list({ ...uno, name: 'uno1', probe: { serial: 'x', kind: 'jlink' } });
    expect(await onlyFinding(bench)).toMatchObject({
      blame: 'hardware',
      problem: 'uno1: expected the jlink probe with serial x, found none',
    });
  });

  test('an FTDI adapter that holds bytes back', async () => {
    const bench = new Bench();
    bench.host.plug(
      FT2232,
      { name: 'ttyUSB0', latencyTimer: 16 },
      { name: 'ttyUSB1', interface: 1, latencyTimer: 1 },
    );
    const ttys = ['0:2:1.0', '0:2:1.1'].map(
      (port) => `/dev/serial/by-path/pci-0000:00:14.0-usb-${port}-port0`,
    );
    bench.list({ name: 'esp1', type: 'esp32', ttys });
    expect(await onlyFinding(bench)).toEqual({
      blame: 'unavailable',
      problem: `esp1: ${ttys[0]}: its FTDI adapter holds bytes back for 16 ms`,
      cure: 'install hardware/udev/70-sai-rig.rules, or as root: echo 1 > /sys/class/tty/ttyUSB0/device/latency_timer',
    });
  });

  test('before there is a config, those that are plugged in are examined', async () => {
    const bench = new Bench();
    bench.host.plug(CP2102, { name: 'ttyUSB0' });
    bench.patient = { ...bench.patient, config: '/no/such/conf', mayUse: (path) => path !== '/dev/ttyUSB0' };
    expect((await bench.findings()).map(({ problem }) => problem)).toEqual([
      expect.stringContaining('/no/such/conf: '),
      '/dev/ttyUSB0: no permission',
    ]);
  });
});

describe('the host:', () => {
  test.each([
    ['the tty', '166:0', 'ID_MM_PORT_IGNORE'],
    ['its USB device', '189:2', 'ID_MM_DEVICE_IGNORE'],
  ])('ModemManager, unless udev tells it to leave %s alone', async (_what, number, name) => {
    const bench = new Bench();
    bench.host.process(512, '/usr/sbin/ModemManager');
    bench.host.file('/run/udev/data/c166:0', 'I:1234\nE:ID_BUS=usb\n');
    expect(await onlyFinding(bench)).toEqual({
      blame: 'unavailable',
      problem: `ModemManager (pid 512) writes to what is plugged in, to see whether it is a modem: uno1: ${UNO_BY_PATH}`,
      cure: 'install hardware/udev/70-sai-rig.rules, or: systemctl mask --now ModemManager',
    });
    bench.host.file(`/run/udev/data/c${number}`, `I:1234\nE:ID_BUS=usb\nE:${name}=1\nG:systemd\n`);
    expect(await bench.findings()).toEqual([]);
  });

  test('brltty', async () => {
    const bench = new Bench();
    bench.host.process(77, '/bin/brltty', '--no-daemon');
    expect(await onlyFinding(bench)).toMatchObject({
      problem: 'brltty (pid 77) takes USB adapters for braille displays, and their ttys away',
      cure: 'apt-get remove brltty, or: systemctl mask --now brltty brltty-udev',
    });
  });

  test.each(['ttyACM0', '/dev/ttyACM0'])('a login prompt on a tty, given as %s', async (word) => {
    const bench = new Bench();
    bench.host.process(401, '/sbin/agetty', '-o', '-p -- \\u', '--keep-baud', '115200,57600', word, 'vt220');
    expect(await onlyFinding(bench)).toEqual({
      blame: 'unavailable',
      problem: 'agetty (pid 401) asks for a login on /dev/ttyACM0, and answers the board',
      cure: 'systemctl disable --now serial-getty@ttyACM0',
    });
  });

  test('the console of the kernel on a tty', async () => {
    const bench = new Bench();
    bench.host.file('/proc/cmdline', 'quiet console=ttyACM0,115200n8\n');
    expect(await onlyFinding(bench)).toEqual({
      blame: 'unavailable',
      problem: 'the kernel writes its messages to /dev/ttyACM0',
      cure: "take console=ttyACM0,115200n8 from the kernel's command line",
    });
  });

  test('a lock file of minicom, of a living process and of one that is gone, once by its two paths', async () => {
    const bench = new Bench();
    bench.host.link('/var/lock', '/run/lock');
    bench.host.file('/run/lock/LCK..ttyACM0', '       812\n');
    bench.host.file('/run/lock/LCK..ttyS0', '       812\n');
    expect(await onlyFinding(bench)).toEqual({
      blame: 'unavailable',
      problem: '/run/lock/LCK..ttyACM0 keeps minicom and its like from /dev/ttyACM0; its owner is gone',
      cure: 'rm /run/lock/LCK..ttyACM0',
    });
    bench.host.process(812, 'minicom', '-D', '/dev/ttyACM0');
    expect(await onlyFinding(bench)).toEqual({
      blame: 'unavailable',
      problem:
        'minicom (pid 812) uses /dev/ttyACM0, and says so in /run/lock/LCK..ttyACM0, which no lock of the rig can see',
      cure: 'end it, or start it under sai-device',
    });
  });

  test.each([
    ['4.17.19', 1],
    ['3.10.0-1160.el7', 1],
    ['4.18.0', 0],
    ['10.0.1', 0],
  ])('kernel %s has %d problems', async (release, count) => {
    const bench = new Bench();
    bench.host.file('/proc/sys/kernel/osrelease', `${release}\n`);
    expect(await bench.findings()).toHaveLength(count);
  });
});

describe('the run folder:', () => {
  test('none', async () => {
    const bench = new Bench();
    bench.host.remove('/run/sai');
    const gid = bench.host.files.stat('/dev/ttyACM0')?.gid;
    const install = 'install hardware/tmpfiles.d/sai-rig.conf, then as root: systemd-tmpfiles --create';
    expect(await onlyFinding(bench)).toEqual({
      blame: 'unavailable',
      problem: '/run/sai is missing: there is no queue, and nobody sees who holds a board',
      cure: install,
    });
    bench.host.folder('/run/lock');
    expect(await onlyFinding(bench)).toMatchObject({
      problem: `/run/sai is missing: /run/lock/sai-${gid} serves instead, for ttys of one group only`,
      cure: install,
    });
  });

  test('one that is gone after the next boot', async () => {
    const bench = new Bench();
    bench.host.file('/usr/lib/tmpfiles.d/sai-rig.conf', '# d /run/sai\nd /run/saint 0755\n');
    expect(await onlyFinding(bench)).toMatchObject({ problem: '/run/sai is gone after the next boot' });
  });

  test.each([
    [0o2775, 'any user can remove the leases of others: it is not sticky'],
    [0o1777, 'leases of one user are closed to others: it does not pass on its group'],
  ])('one of mode %o', async (mode, problem) => {
    const bench = new Bench();
    chmodSync(join(bench.host.root, 'run/sai'), mode);
    expect(await onlyFinding(bench)).toEqual({
      blame: 'unavailable',
      problem: `/run/sai: ${problem}`,
      cure: 'chmod 3775 /run/sai',
    });
  });

  test('one that this login may not write to', async () => {
    const bench = new Bench();
    bench.patient = { ...bench.patient, mayUse: (path) => path !== '/run/sai/queue' };
    chmodSync(join(bench.host.root, 'run/sai/queue'), 0o755);
    expect(await onlyFinding(bench)).toEqual({
      blame: 'unavailable',
      problem: '/run/sai/queue: no permission to write',
      cure: expect.stringMatching(/^chgrp \w+ \/run\/sai\/queue && chmod 3775 \/run\/sai\/queue$/),
    });
  });

  test('one of another group than the ttys', async (context) => {
    needsRoot(context, 'to give a file to another group');
    const bench = new Bench();
    chownSync(join(bench.host.root, 'dev/ttyACM0'), 0, DIALOUT);
    chownSync(join(bench.host.root, 'run/sai'), 0, 77);
    chmodSync(join(bench.host.root, 'run/sai'), 0o3775);
    expect(await onlyFinding(bench)).toMatchObject({
      problem: '/run/sai: expected group dialout, as the ttys have, found lab',
      cure: 'chgrp -R dialout /run/sai',
    });
  });

  test('one that SAI_RUN_DIR names, on a network file system or by a relative path', async () => {
    const bench = new Bench();
    bench.host.file(
      '/proc/self/mountinfo',
      '24 22 0:6 / /dev rw - devtmpfs udev rw\n40 22 0:9 / /srv/a\\040b rw - nfs4 nas:/ rw\n',
    );
    bench.host.folder('/srv/a b/run');
    bench.patient = { ...bench.patient, runDir: '/srv/a b/run' };
    expect(await onlyFinding(bench)).toMatchObject({
      blame: 'unavailable',
      problem: '/srv/a b/run: expected a local file system for leases, found nfs4',
    });
    bench.patient = { ...bench.patient, runDir: 'run' };
    expect(await onlyFinding(bench)).toMatchObject({
      blame: 'config',
      problem: 'SAI_RUN_DIR: expected an absolute path, got "run"',
    });
  });

  test('one that SAI_RUN_DIR names, and that can be neither used nor made', async () => {
    const cure = 'set SAI_RUN_DIR to a folder that can be written to, or unset it';
    const bench = new Bench();
    bench.host.file('/srv/notes', 'dear to somebody');
    const problemOf = async (runDir: string): Promise<object | undefined> => {
      bench.patient = { ...bench.patient, runDir, mayUse: (path) => path !== '/closed' };
      return await onlyFinding(bench);
    };
    expect(await problemOf('/srv/notes')).toMatchObject({
      problem: '/srv/notes: expected a folder, found another kind of file',
      cure,
    });
    expect(await problemOf('/srv/notes/run/sai')).toMatchObject({
      problem: 'SAI_RUN_DIR: /srv/notes/run/sai is missing, and cannot be made in /srv/notes',
      cure,
    });
    bench.host.folder('/closed');
    expect(await problemOf('/closed/run')).toMatchObject({
      problem: 'SAI_RUN_DIR: /closed/run is missing, and cannot be made in /closed',
      cure,
    });
    bench.patient = { ...bench.patient, runDir: '/srv/run' };
    expect(await bench.findings()).toEqual([]);
  });
});
