import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { RunReport } from '../../src/wire/jig.ts';
import {
  GpioGuest,
  GUEST_HTTP_PORT,
  type GuestProcess,
  needsGpioGuest,
  whyNoGpioGuest,
} from '../peers/gpio-guest.ts';
import { whyNoLibgpiod } from '../peers/needs.ts';
import { askJig } from '../peers/running-jig.ts';
import { ROOT } from '../peers/running-lab.ts';
import { TracedChip } from '../peers/traced-chip.ts';

vi.setConfig({ testTimeout: 60_000 }); // an emulated machine beside others

const SAI_JIG = join(ROOT, 'bin/sai-jig');
const LINES = ['reset', 'boot', 'power', 'led'];

/** Both traces tell the nearest microsecond. */
const ROUNDING_MS = 0.002;

/** What requesting the lines of {@link configFor} at their safe values comes to, and nothing else. */
const SAFE = ['reset set 1', 'reset out', 'boot set 0', 'boot out', 'power in'];

/** Of `boot`: changes by steps, by a pulse of timers and by one of the thread; with how long each lasts at least. */
const BEAT = [
  { gpio_name: 'boot', value: 1 },
  { value: 6 },
  { gpio_name: 'boot', value: 0 },
  { value: 4 },
  { pulse: 'boot', for: '5ms' },
  { value: 3 },
  { pulse: 'boot', for: '2ms' },
  { value: 3 },
];
const BEAT_LEAST_MS = [0.9 * 6, 0.9 * 4, 5, 0.9 * 3, 2, 0.9 * 3];

let guest: GpioGuest;
let chips = 0;

beforeAll(async () => {
  if (!whyNoGpioGuest()) guest = await GpioGuest.start();
});
beforeEach(needsGpioGuest);
afterAll(async () => await guest?.[Symbol.asyncDispose]());

async function addChip(): Promise<TracedChip> {
  chips += 1;
  return await TracedChip.add(guest, `jig-${chips}`, LINES);
}

function configFor(chip: string, extra: object = {}): object {
  const sequences = [
    { name: 'reset', seq: [{ pulse: 'reset', for: '20ms' }] },
    {
      name: 'bootloader',
      seq: [
        { gpio_name: 'boot', value: 1 },
        { call: 'reset' },
        { gpio_name: 'power', value: 1 },
        { value: 20 },
        { gpio_name: 'boot', value: 0 },
      ],
    },
    { name: 'hold', seq: [{ gpio_name: 'boot', value: 1 }, { value: '1h' }] },
    { name: 'taps', seq: [{ repeat: 5, seq: [{ pulse: 'boot', for: '1ms' }] }] },
    { name: 'hammer', seq: [{ repeat: 5000, seq: [{ pulse: 'boot', for: '4ms' }, { value: 10 }] }] },
    { name: 'beat', seq: [{ repeat: 38, seq: BEAT }] },
    { name: 'blink', seq: [{ wait_for: 'led', edge: 'rising', within: '20s' }] },
  ];
  const gpios = [
    { name: 'reset', chip, line: 'reset', activeLow: true },
    { name: 'boot', chip, offset: 1 },
    { name: 'power', chip, line: 'power', safe: 'release' },
    { name: 'led', chip, line: 'led', direction: 'in' },
  ];
  return { targets: [{ name: 'dut', gpios, sequences }], ...extra };
}

async function write(config: object): Promise<string> {
  const file = `/tmp/jig-${chips}.json`;
  await guest.run('tee', [file], { input: JSON.stringify({ schema: 'sai-jig', ...config }) });
  return file;
}

async function startJig(chip: string, backend: string): Promise<GuestProcess> {
  const file = await write(configFor(chip));
  const where = ['--host', '0.0.0.0', '--port', `${GUEST_HTTP_PORT}`];
  const jig = guest.start(SAI_JIG, ['--config', file, '--backend', backend, ...where]);
  onTestFinished(async () => {
    jig.kill('SIGKILL');
    await jig.outcome;
  });
  await jig.line(/ready on/);
  return jig;
}

const ask = (path: string, method = 'GET') => askJig(guest.httpPort, path, { method });

