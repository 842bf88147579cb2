import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TargetPlan } from './plan.ts';

/**
 * A remark for a host whose kernel keeps outputs that nobody holds any more, if a target has some there.
 *
 * Source: Raspberry Pi's Linux 6.6 and later, `drivers/pinctrl/bcm/pinctrl-bcm2835.c`, `drivers/pinctrl/pinctrl-rp1.c`.
 */
export function keptOutputsRemark(
  targets: readonly TargetPlan[],
  modules = '/sys/module',
): string | undefined {
  const lines = targets.flatMap((target) => target.lines);
  const isAny = lines.some(
    ({ chip, output }) =>
      output &&
      (chip.kind === 'path' ? chip.path.startsWith('/dev/') : chip.kind === 'number' || chip.kind === 'name'),
  );
  const keeping = isAny ? keepingDrivers(modules) : [];
  if (keeping.length === 0) return undefined;
  return `the kernel keeps outputs that are let go of (persist_gpio_outputs of ${keeping.join(' and ')} is Y), so a jig that is killed leaves lines active; set dtparam=strict_gpiod, see hardware/README.md`;
}

function keepingDrivers(modules: string): string[] {
  return namesIn(modules)
    .filter((name) => name.startsWith('pinctrl_'))
    .filter((name) => textOf(join(modules, name, 'parameters/persist_gpio_outputs')).trim() === 'Y');
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return []; // no sysfs: a container
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // a driver without the parameter, as most
  }
}
