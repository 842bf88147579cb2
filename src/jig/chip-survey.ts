/** Which chips a config means and what lines they have: asked for, without requesting a line. */

import { realpathSync } from 'node:fs';
import { errnoCode, RigError, reasonOf } from '../base/errors.ts';
import { closeGpioChip, openGpioChip, readChipInfo, readLineInfo } from '../native/gpio-chardev.ts';
import type { Backend } from './chips.ts';
import type { ChipLine } from './gpio.ts';
import { findChip, kernelChips, kernelChipText } from './kernel-chips.ts';
import { type ChipId, chipText, type TargetPlan } from './plan.ts';
import { openSocketChip } from './socket-chip.ts';

export interface SurveyedChip {
  /** The same for two chips of the config that are one. */
  readonly identity: string;
  /** How people name it in messages. */
  readonly name: string;
  /** Undefined where nobody can be asked for them. */
  readonly lines: readonly ChipLine[] | undefined;
  /** Why it could not be asked. */
  readonly failure?: RigError;
}

/** By what {@link chipText} says of it. */
export type ChipSurvey = ReadonlyMap<string, SurveyedChip>;

export async function surveyChips(targets: readonly TargetPlan[], backend: Backend): Promise<ChipSurvey> {
  const chips = new Map(targets.flatMap(({ lines }) => lines.map(({ chip }) => [chipText(chip), chip])));
  const surveyed = [...chips].map(async ([key, chip]) => [key, await survey(chip, backend)] as const);
  return new Map(await Promise.all(surveyed));
}

async function survey(chip: ChipId, backend: Backend): Promise<SurveyedChip> {
  const unasked = { identity: identityOf(chip), name: chipText(chip), lines: undefined };
  if (chip.kind === 'modem') return { ...unasked, name: chip.tty, lines: named(['dtr', 'rts']) };
  if (chip.kind === 'command') return { ...unasked, lines: named(chip.lines.map(({ name }) => name)) };
  if (backend === 'simulated') return unasked;
  try {
    if (isSocket(chip)) return { ...unasked, lines: await linesOfSocket(chip.path) };
    return askKernel(chip);
  } catch (error) {
    if (error instanceof RigError) return { ...unasked, failure: error };
    throw error;
  }
}

/** As far as names tell: only the kernel knows the number behind a label. */
function identityOf(chip: ChipId): string {
  switch (chip.kind) {
    case 'number':
      return `gpiochip${chip.number}`;
    case 'name':
      return chip.name;
    case 'path':
      return realPath(chip.path).replace(/^\/dev\/(?=gpiochip\d+$)/, '');
    case 'modem':
      return realPath(chip.tty);
    case 'command':
      return `command ${chip.name}`;
  }
}

/** Opening the chip's node, asking for its label and for the names of its lines moves none of them. */
function askKernel(chip: ChipId): SurveyedChip {
  const found = findChip(chip, kernelChips());
  const name = kernelChipText(found);
  try {
    const fd = openGpioChip(found.path);
    try {
      return { identity: found.name, name, lines: linesOfChip(fd) };
    } finally {
      closeGpioChip(fd);
    }
  } catch (error) {
    throw new RigError('unavailable', `${name}: cannot be asked: ${reasonOf(error)}`, { cause: error });
  }
}

/** Undefined on kernels before 5.10, which have another interface for that. */
function linesOfChip(fd: number): ChipLine[] | undefined {
  const { lineCount } = readChipInfo(fd);
  try {
    return Array.from({ length: lineCount }, (_, offset) => {
      const { name, consumer, isUsed } = readLineInfo(fd, offset);
      return { offset, name, consumer: isUsed ? consumer || 'somebody without a name' : undefined };
    });
  } catch (error) {
    const code = errnoCode(error);
    if (code === 'EINVAL' || code === 'ENOTTY') return undefined;
    throw error;
  }
}

async function linesOfSocket(path: string): Promise<readonly ChipLine[]> {
  await using chip = await openSocketChip(path);
  return await chip.lines();
}

function isSocket(chip: ChipId): chip is ChipId & { readonly kind: 'path' } {
  return chip.kind === 'path' && !chip.path.startsWith('/dev/');
}

function named(names: readonly string[]): ChipLine[] {
  return names.map((name, offset) => ({ offset, name, consumer: undefined }));
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path; // not there, so it is no link to another either
  }
}
