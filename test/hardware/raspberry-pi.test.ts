/** hardware/README.md and its wiring on a machine whose header is a chip of the kernel: what a Raspberry Pi is to its owner. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { loadJigConfig } from '../../src/jig/config.ts';
import { planTargets, type TargetPlan } from '../../src/jig/plan.ts';
import { GpioGuest, type GuestProcess, needsGpioGuest, whyNoGpioGuest } from '../peers/gpio-guest.ts';
import { hasProgram, needsProgram } from '../peers/needs.ts';
import { changesIn, plannedEvents, safeEvents } from '../peers/planned-events.ts';
import { ROOT } from '../peers/running-lab.ts';
import { TracedChip } from '../peers/traced-chip.ts';
import { typedBlocks } from '../peers/typed-commands.ts';
import { until } from '../until.ts';

const DOCUMENT = 'hardware/README.md';
const CHIP = 'pinctrl-bcm2711';
const LINES_OF_CHIP = 58;
const UNIT = '/etc/systemd/system/sai-jig.service';
const GPIO_RULE = '/etc/udev/rules.d/71-sai-jig.rules';
const OVERLAY = '/boot/firmware/overlays/sai-jig-lines.dtbo';

/**
 * What a card with Raspberry Pi OS has of its own, in place of the host's files, which are read only. Nothing else is in
 * these folders: what a command needs there it makes, or fails.
 */
const BLANK_CARD = `
mkdir /tmp/etc /tmp/local
mount --bind /etc /tmp/etc
mount --bind /usr/local /tmp/local
for folder in /etc /boot /usr/local /usr/lib/tmpfiles.d /usr/lib/sysusers.d; do mount -t tmpfs tmpfs $folder; done
for file in ld.so.cache alternatives nsswitch.conf login.defs; do ln -s /tmp/etc/$file /etc/$file; done
ln -s /usr/share/zoneinfo/UTC /etc/localtime
mkdir -p /boot/firmware/overlays /usr/local/bin
[ ! -e /tmp/local/bin/node ] || ln -s /tmp/local/bin/node /usr/local/bin/node
printf '#!/bin/sh\\nexec "$@"\\n' > /usr/local/bin/sudo
chmod +x /usr/local/bin/sudo
printf 'root:x:0:0::/root:/bin/sh\\npi:x:1000:1000::/tmp:/bin/sh\\n' > /etc/passwd
printf 'root:x:0:\\ndialout:x:20:\\ngpio:x:986:\\npi:x:1000:\\n' > /etc/group
`;

/** An emulated machine, and many programs one after the other: seconds, but on a host that is busy with others minutes. */
const SLOW_MS = 120_000;

const WIRING = join(ROOT, 'hardware/wiring');
const CONFIGS = readdirSync(WIRING)
  .filter((file) => file.endsWith('.jig.json'))
  .map((file) => join(WIRING, file));

let guest: GpioGuest;
let header: TracedChip;
let unit: GuestProcess;

function isGuestComplete(): boolean {
  return !whyNoGpioGuest() && hasProgram('dtc');
}

beforeAll(async () => {
  if (!isGuestComplete()) return;
  guest = await GpioGuest.start();
  await guest.shell(BLANK_CARD);
}, SLOW_MS);
beforeEach((context) => {
  needsGpioGuest(context);
  needsProgram(context, 'dtc');
});
afterAll(async () => await guest?.[Symbol.asyncDispose]());

interface Untyped {
  readonly why: string;
  /** What the reader has after it all the same. */
  readonly instead?: () => Promise<unknown>;
}

