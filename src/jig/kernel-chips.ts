/** Which of the host's GPIO chips a config means; the same for every back end that drives the kernel's. */

import { readdirSync, realpathSync } from 'node:fs';
import { basename } from 'node:path';
import { errnoCode, RigError } from '../base/errors.ts';
import { closeGpioChip, openGpioChip, readChipInfo } from '../native/gpio-chardev.ts';
import { type ChipId, chipText } from './plan.ts';

/** A GPIO chip of this host, as its node tells. */
export interface KernelChip {
  readonly path: string;
  /** The kernel's own: `gpiochip0`. It follows the order in which drivers came up. */
  readonly name: string;
  /** What the driver calls it: `pinctrl-bcm2835`. Undefined where this login may not ask. */
  readonly label: string | undefined;
}

const CHIP_NODE = /^gpiochip(\d+)$/;

/** Every chip that has a node, also one that this login may not open. */
export function kernelChips(): KernelChip[] {
  const chips: KernelChip[] = [];
  const numberOf = (name: string): number => Number(CHIP_NODE.exec(name)?.[1]);
  const names = readdirSync('/dev').filter((name) => CHIP_NODE.test(name));
  for (const name of names.sort((one, other) => numberOf(one) - numberOf(other))) {
    const path = `/dev/${name}`;
    try {
      chips.push({ path, name, label: labelOf(path) });
    } catch (error) {
      const code = errnoCode(error);
      if (code === 'EACCES' || code === 'EPERM') chips.push({ path, name, label: undefined });
      // Else it goes away just now.
    }
  }
  return chips;
}

/** @throws {SystemError} */
function labelOf(path: string): string {
  const fd = openGpioChip(path);
  try {
    return readChipInfo(fd).label;
  } finally {
    closeGpioChip(fd);
  }
}

/**
 * The chip of `there` that is meant.
 *
 * @throws {RigError} blame `unavailable`, saying what there is; `config` for a label that several have; `hardware` for
 * one that this login may not open
 */
export function findChip(wanted: ChipId, there: readonly KernelChip[]): KernelChip {
  const found = matching(wanted, there);
  const [chip, ...more] = found;
  if (!chip) throw noChip(wanted, there);
  if (more.length > 0) {
    const names = found.map(({ name }) => name).join(' and ');
    throw new RigError(
      'config',
      `${chipText(wanted)}: expected the label of one chip, ${names} have it; name one`,
    );
  }
  if (chip.label === undefined) throw noPermission(chip.path);
  return chip;
}

/** As messages name a chip. */
export function kernelChipText({ name, label }: KernelChip): string {
  return label === undefined || label === '' ? name : `${name} (${label})`;
}

function matching(wanted: ChipId, there: readonly KernelChip[]): readonly KernelChip[] {
  if (wanted.kind === 'number') return there.filter(({ name }) => name === `gpiochip${wanted.number}`);
  if (wanted.kind === 'path') {
    const name = nodeBehind(wanted.path);
    return there.filter((chip) => chip.name === name);
  }
  const named = there.filter(({ name }) => name === wanted.name);
  return named.length > 0 ? named : there.filter(({ label }) => label === wanted.name);
}

/** A rule of udev may have given the chip a name of its own, as a link. */
function nodeBehind(path: string): string {
  try {
    return basename(realpathSync(path));
  } catch {
    return basename(path); // not there; whoever looks for it says so
  }
}

function noChip(wanted: ChipId, there: readonly KernelChip[]): RigError {
  const what = chipText(wanted);
  if (there.length === 0) {
    return new RigError(
      'unavailable',
      `${what}: expected a GPIO chip, this host has none; plug it in, or try --backend simulated`,
    );
  }
  const hidden = there.find(({ label }) => label === undefined);
  if (hidden && wanted.kind === 'name') throw noPermission(hidden.path);
  return new RigError(
    'unavailable',
    `${what}: expected a GPIO chip of this host, one of ${there.map(kernelChipText).join(', ')}; plug it in, or correct the config`,
  );
}

function noPermission(path: string): RigError {
  return new RigError(
    'hardware',
    `${path}: cannot be opened for reading and writing (EACCES); this login needs the group that owns it, often gpio`,
  );
}