test('a check asks the kernel which chips and lines are meant, and moves none', async () => {
  const chip = await addChip();
  const holder = guest.start('gpioset', ['--mode=signal', chip.path, '3=1']);
  await untilHeld(chip);
  await chip.events();
  const number = Number(chip.path.replace(/\D+/, ''));
  const gpios = [
    { name: 'reset', chip: chip.label, line: 'reset' },
    { name: 'again', chip_index: number, offset: 0 },
    { name: 'node', chip: chip.path, line: 'boot' },
    { name: 'held', chip: chip.label, offset: 3 },
    { name: 'none', chip: chip.label, line: 'rest' },
    { name: 'away', chip_index: 99, offset: 0 },
  ];
  const file = await write({ targets: [{ name: 'dut', gpios, sequences: [] }] });
  const { status, stdout, stderr } = await guest.run(SAI_JIG, ['--config', file, '--check']);
  const name = `gpiochip${number} (${chip.label})`;
  expect(stderr.split('\n')).toEqual([
    `sai-jig: ${file}: dut/none: expected a line of ${name}, one of reset, boot, power, led, got "rest"`,
    `sai-jig: ${file}: ${name}, line 0: expected each line of a chip once, got it as dut/reset and dut/again`,
    '',
  ]);
  expect(status).toBe(78);
  expect(stdout).toContain(
    `  dut/held: ${name}, line 3 is held by gpioset; while it is, the jig does not start\n`,
  );
  expect(stdout).toMatch(/\n {2}chip 99: expected a GPIO chip of this host, one of .*; so it is not known /);
  expect(await chip.events()).toEqual([]);
  holder.kill('SIGTERM');
  await holder.outcome;
});

describe.each(['uapi', 'libgpiod'])('sai-jig with %s on a chip of the kernel', (backend) => {
  const why = backend === 'libgpiod' ? whyNoLibgpiod() : undefined;
  beforeEach((context) => context.skip(why !== undefined, why));

  test('requests lines at their safe values at once, and plays sequences in their order', async () => {
    const chip = await addChip();
    await chip.pull('power', 'up');
    await startJig(chip.label, backend);
    expect((await chip.events()).filter((event) => event !== 'led in')).toEqual(SAFE);
    expect(await ask('/dut/bootloader')).toMatchObject({ status: 200 });
    const changes = (await chip.events()).filter((event) => / set |^power/.test(event));
    expect(withoutRepeats(changes)).toEqual([
      'boot set 1',
      'reset set 0',
      'reset set 1',
      'power set 1',
      'power out',
      'boot set 0',
    ]);
  });

  test('says in one line who has a line that it wants', async () => {
    const chip = await addChip();
    const holder = guest.start('gpioset', ['--mode=signal', chip.path, '1=1']);
    await untilHeld(chip);
    const file = await write(configFor(chip.label));
    const { status, stderr } = await guest.run(SAI_JIG, ['--config', file, '--backend', backend, '--safe']);
    expect({ status, stderr }).toEqual({
      status: 75,
      stderr: `sai-jig: ${chip.path.slice('/dev/'.length)} (${chip.label}): line 1 (boot): expected a free line, it is held by gpioset\n`,
    });
    holder.kill('SIGTERM');
    await holder.outcome;
    expect((await chip.events()).filter((event) => event.startsWith('reset'))).toEqual([]);
  });

  test('answers 503 while its chip is away, and has its lines again once it is back', async () => {
    const chip = await addChip();
    const jig = await startJig(chip.label, backend);
    const hold = ask('/dut/hold');
    await jigIs('running');
    await chip.unplug();
    expect(await hold).toMatchObject({ status: 503, body: { code: 'line-unavailable' } });
    await jig.line(/the chip has gone; waiting for it to return/);
    expect(await ask('/dut/reset')).toMatchObject({ status: 503, body: { code: 'line-unavailable' } });
    expect((await ask('/healthz')).status).toBe(503);
    await chip.plug();
    await jig.line(/the chip is back, its lines are safe/);
    expect((await chip.events()).filter((event) => event !== 'led in')).toEqual(SAFE);
    expect((await ask('/dut/reset')).status).toBe(200);
    expect((await ask('/healthz')).status).toBe(200);
  });

  test('waits for what a board does to an input', async () => {
    const chip = await addChip();
    await startJig(chip.label, backend);
    const blink = ask('/dut/blink');
    await jigIs('running');
    await chip.pull('led', 'up');
    expect((await blink).status).toBe(200);
  });

  test('says what chips there are, and which it may not open', async () => {
    const chip = await addChip();
    const file = await write(configFor('gpiochip99'));
    const unknown = await guest.run(SAI_JIG, ['--config', file, '--backend', backend, '--safe']);
    expect(unknown.status).toBe(69);
    expect(unknown.stderr).toMatch(
      /^sai-jig: chip gpiochip99: expected a GPIO chip of this host, one of gpiochip\d+ \(jig-1\), .*; plug it in, or correct the config\n$/,
    );
    const other = await write(configFor(chip.label));
    const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups'];
    const denied = await guest.run('setpriv', [
      ...nobody,
      SAI_JIG,
      '--config',
      other,
      '--backend',
      backend,
      '--safe',
    ]);
    expect(denied.status).toBe(74);
    expect(denied.stderr).toMatch(
      /^sai-jig: \/dev\/gpiochip\d+: cannot be opened for reading and writing \(EACCES\); this login needs the group that owns it, often gpio\n$/,
    );
  });
});