/** All that is not typed here. Another command of the document is, and has to do what the document says. */
const UNTYPED = new Map<string, Untyped>([
  ['udevadm control --reload && udevadm trigger', { why: 'there is no udev' }],
  ['sudo apt update && sudo apt full-upgrade', { why: 'there is no network' }],
  ['sudo apt install nodejs npm git gpiod device-tree-compiler', { why: 'there is no network' }],
  ['git clone URL sai-rig && cd sai-rig', { why: 'this is the clone' }],
  [
    'npm ci && npm run build && npm pack',
    { why: 'scripts/setup.mjs, test/build-commands.ts and test/end-to-end/packed-library.test.ts do' },
  ],
  [
    'sudo npm install --global --prefix /usr/local ./sai-rig-*.tgz',
    {
      why: 'test/end-to-end/packed-library.test.ts does',
      instead: () => guest.shell(`ln -s ${ROOT}/bin/sai-* /usr/local/bin`),
    },
  ],
  [
    'dtparam=strict_gpiod',
    {
      why: 'a line of a file that the firmware of a Pi reads; its driver then has this parameter',
      instead: () => keepsOutputs('N'),
    },
  ],
  ['sudo reboot', { why: 'the machine would be gone; its chip comes up now', instead: addHeader }],
  [
    'udevadm control --reload && udevadm trigger --subsystem-match=gpio',
    { why: 'there is no udev', instead: obeyGpioRule },
  ],
  [
    'systemctl daemon-reload && systemctl enable --now sai-jig',
    {
      why: 'there is no systemd: what the unit says is done; jig-host.test.ts enables it',
      instead: startUnit,
    },
  ],
  ['systemctl status sai-jig', { why: 'there is no systemd' }],
  [
    "docker run -v /dev:/dev -v /run/sai:/run/sai -v /sys:/sys:ro --device-cgroup-rule 'c 166:* rw' --device-cgroup-rule 'c 188:* rw' --group-add dialout …",
    { why: 'there is no docker; test/end-to-end/device-containers.test.ts has containers' },
  ],
]);

/** What the document says that they print; of the others it says nothing. */
const PRINTED = new Map([
  ['node --version', /^v\d+\./],
  ['gpiodetect', /^gpiochip\d+ \[pinctrl-bcm2711\] \(58 lines\)$/m],
  ['sai-jig --help', /Usage: sai-jig/],
  ['grep . /sys/module/pinctrl_*/parameters/persist_gpio_outputs', /^N\n$/],
  ['curl http://127.0.0.1:44000/esp32-1/power-on', /^\{.*\}\s*$/],
  ['curl http://127.0.0.1:44000/esp32-1/reset', /^\{.*\}\s*$/],
  ['gpioinfo | grep esp32-1', /line +17:.*esp32-1\.reset.*\n.*line +22:.*esp32-1\.power.*\n.*line +27:/],
]);

function keepsOutputs(value: 'Y' | 'N'): Promise<string> {
  const folder = '/sys/module/pinctrl_bcm2835/parameters';
  return guest.shell(
    `[ -d ${folder} ] || { mount -t tmpfs tmpfs /sys/module; mkdir -p ${folder}; }; echo ${value} > ${folder}/persist_gpio_outputs`,
  );
}

/** As the firmware has it from the overlay: the names of the header, and lines behind it without. */
async function addHeader(): Promise<void> {
  const names = await guest.shell(`fdtget -t s ${OVERLAY} /fragment@0/__overlay__ gpio-line-names`);
  const named = names.trim().split(' ');
  const others = Array.from({ length: LINES_OF_CHIP - named.length }, () => '');
  header = await TracedChip.add(guest, CHIP, [...named, ...others]);
}

/** What udev does by a rule that it was given. */
async function obeyGpioRule(): Promise<void> {
  const rule = await guest.shell(`cat ${GPIO_RULE}`);
  const [, group, mode] = /^SUBSYSTEM=="gpio",.* GROUP="(\w+)", MODE="(\d+)"$/m.exec(rule) ?? [];
  await guest.shell(`chgrp ${group} ${header.path}; chmod ${mode} ${header.path}`);
}

/** A command line of the unit, by the user that it names, with no rights besides the groups that it names. */
async function startFor(key: 'ExecStart' | 'ExecStopPost'): Promise<GuestProcess> {
  const text = await guest.shell(`cat ${UNIT}`);
  const keyOf = (name: string): string => new RegExp(`^${name}=(.*)$`, 'm').exec(text)?.[1] ?? '';
  const user = keyOf('User');
  const groups = keyOf('SupplementaryGroups');
  const who = `--reuid=${user} --regid=${user} --groups=${groups} --inh-caps=-all --no-new-privs`;
  return guest.start('sh', ['-c', `exec setpriv ${who} ${keyOf(key)}`]);
}

