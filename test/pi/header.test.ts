import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { GUEST_HTTP_PORT, type GuestProcess } from '../peers/gpio-guest.ts';
import { PiGuest } from '../peers/pi-guest.ts';
import { askJig } from '../peers/running-jig.ts';

const SAI_JIG = '/sai-rig/bin/sai-jig';
const CHIP = 'pinctrl-bcm2835';

/** By the number of the header's line. */
const RESET = 17;
const POWER = 22;
const LED = 27;

const CONFIG = {
  schema: 'sai-jig',
  targets: [
    {
      name: 'dut',
      gpios: [
        { name: 'reset', chip: CHIP, line: `GPIO${RESET}`, activeLow: true },
        { name: 'power', chip: CHIP, line: `GPIO${POWER}`, safe: 'release' },
        { name: 'led', chip: CHIP, line: `GPIO${LED}`, direction: 'in' },
      ],
      sequences: [
        { name: 'on', seq: [{ gpio_name: 'power', value: 1 }] },
        { name: 'reset', seq: [{ pulse: 'reset', for: '50ms' }] },
        { name: 'taps', seq: [{ repeat: 20, seq: [{ pulse: 'reset', for: '1ms' }, { value: 5 }] }] },
        { name: 'hold', seq: [{ gpio_name: 'reset', value: 1 }, { value: '1h' }] },
        { name: 'lit', seq: [{ wait_for: 'led', value: 1, within: '60s' }] },
      ],
    },
  ],
};

let pi: PiGuest;

beforeAll(async () => {
  pi = await PiGuest.start((text) => process.stderr.write(`${text}\n`));
  await pi.guest.run('tee', ['/tmp/jig.json'], { input: JSON.stringify(CONFIG) });
});
afterAll(async () => await pi?.[Symbol.asyncDispose]());

async function startJig(): Promise<GuestProcess> {
  const where = ['--host', '0.0.0.0', '--port', `${GUEST_HTTP_PORT}`];
  const jig = pi.guest.start('/bin/node', [SAI_JIG, '--config', '/tmp/jig.json', ...where]);
  onTestFinished(async () => {
    jig.kill('SIGKILL');
    await jig.outcome;
  });
  await jig.line(/ready on/);
  return jig;
}

const ask = (path: string, method = 'GET') => askJig(pi.guest.httpPort, path, { method });

async function jigIs(state: string): Promise<void> {
  while ((await ask('/targets/dut')).body['state'] !== state) {
    // asked again
  }
}

describe('the built sai-jig on a Raspberry Pi', () => {
  test('drives lines of the header by their names, and lets go of them at its end', async () => {
    expect([await pi.line(RESET), await pi.line(POWER)]).toEqual(['in 0', 'in 0']);
    const jig = await startJig();
    expect([await pi.line(RESET), await pi.line(POWER), await pi.line(LED)]).toEqual([
      'out 1',
      'in 0',
      'in 0',
    ]);
    expect((await ask('/dut/on')).status).toBe(200);
    expect(await pi.line(POWER)).toBe('out 1');
    const hold = ask('/dut/hold');
    await jigIs('running');
    expect(await pi.line(RESET)).toBe('out 0');
    jig.kill('SIGTERM');
    expect((await jig.outcome).status).toBe(143);
    expect((await hold).status).toBe(503);
    expect(await pi.line(RESET)).toMatch(/^in/);
  });

  test('lets go of lines when it is killed', async () => {
    const jig = await startJig();
    void ask('/dut/hold');
    await jigIs('running');
    expect(await pi.line(RESET)).toBe('out 0');
    jig.kill('SIGKILL');
    await jig.outcome;
    expect(await pi.line(RESET)).toMatch(/^in/);
  });

  test('makes pulses, long and short, none too short', async () => {
    await startJig();
    for (const [sequence, leastMs] of [
      ['reset', 50],
      ['taps', 1],
    ] as const) {
      const { status, body } = await ask(`/targets/dut/sequences/${sequence}`, 'POST');
      expect(status).toBe(200);
      const trace = body['trace'] as { text: string; actualMs: number }[];
      const times = trace.filter(({ text }) => text.startsWith('reset')).map(({ actualMs }) => actualMs);
      const lengths = times.flatMap((time, at) => (at % 2 === 1 ? [time - (times[at - 1] ?? 0)] : []));
      expect(Math.min(...lengths)).toBeGreaterThanOrEqual(leastMs);
      const longest = Math.max(...lengths).toFixed(3);
      process.stderr.write(
        `${sequence}: ${lengths.length} pulses of ${leastMs} ms, the longest ${longest} ms\n`,
      );
    }
  });

  test('sees what a board does to an input, also of a chip that tells of no change', async () => {
    await startJig();
    await pi.drive(LED, 0);
    const lit = ask('/dut/lit');
    await jigIs('running');
    await pi.drive(LED, 1);
    expect((await lit).status).toBe(200);
  });
});
