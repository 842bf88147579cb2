import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
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

const SAI_JIG = join(ROOT, 'bin/sai-jig');
const LINES = ['reset', 'boot', 'power', 'led'];

/** What requesting the lines at their safe values comes to, and nothing else. */
const SAFE = ['reset set 1', 'reset out', 'boot set 0', 'boot out', 'power in'];

/** What the board makes of them when nobody has them. */
const LET_GO = '0 0 1 0';

/** Throws, where nobody can catch it, at SIGUSR2. */
const CRASH = '/tmp/crash.cjs';
const CRASH_PROGRAM = "process.on('SIGUSR2', () => { throw new Error('a bug'); });\n";

let guest: GpioGuest;
let chips = 0;

beforeAll(async () => {
  if (whyNoGpioGuest()) return;
  guest = await GpioGuest.start();
  await guest.run('tee', [CRASH], { input: CRASH_PROGRAM });
});
beforeEach(needsGpioGuest);
afterAll(async () => await guest?.[Symbol.asyncDispose]());

async function addChip(): Promise<TracedChip> {
  chips += 1;
  const chip = await TracedChip.add(guest, `ends-${chips}`, LINES);
  await chip.pull('power', 'up');
  return chip;
}

/** `more` lines and chips come after those of the kernel's chip. */
async function configFor(chip: string, more: { gpios?: object[]; chips?: object } = {}): Promise<string> {
  const gpios = [
    { name: 'reset', chip, line: 'reset', activeLow: true },
    { name: 'boot', chip, line: 'boot' },
    { name: 'power', chip, line: 'power', safe: 'release' },
    { name: 'led', chip, line: 'led', direction: 'in' },
    ...(more.gpios ?? []),
  ];
  const sequences = [
    { name: 'press', seq: [{ set: { reset: 1, power: 1 } }, { pulse: 'boot', for: '1h' }] },
    { name: 'hold', seq: [{ set: { reset: 1, boot: 1, power: 1 } }, { value: '1h' }] },
    { name: 'storm', seq: [{ repeat: 5000, seq: [{ pulse: 'boot', for: '4ms' }] }] },
    {
      name: 'blink',
      seq: [
        { gpio_name: 'boot', value: 1 },
        { wait_for: 'led', edge: 'rising', within: 500 },
      ],
    },
  ];
  const config = { chips: more.chips ?? {}, targets: [{ name: 'dut', gpios, sequences }] };
  const file = `/tmp/ends-${chips}.json`;
  await guest.run('tee', [file], { input: JSON.stringify({ schema: 'sai-jig', ...config }) });
  return file;
}

function begin(file: string, backend: string): GuestProcess {
  const where = ['--host', '0.0.0.0', '--port', `${GUEST_HTTP_PORT}`];
  const env = { NODE_OPTIONS: `--require ${CRASH}` };
  const jig = guest.start(SAI_JIG, ['--config', file, '--backend', backend, ...where], { env });
  onTestFinished(async () => {
    jig.kill('SIGKILL');
    await jig.outcome;
  });
  return jig;
}

/** A daemon that begins with safe lines, and no other level before. */
async function startSafe(file: string, backend: string, chip: TracedChip): Promise<GuestProcess> {
  await chip.events();
  const jig = begin(file, backend);
  await jig.line(/ready on/);
  expect((await chip.events()).filter((event) => event !== 'led in')).toEqual(SAFE);
  return jig;
}

const ask = (path: string) => askJig(guest.httpPort, path);

async function untilTraced(chip: TracedChip, wanted: string): Promise<void> {
  while (!(await chip.events()).includes(wanted)) {
    // looked at again
  }
}

/** Nobody has a line of it, the board makes of them what it does, and no process of the jig is left. */
async function expectLetGo(chip: TracedChip): Promise<void> {
  expect(await chip.levels()).toBe(LET_GO);
  expect(await guest.shell(`gpioinfo ${chip.path}`)).not.toContain('sai-jig');
  expect(await guest.shell('pgrep -c node')).toBe('1\n'); // what runs programs for us
}