/** Also tells whether it notices a kernel that keeps outputs. */
async function startUnit(): Promise<void> {
  await keepsOutputs('Y');
  unit = await startFor('ExecStart');
  await unit.line(/the kernel keeps outputs .* \(persist_gpio_outputs of pinctrl_bcm2835 is Y\)/);
  await unit.line(/ready on http:\/\/127\.0\.0\.1:44000\/ with 1 target/);
}

/** As they are in a config. */
async function plansOf(file: string): Promise<TargetPlan[]> {
  return planTargets(await loadJigConfig(file), file);
}

test('what hardware/README.md tells to type does what it says', { timeout: SLOW_MS }, async () => {
  const untyped = new Set(UNTYPED.keys());
  for (const { intro, commands } of typedBlocks(DOCUMENT)) {
    const cwd = intro.includes('in this folder') ? join(ROOT, 'hardware') : ROOT;
    for (const command of commands) {
      const known = UNTYPED.get(command);
      if (known) {
        untyped.delete(command);
        await known.instead?.();
        continue;
      }
      const typed = command.replace(/ USER$/, ' pi');
      const { status, stdout, stderr } = await guest.run('sh', ['-euc', typed], {
        cwd,
        env: { USER: 'pi' },
      });
      expect({ command, status, stderr }).toMatchObject({ status: 0 });
      expect(stdout).toMatch(PRINTED.get(command) ?? /^$/);
    }
  }
  expect([...untyped]).toEqual([]);
  expect(await guest.shell('grep -E "^(dialout|gpio):" /etc/group')).toBe(
    'dialout:x:20:pi\ngpio:x:986:pi,sai-jig\n',
  );
  expect(await guest.shell('stat -c "%n %A %U %G" /run/sai /etc/sai/jig/conf')).toBe(
    '/run/sai drwxrwsr-t root dialout\n/etc/sai/jig/conf -rw-r----- root sai-jig\n',
  );
  const [esp32] = await plansOf(join(WIRING, 'esp32.jig.json'));
  if (!esp32) throw new Error('expected esp32-1 in the config');
  const planned = (name: string): string[] => {
    const sequence = esp32.sequences.get(name);
    if (!sequence) throw new Error(`expected esp32-1/${name} in the config`);
    return plannedEvents(esp32, sequence);
  };
  const events = await header.events();
  const safe = safeEvents(esp32);
  expect(events.slice(0, safe.length)).toEqual(safe);
  // By hand, which leaves the level, let go of; then by the unit, which first makes it safe.
  const byHand = [...planned('power-cycle'), 'esp32-1.power set 0'];
  const asked = [...planned('power-on'), ...planned('reset')];
  expect(changesIn(esp32, events.slice(safe.length))).toEqual([...byHand, ...asked]);
});

test('after a kill the unit makes lines safe, as its user, who may open the chip', {
  timeout: SLOW_MS,
}, async () => {
  await guest.shell('curl -sS --fail http://127.0.0.1:44000/esp32-1/power-off');
  await header.events();
  await guest.shell('curl -sS --fail http://127.0.0.1:44000/esp32-1/power-on');
  expect(await header.events()).toEqual(['esp32-1.power set 1']);
  unit.kill('SIGKILL');
  expect((await unit.outcome).status).toBe('SIGKILL');
  const { status, stderr } = await (await startFor('ExecStopPost')).outcome;
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const [esp32] = await plansOf(join(WIRING, 'esp32.jig.json'));
  const expected = esp32 ? safeEvents(esp32) : [];
  expect((await header.events()).slice(0, expected.length)).toEqual(expected);
});

test('the kernel names its chips as the unit and the rule do', async () => {
  const [, allowed] = /^DeviceAllow=char-(\w+) rw$/m.exec(await guest.shell(`cat ${UNIT}`)) ?? [];
  expect(await guest.shell("awk '{print $2}' /proc/devices")).toContain(`${allowed}\n`);
  const [, subsystem, glob = ''] =
    /^SUBSYSTEM=="(\w+)", KERNEL=="([^"]*)"/m.exec(await guest.shell(`cat ${GPIO_RULE}`)) ?? [];
  const node = header.path.replace('/dev/', '');
  const link = await guest.shell(`readlink -f /sys/bus/gpio/devices/${node}/subsystem`);
  expect(link.trim()).toBe(`/sys/bus/${subsystem}`);
  expect(node).toMatch(new RegExp(`^${glob.replaceAll('*', '.*')}$`));
});