describe('sai-jig that makes short pulses on a chip of the kernel', () => {
  const pulses = Array.from({ length: 5 }, () => ['boot set 1', 'boot set 0']).flat();

  test('makes none too short, and leaves its lines safe when it is aborted or killed between two', async () => {
    const chip = await addChip();
    const jig = await startJig(chip.label, 'uapi');
    await chip.events();
    const answer = await ask('/targets/dut/sequences/taps', 'POST');
    expect(answer.status).toBe(200);
    expect(await chip.events()).toEqual(pulses);
    const times = (answer.body as unknown as RunReport).trace?.map(({ actualMs }) => actualMs) ?? [];
    expect(times).toHaveLength(pulses.length);
    const lengths = times.flatMap((time, at) => (at % 2 === 1 ? [time - (times[at - 1] ?? 0)] : []));
    for (const length of lengths) expect(length).toBeGreaterThanOrEqual(1);
    const hammer = ask('/dut/hammer');
    await jigIs('running');
    expect((await ask('/targets/dut/abort', 'POST')).status).toBe(200);
    expect((await hammer).status).toBe(410);
    expect(await chip.levels()).toBe('1 0 0 0');
    void ask('/dut/hammer');
    await jigIs('running');
    jig.kill('SIGKILL');
    await jig.outcome;
    expect(await chip.levels()).toBe('0 0 0 0');
  });

  test('shortens no pulse, no pause by more than a tenth, and says of each change when the kernel saw it', async () => {
    const chip = await addChip();
    await startJig(chip.label, 'uapi');
    await chip.events();
    const { status, body } = await ask('/targets/dut/sequences/beat', 'POST');
    expect(status).toBe(200);
    const { trace = [], latestMs } = body as unknown as RunReport;
    expect(trace).toHaveLength(38 * (BEAT.length + 2));
    const seen = await chip.timedEvents();
    expect(seen.map(({ event }) => event)).toEqual(
      Array.from({ length: 38 * BEAT_LEAST_MS.length }, (_, at) => `boot set ${(at + 1) % 2}`),
    );
    const tooShort = seen.flatMap(({ atMs }, at) => {
      const length = (seen[at + 1]?.atMs ?? Number.POSITIVE_INFINITY) - atMs;
      return length < (BEAT_LEAST_MS[at % BEAT_LEAST_MS.length] ?? 0) - ROUNDING_MS ? [{ at, length }] : [];
    });
    expect(tooShort).toEqual([]);
    // Each change was told after it was made and before the next was: one begin of the run agrees with all of them.
    const told = trace.filter(({ text }) => text.startsWith('boot')).map(({ actualMs }) => actualMs);
    const beginsAfter = Math.max(...seen.map(({ atMs }, at) => atMs - (told[at] ?? Number.NaN)));
    const beginsBefore = Math.min(...seen.slice(1).map(({ atMs }, at) => atMs - (told[at] ?? Number.NaN)));
    expect(beginsAfter).toBeLessThanOrEqual(beginsBefore + ROUNDING_MS);
    // By an absolute plan: what was late is told as late, and moves nothing that comes after it.
    expect(trace.at(-1)?.plannedMs).toBeCloseTo(38 * 23, 3);
    const lateness = trace.map(({ plannedMs, actualMs }) => actualMs - plannedMs);
    expect(Math.min(...lateness)).toBeGreaterThanOrEqual(-ROUNDING_MS);
    expect(latestMs).toBeCloseTo(Math.max(...lateness), 3);
  });

  test('and no daemon, ends after the last, and when it is stopped between two leaves its lines safe', async () => {
    const chip = await addChip();
    // Shorter than it takes to start the thread that makes the pulses.
    const gpios = [{ name: 'boot', chip: chip.label, offset: 1, maxActive: '5ms' }];
    const sequences = [
      { name: 'taps', seq: [{ repeat: 5, seq: [{ pulse: 'boot', for: '1ms' }] }] },
      { name: 'hammer', seq: [{ repeat: 5000, seq: [{ pulse: 'boot', for: '4ms' }, { value: 10 }] }] },
    ];
    const file = await write({ targets: [{ name: 'dut', gpios, sequences }] });
    const play = (name: string): GuestProcess =>
      guest.start(SAI_JIG, ['--config', file, 'run', `dut/${name}`]);
    expect((await play('taps').outcome).status).toBe(0);
    const events = (await chip.events()).filter((event) => event.startsWith('boot set'));
    expect(withoutRepeats(events)).toEqual(['boot set 0', ...pulses]);
    const hammer = play('hammer');
    await expect.poll(() => chip.events()).toContain('boot set 1');
    hammer.kill('SIGTERM');
    expect((await hammer.outcome).status).toBe(143);
    expect((await chip.events()).filter((event) => event.startsWith('boot set')).at(-1)).toBe('boot set 0');
  });
});

