import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';
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
import { until } from '../until.ts';

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

/** A chip, and what the kernel does to its lines since it was last forgotten. */
interface Followed {
  readonly chip: TracedChip;
  readonly events: string[];
}

async function addChip(): Promise<Followed> {
  chips += 1;
  const chip = await TracedChip.add(guest, `ends-${chips}`, LINES);
  await chip.pull('power', 'up');
  const events: string[] = [];
  const follower = await chip.follow((event) => events.push(event));
  onTestFinished(async () => {
    follower.kill('SIGTERM');
    await follower.outcome;
  });
  return { chip, events };
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
async function startSafe(file: string, backend: string, { events }: Followed): Promise<GuestProcess> {
  events.length = 0;
  const jig = begin(file, backend);
  await jig.line(/ready on/);
  const outputs = (): string[] => events.filter((event) => event !== 'led in');
  await until(() => outputs().length >= SAFE.length, 'its lines have been set up');
  expect(outputs()).toEqual(SAFE);
  return jig;
}

const ask = (path: string) => askJig(guest.httpPort, path);

/** Nobody has a line of it, the board makes of them what it does, and no process of the jig is left. */
async function expectLetGo({ chip }: Followed): Promise<void> {
  // That one Node.js is what runs programs for us.
  const left = await guest.shell(`gpioinfo ${chip.path} | grep sai-jig || true; pgrep -c node`);
  expect({ left, levels: await chip.levels() }).toEqual({ left: '1\n', levels: LET_GO });
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
    { signal: 'SIGINT', status: 130, during: 'press' },
    { ...CRASHED, during: 'hold' },
  ],
  libgpiod: [
    { ...KILLED, during: 'press' },
    { ...STOPPED, during: 'hold' },
  ],
};

test.for(Object.entries(ENDS))(
  'sai-jig with %s that ends in whatever way lets go of its lines, and begins again at once with all of them safe',
  { timeout: 180_000 },
  async ([backend, ends], context) => {
    const why = backend === 'libgpiod' ? whyNoLibgpiod() : undefined;
    context.skip(why !== undefined, why);
    const followed = await addChip();
    const { chip, events } = followed;
    const file = await configFor(chip.label);
    for (const { signal, status, during } of ends) {
      const jig = await startSafe(file, backend, followed);
      const answer = ask(`/dut/${during}`);
      await until(() => events.includes('boot set 1'), `${during} is under way`);
      jig.kill(signal);
      const outcome = await jig.outcome;
      expect({ during, signal, status: outcome.status }).toEqual({ during, signal, status });
      const isStopped = signal === 'SIGTERM' || signal === 'SIGINT';
      expect((await answer).status).toBe(isStopped ? 503 : 0);
      await expectLetGo(followed);
      if (isStopped) {
        const isSafe = (): boolean => lastSet(events, 'boot') === '0' && lastSet(events, 'reset') === '1';
        await until(isSafe, 'its lines were made safe before they were let go of');
      }
      if (signal === 'SIGUSR2')
        expect(outcome.stderr).toContain('this is a bug in sai-rig, please report it: Error: a bug');
    }
    await startSafe(file, backend, followed);
  },
);

test('sai-jig that ends while it takes its lines has none of them', { timeout: 120_000 }, async () => {
  const followed = await addChip();
  const relay = { kind: 'command', lines: { k1: { high: ['true'], low: ['sleep', '1'] } } };
  const gpios = [{ name: 'relay', chip: 'relay', line: 'k1' }];
  const file = await configFor(followed.chip.label, { gpios, chips: { relay } });
  for (const { signal, status } of [KILLED, STOPPED]) {
    followed.events.length = 0;
    const jig = begin(file, 'uapi');
    await until(() => followed.events.includes('power in'), 'the lines of the first chip are taken');
    jig.kill(signal);
    expect((await jig.outcome).status).toBe(status);
    await expectLetGo(followed);
  }
});

test('sai-jig that was stopped takes no edge of that time for a new one', { timeout: 120_000 }, async () => {
  const followed = await addChip();
  const { chip } = followed;
  const jig = await startSafe(await configFor(chip.label), 'uapi', followed);
  jig.kill('SIGSTOP');
  await guest.shell(
    `pull=${chip.pullOf('led')}; n=0; while [ $n -lt 800 ]; do echo pull-up > $pull; echo pull-down > $pull; n=$((n+1)); done; echo pull-up > $pull`,
  );
  const blink = ask('/dut/blink');
  jig.kill('SIGCONT');
  expect(await blink).toMatchObject({ status: 504, body: { code: 'not-in-time' } });
  expect(await jig.line(/lost/)).toMatch(/dut: gpiochip\d+ \(ends-\d+\): 577 changes of inputs were lost: /);
});

function lastSet(events: readonly string[], line: string): string | undefined {
  return events.findLast((event) => event.startsWith(`${line} set `))?.at(-1);
}
