/** Whether a device is the board that the config means, as far as USB can tell. Opens nothing. */

import { HostFiles } from './host-files.ts';
import type { PooledDevice, PooledProbe, PooledUsb } from './pool.ts';
import { describeUsb, listUsbDevices, type UsbDevice, usbDeviceBehind } from './sysfs-usb.ts';
import { isProbeOfKind, isProbeSerial } from './usb-ids.ts';

/** What is locked for a device. */
export interface LockedNode {
  /** As configured. */
  readonly path: string;
  /** `major:minor`; undefined for what is no character device. */
  readonly number: string | undefined;
}

/** What is wrong, and what to do. */
export interface IdentityProblem {
  readonly problem: string;
  readonly cure: string;
}

/** Why this is not the board, or its probe is not there; undefined when all that the config says is so. */
export function identityProblem(
  device: Pick<PooledDevice, 'usb' | 'probe'>,
  nodes: readonly LockedNode[],
  files: HostFiles = new HostFiles(),
): IdentityProblem | undefined {
  const { usb, probe } = device;
  return (usb && usbProblem(usb, nodes, files)) ?? (probe && probeProblem(probe, files));
}

/** The same for a board that comes back: somebody may have plugged another one in instead. The probe stays where it is. */
export function returnProblem(
  { usb, ttys }: Pick<PooledDevice, 'usb' | 'ttys'>,
  files: HostFiles = new HostFiles(),
): IdentityProblem | undefined {
  if (!usb) return undefined;
  const nodes = ttys
    .filter(({ locked }) => locked)
    .map(({ path }) => ({ path, number: files.deviceNumber(path) }));
  return identityProblem({ usb, probe: undefined }, nodes, files);
}

/** All that is wanted must be true of one USB device. */
function usbProblem(
  wanted: PooledUsb,
  nodes: readonly LockedNode[],
  files: HostFiles,
): IdentityProblem | undefined {
  const behind = nodes.map(({ path, number }) => ({
    path,
    usb: number === undefined ? undefined : usbDeviceBehind(number, files),
  }));
  if (behind.some(({ usb }) => usb && isSame(wanted, usb))) return undefined;
  const found = behind.map(({ path, usb }) => `${usb ? describeUsb(usb) : 'none'} behind ${path}`);
  const expected = `expected the USB device with ${describeWanted(wanted)}`;
  const cure = elsewhere(wanted, files) ?? 'plug the right board in, or correct usb in the config';
  return { problem: `${expected}, found ${found.join(', ')}`, cure };
}

function isSame(wanted: PooledUsb, usb: UsbDevice): boolean {
  return Object.entries(wanted).every(([key, value]) => usb[key as keyof PooledUsb] === value);
}

function describeWanted(wanted: PooledUsb): string {
  return Object.entries(wanted)
    .map(([key, value]) => `${key} ${value}`)
    .join(', ');
}

/** Two boards that changed places: the one that is wanted is plugged in, but somewhere else. */
function elsewhere(wanted: PooledUsb, files: HostFiles): string | undefined {
  const others = wanted.serial === undefined ? [] : listUsbDevices(files);
  const other = others.find((usb) => isSame(wanted, usb));
  return other && `it is at port ${other.path}: plug it in where it was, or correct ttys in the config`;
}

function probeProblem({ serial, kind }: PooledProbe, files: HostFiles): IdentityProblem | undefined {
  const there = listUsbDevices(files);
  const withSerial = there.filter(
    (usb) => usb.serial !== undefined && isProbeSerial(usb.serial, serial, kind),
  );
  if (withSerial.some((usb) => isProbeOfKind(usb, kind))) return undefined;
  const expected = `expected the ${kind} probe with serial ${serial}`;
  const [other] = withSerial;
  if (other) {
    return { problem: `${expected}, found ${describeUsb(other)}`, cure: 'correct probe in the config' };
  }
  const alike = there.filter((usb) => isProbeOfKind(usb, kind));
  const found = alike.length === 0 ? 'none' : `only ${alike.map((usb) => describeUsb(usb)).join(', ')}`;
  return { problem: `${expected}, found ${found}`, cure: 'plug the probe in, or correct the config' };
}