describe('a jig with all of hardware/wiring', () => {
  let targets: readonly TargetPlan[];
  let jig: GuestProcess;
  let trace: GuestProcess;
  let events: string[] = [];

  beforeAll(async () => {
    if (!isGuestComplete()) return;
    targets = (await Promise.all(CONFIGS.map(plansOf))).flat();
    const config = { schema: 'sai-jig', targets: CONFIGS.flatMap(hastyTargets) };
    await guest.run('tee', ['/tmp/all.json'], { input: JSON.stringify(config) });
    trace = await header.follow((event) => {
      events.push(event);
      // The board has power as long as its adapter is on.
      const adapter = /^bench-1\.adapter set ([01])$/.exec(event);
      if (adapter) void header.pull('bench-1.has-power', adapter[1] === '1' ? 'up' : 'down');
    });
    await eventsUntilNow();
    jig = guest.start('sai-jig', ['--config', '/tmp/all.json']);
    await jig.line(/ready on/);
  }, SLOW_MS);
  afterAll(async () => {
    for (const program of [jig, trace]) {
      program?.kill('SIGKILL');
      await program?.outcome;
    }
  });

  /** Those since the last call, all of them: the last is of a line that no example uses. */
  async function eventsUntilNow(): Promise<string[]> {
    const last = ' set 1';
    expect(await guest.run('gpioset', [header.path, `${LINES_OF_CHIP - 1}=1`])).toMatchObject({ status: 0 });
    await until(() => events.includes(last), 'the trace has all of it', SLOW_MS);
    const told = events.filter((event) => !event.startsWith(' '));
    events = [];
    return told;
  }

  /** All at once, each with success. */
  async function askAll(paths: readonly string[], ...options: readonly string[]): Promise<void> {
    const urls = paths.map((path) => `-o /dev/null http://127.0.0.1:44000/${path}`);
    const every = ['--no-progress-meter', '--parallel', '--parallel-immediate', '-w "%{http_code}\\n"'];
    const printed = await guest.shell(`curl ${[...every, ...options, ...urls].join(' ')}`);
    expect(printed).toBe('200\n'.repeat(paths.length));
  }

  test('first makes every line safe', async () => {
    expect(targets).toHaveLength(CONFIGS.length);
    const told = new Set(await eventsUntilNow());
    expect([...told].sort()).toEqual(targets.flatMap(safeEvents).sort());
  });

  test('changes lines as --dry-run says of each sequence, and in that order', {
    timeout: SLOW_MS,
  }, async () => {
    const rounds = Math.max(...targets.map(({ sequences }) => sequences.size));
    for (let round = 0; round < rounds; round++) {
      const played = targets.flatMap((target) =>
        [...target.sequences.values()].slice(round, round + 1).map((sequence) => ({ target, sequence })),
      );
      await askAll(played.map(({ target, sequence }) => `${target.name}/${sequence.name}`));
      const told = await eventsUntilNow();
      for (const { target, sequence } of played) {
        const name = `${target.name}/${sequence.name}`;
        const changes = changesIn(
          target,
          told.filter((event) => event.startsWith(`${target.name}.`)),
        );
        expect({ name, changes }).toEqual({ name, changes: plannedEvents(target, sequence) });
      }
      await askAll(
        played.map(({ target }) => `targets/${target.name}/abort`),
        '-XPOST',
      );
    }
  });
});

/** The targets of a config that leaves out what the capacitors of boards take, and is patient with this machine. */
function hastyTargets(file: string): unknown[] {
  const text = readFileSync(file, 'utf8')
    .replaceAll(/"value": "\d+s"/g, '"value": "10ms"')
    .replaceAll(/"within": "\d+s"/g, '"within": "1m"');
  return (JSON.parse(text) as { targets: unknown[] }).targets;
}
