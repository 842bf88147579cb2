/** Whether a device is the board that the config means, as far as USB can tell. Opens nothing. */

import { splitDeviceNumber } from '../base/proc-locks.ts';
import { HostFiles } from './host-files.ts';
import type { Place, PlaceProblem } from './place.ts';
import type { PooledDevice, PooledProbe, PooledUsb } from './pool.ts';
import { describeUsb, listUsbDevices, type UsbDevice, usbDeviceBehind } from './sysfs-usb.ts';
import { isProbeOfKind } from './usb-ids.ts';

/** Why this is not the board, or its probe is not there; undefined when all that the config says is so. */
export function identityProblem(
  device: PooledDevice,
  places: readonly Place[],
  files: HostFiles = new HostFiles(),
): PlaceProblem | undefined {
  const { usb, probe } = device;
  const text = (usb && usbProblem(usb, places, files)) ?? (probe && probeProblem(probe, files));
  return text === undefined ? undefined : { path: places[0]?.path ?? '', text };
}

/** All that is wanted must be true of one USB device. */
function usbProblem(wanted: PooledUsb, places: readonly Place[], files: HostFiles): string | undefined {
  const behind = places.map((place) => ({ path: place.path, usb: usbDeviceOf(place, files) }));
  if (behind.some(({ usb }) => usb && isSame(wanted, usb))) return undefined;
  const found = behind.map(({ path, usb }) => `${usb ? describeUsb(usb) : 'none'} behind ${path}`);
  const expected = `expected the USB device with ${describeWanted(wanted)}`;
  const cure = elsewhere(wanted, files) ?? 'plug the right board in, or correct usb in the config';
  return `${expected}, found ${found.join(', ')}; ${cure}`;
}

function usbDeviceOf(place: Place, files: HostFiles): UsbDevice | undefined {
  if (place.rdev === 0) return undefined; // no device node
  const { major, minor } = splitDeviceNumber(place.rdev);
  return usbDeviceBehind(`${major}:${minor}`, files);
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

function probeProblem({ serial, kind }: PooledProbe, files: HostFiles): string | undefined {
  const there = listUsbDevices(files);
  const withSerial = there.filter((usb) => usb.serial !== undefined && isSerial(usb.serial, serial, kind));
  if (withSerial.some((usb) => isProbeOfKind(usb, kind))) return undefined;
  const expected = `expected the ${kind} probe with serial ${serial}`;
  const [other] = withSerial;
  if (other) return `${expected}, found ${describeUsb(other)}; correct probe in the config`;
  const alike = there.filter((usb) => isProbeOfKind(usb, kind));
  const found = alike.length === 0 ? 'none' : `only ${alike.map((usb) => describeUsb(usb)).join(', ')}`;
  return `${expected}, found ${found}; plug the probe in, or correct the config`;
}

/** A J-Link says its number with zeros in front, its tools without. */
function isSerial(found: string, wanted: string, kind: PooledProbe['kind']): boolean {
  const bare = (text: string): string => (kind === 'jlink' ? text.replace(/^0+/, '') : text);
  return bare(found) === bare(wanted);
}