test('on a kernel without version 2 of the interface, sai-jig speaks through libgpiod', async (context) => {
  const why = whyNoLibgpiod();
  context.skip(why !== undefined, why);
  const chip = await addChip();
  const file = await write(configFor(chip.path));
  // What such a kernel says to the third question: of the chip, of the chip again, of a line.
  const old = ['-f', '-o', '/dev/null', '-P', chip.path, '-e', 'inject=ioctl:error=EINVAL:when=3'];
  const sai = [...old, SAI_JIG, '--config', file];
  const refused = await guest.run('strace', [...sai, '--backend', 'uapi', '--safe']);
  expect(refused).toMatchObject({
    status: 69,
    stderr: `sai-jig: ${chip.path.slice('/dev/'.length)} (${chip.label}): expected Linux 5.10 or newer, this kernel is older; try --backend libgpiod\n`,
  });
  await chip.events();
  expect(await guest.run('strace', [...sai, '--safe'])).toMatchObject({ status: 0 });
  expect((await chip.events()).slice(0, 2)).toEqual(['reset set 1', 'reset out']);
});

test('the kernel names its chips as the unit and the rule of a jig do', async () => {
  const [unit = '', rules = ''] = ['systemd/sai-jig.service', 'udev/71-sai-jig.rules'].map((file) =>
    readFileSync(join(ROOT, 'hardware', file), 'utf8'),
  );
  const chip = await guest.addChip('pinctrl-bcm2711', ['GPIO0']);
  const node = chip.path.replace('/dev/', '');
  const [, allowed] = /^DeviceAllow=char-(\w+) rw$/m.exec(unit) ?? [];
  expect(await guest.shell("awk '{print $2}' /proc/devices")).toContain(`${allowed}\n`);
  const [, subsystem, glob = ''] = /^SUBSYSTEM=="(\w+)", KERNEL=="([^"]*)"/m.exec(rules) ?? [];
  const link = await guest.shell(`readlink -f /sys/bus/gpio/devices/${node}/subsystem`);
  expect(link.trim()).toBe(`/sys/bus/${subsystem}`);
  expect(node).toMatch(new RegExp(`^${glob.replaceAll('*', '.*')}$`));
});

/** Setting up one line anew says of the others again what they are. */
function withoutRepeats(events: readonly string[]): string[] {
  const last = new Map<string, string>();
  return events.filter((event) => {
    const [name = '', ...what] = event.split(' ');
    const key = `${name} ${what.length > 1 ? 'level' : 'direction'}`;
    if (last.get(key) === event) return false;
    last.set(key, event);
    return true;
  });
}

async function jigIs(state: string): Promise<void> {
  await expect.poll(async () => (await ask('/targets/dut')).body['state']).toBe(state);
}

async function untilHeld(chip: TracedChip): Promise<void> {
  await expect.poll(() => guest.shell(`gpioinfo ${chip.path}`)).toContain('gpioset');
}