interface End {
  readonly signal: NodeJS.Signals;
  readonly status: number | NodeJS.Signals;
  readonly during: 'press' | 'hold' | 'storm';
}

const KILLED = { signal: 'SIGKILL', status: 'SIGKILL' } as const;
const STOPPED = { signal: 'SIGTERM', status: 143 } as const;
const CRASHED = { signal: 'SIGUSR2', status: 70 } as const;
const ENDS: Readonly<Record<string, readonly End[]>> = {
  uapi: [
    { ...KILLED, during: 'storm' },
    { ...STOPPED, during: 'storm' },
    { ...CRASHED, during: 'storm' },
    { ...KILLED, during: 'press' },
    { signal: 'SIGINT', status: 130, during: 'hold' },
  ],
  libgpiod: [
    { ...KILLED, during: 'hold' },
    { ...STOPPED, during: 'press' },
    { ...CRASHED, during: 'press' },
  ],
};

describe.each(Object.entries(ENDS))('sai-jig with %s', { timeout: 90_000 }, (backend, ends) => {
  const why = backend === 'libgpiod' ? whyNoLibgpiod() : undefined;
  beforeEach((context) => context.skip(why !== undefined, why));

  test('that ends in whatever way lets go of its lines, and begins again at once with all of them safe', async () => {
    const chip = await addChip();
    const file = await configFor(chip.label);
    for (const { signal, status, during } of ends) {
      const jig = await startSafe(file, backend, chip);
      const answer = ask(`/dut/${during}`);
      await untilTraced(chip, 'boot set 1');
      jig.kill(signal);
      const outcome = await jig.outcome;
      expect({ during, signal, status: outcome.status }).toEqual({ during, signal, status });
      expect((await answer).status).toBe(signal === 'SIGTERM' || signal === 'SIGINT' ? 503 : 0);
      await expectLetGo(chip);
      if (signal === 'SIGKILL') continue;
      if (signal === 'SIGUSR2')
        expect(outcome.stderr).toContain('this is a bug in sai-rig, please report it: Error: a bug');
      else expect(lastOf(await chip.events())).toMatchObject({ reset: 'set 1', boot: 'set 0' });
    }
    await startSafe(file, backend, chip);
  });

  test('that ends while it takes its lines has none of them', async () => {
    const chip = await addChip();
    const relay = { kind: 'command', lines: { k1: { high: ['true'], low: ['sleep', '1'] } } };
    const gpios = [{ name: 'relay', chip: 'relay', line: 'k1' }];
    const file = await configFor(chip.label, { gpios, chips: { relay } });
    for (const { signal, status } of [KILLED, STOPPED]) {
      const jig = begin(file, backend);
      await untilTraced(chip, 'power in');
      jig.kill(signal);
      expect((await jig.outcome).status).toBe(status);
      await expectLetGo(chip);
    }
  });

  test('that was stopped takes no edge of that time for a new one', async () => {
    const chip = await addChip();
    const jig = await startSafe(await configFor(chip.label), backend, chip);
    jig.kill('SIGSTOP');
    const toggle = `pull=${chip.pullOf('led')}; n=0; while [ $n -lt 800 ]; do echo pull-up > $pull; echo pull-down > $pull; n=$((n+1)); done; echo pull-up > $pull`;
    await guest.shell(toggle);
    const blink = ask('/dut/blink');
    jig.kill('SIGCONT');
    expect(await blink).toMatchObject({ status: 504, body: { code: 'not-in-time' } });
    if (backend === 'uapi')
      expect(await jig.line(/lost/)).toMatch(
        /dut: gpiochip\d+ \(ends-\d+\): 577 changes of inputs were lost: /,
      );
  });
});

/** What was done last to each line. */
function lastOf(events: readonly string[]): Record<string, string> {
  const sets = events.filter((event) => event.includes(' set '));
  return Object.fromEntries(
    sets.map((event) => [event.slice(0, event.indexOf(' ')), event.slice(event.indexOf(' ') + 1)]),
  );
}
