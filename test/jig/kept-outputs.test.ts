import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from '../../src/base/validate.ts';
import { JigConfig } from '../../src/jig/config.ts';
import { keptOutputsRemark } from '../../src/jig/kept-outputs.ts';
import { planTargets, type TargetPlan } from '../../src/jig/plan.ts';
import { needsProgram, needsRoot } from '../peers/needs.ts';
import { ROOT } from '../peers/running-lab.ts';
import { tempFolder } from '../temp-folder.ts';

const REMARK =
  'the kernel keeps outputs that are let go of (persist_gpio_outputs of pinctrl_bcm2835 is Y), so a jig that is killed leaves lines active; set dtparam=strict_gpiod, see hardware/README.md';

function configOf(gpio: object): object {
  const line = { name: 'reset', offset: 1, ...gpio };
  return { schema: 'sai-jig', targets: [{ name: 'dut', gpios: [line], sequences: [] }] };
}

function planOf(gpio: object): TargetPlan[] {
  return planTargets(parse(JigConfig, configOf(gpio), 'jig.json'), 'jig.json');
}

/** A `/sys/module` with these values of the parameter. */
function modules(values: Record<string, string | undefined>): string {
  const folder = tempFolder();
  for (const [name, value] of Object.entries(values)) {
    const parameters = join(folder, name, 'parameters');
    mkdirSync(parameters, { recursive: true });
    if (value !== undefined) writeFileSync(join(parameters, 'persist_gpio_outputs'), value);
  }
  return folder;
}

test('a kernel that keeps outputs is told of, for an output on one of its chips', () => {
  const keeping = modules({
    pinctrl_bcm2835: 'Y\n',
    pinctrl_rp1: 'N\n',
    pinctrl_mcp23s08: undefined,
    loop: 'Y\n',
  });
  for (const chip of [{ chip_index: 0 }, { chip: 'pinctrl-bcm2711' }, { chip: '/dev/gpiochip0' }]) {
    expect(keptOutputsRemark(planOf(chip), keeping)).toBe(REMARK);
  }
  expect(keptOutputsRemark(planOf({ chip: './board.chip' }), keeping)).toBeUndefined();
  expect(keptOutputsRemark(planOf({ chip_index: 0, direction: 'in' }), keeping)).toBeUndefined();
});

test('a kernel that lets go, and one that has no such parameter, is no matter', () => {
  for (const none of [modules({ pinctrl_bcm2835: 'N\n' }), modules({}), join(tempFolder(), 'none')]) {
    expect(keptOutputsRemark(planOf({ chip_index: 0 }), none)).toBeUndefined();
  }
});

test('a check says it, and a simulated one does not', (context) => {
  needsProgram(context, 'unshare');
  needsRoot(context, 'to mount another /sys/module');
  const file = join(tempFolder(), 'jig.json');
  writeFileSync(file, JSON.stringify(configOf({ chip_index: 0 })));
  const parameters = '/sys/module/pinctrl_bcm2835/parameters';
  const script = `mount -t tmpfs none /sys/module && mkdir -p ${parameters} && echo Y > ${parameters}/persist_gpio_outputs &&
    exec ${join(ROOT, 'bin/sai-jig')} --config ${file} --check "$@"`;
  const check = (...args: string[]): object => {
    const { status, stderr } = spawnSync('unshare', ['--mount', 'sh', '-c', script, 'sh', ...args], {
      encoding: 'utf8',
    });
    return { status, stderr };
  };
  expect(check()).toEqual({ status: 0, stderr: `sai-jig: ${REMARK}\n` });
  expect(check('--backend', 'simulated')).toEqual({ status: 0, stderr: '' });
});
