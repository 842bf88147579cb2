import { expect, test } from 'vitest';
import { parse } from '../../src/base/validate.ts';
import { JigConfig } from '../../src/jig/config.ts';
import { inspectTargets } from '../../src/jig/inspect.ts';
import { planTargets, type TargetPlan } from '../../src/jig/plan.ts';
import { wiringOf } from '../../src/jig/wiring-advice.ts';

const argv = ['true'];
const chips = {
  usb: { kind: 'modem', tty: '/dev/ttyUSB0' },
  relays: {
    kind: 'command',
    lines: { k1: { high: argv, low: argv }, k2: { high: argv, low: argv, release: argv } },
  },
};

function planOf(gpio: object): TargetPlan[] {
  const line = { name: 'reset', ...('chip' in gpio ? {} : { chip: 'header' }), ...gpio };
  const at = 'line' in gpio ? line : { ...line, offset: 1 };
  const config = { schema: 'sai-jig', chips, targets: [{ name: 'dut', gpios: [at], sequences: [] }] };
  return planTargets(parse(JigConfig, config, 'jig.json'), '/lab/jig.json');
}

test.each<[object, string]>([
  [{}, 'pull-down to ground (10 kΩ): safe is low'],
  [{ safe: 1 }, 'pull-up to 3.3 V (10 kΩ): safe is high'],
  [{ activeLow: true }, 'pull-up to 3.3 V (10 kΩ): safe is high'],
  [{ activeLow: true, safe: 1 }, 'pull-down to ground (10 kΩ): safe is low'],
  [{ activeLow: true, drive: 'open-drain' }, "pull-up to the board's rail (4.7 kΩ): safe is high"],
  [{ drive: 'open-source' }, 'pull-down to ground (10 kΩ): safe is low'],
  [{ chip: '/dev/gpiochip0' }, 'pull-down to ground (10 kΩ): safe is low'],
  [{ safe: 'release' }, 'none of the jig: safe is let go of, and the board decides'],
  [
    { drive: 'open-drain' },
    'none will do: safe is low, and a line that is open-drain is high when let go of',
  ],
  [{ chip: './uno.chip' }, 'none: the board is virtual'],
  [
    { chip: 'usb', line: 'rts' },
    'none: at its last close the kernel asserts neither line of a tty, unless HUPCL is cleared',
  ],
  [
    { chip: 'relays', line: 'k1' },
    'none: it keeps its level when let go of; after a kill, sai-jig --safe makes it safe',
  ],
  [{ chip: 'relays', offset: 1 }, 'none: "release" lets go of it; after a kill, sai-jig --safe does'],
])('the resistor that makes %j safe when let go of', (gpio, text) => {
  const [line] = planOf(gpio)[0]?.lines ?? [];
  expect(line && wiringOf(line)?.text).toBe(text);
});

test('an input needs none', () => {
  const [line] = planOf({ direction: 'in' })[0]?.lines ?? [];
  expect(line && wiringOf(line)).toBeUndefined();
});

test.each<[object, string]>([
  [
    { drive: 'open-drain' },
    'it is open-drain and safe at its low level, but high when let go of; make it push-pull, with a transistor',
  ],
  [
    { drive: 'open-source', safe: 1 },
    'it is open-source and safe at its high level, but low when let go of; make it push-pull, with a transistor',
  ],
  [{ chip: 'usb', line: 'rts', safe: 1 }, 'safe is asserted, and let go of it is not'],
])('nothing makes %j safe, which is remarked on', (gpio, trouble) => {
  expect(inspectTargets(planOf(gpio))).toContainEqual({
    severity: 'remark',
    code: 'unsafe-let-go',
    target: 'dut',
    line: 'reset',
    text: `dut/reset: ${trouble}`,
  });
});
