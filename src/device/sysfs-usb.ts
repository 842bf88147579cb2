/**
 * What sysfs knows about USB devices and the ttys on them. Nothing is opened but sysfs's own files.
 *
 * A usb-serial adapter (cp210x, ch341, ftdi_sio) has `…/1-1.2/1-1.2:1.0/ttyUSB0/tty/ttyUSB0`, a CDC-ACM board
 * `…/1-1.2/1-1.2:1.0/tty/ttyACM0`: the USB device, its interface, the port on it, the tty.
 * Source: Linux Documentation/ABI/testing/sysfs-bus-usb, sysfs-tty; drivers/usb/serial, drivers/usb/class/cdc-acm.c.
 */

import { basename, dirname } from 'node:path';
import { oneLine } from '../base/one-line.ts';
import { HostFiles } from './host-files.ts';

const DEVICES = '/sys/devices/';
const USB_DEVICES = '/sys/bus/usb/devices';

/** A longer name would not leave room in a file name of 255 bytes. */
const MAX_NAME_BYTES = 200;

export interface UsbDevice {
  /** Where it is plugged in, bus and ports: `1-1.2`. */
  readonly path: string;
  /** Four hexadecimal digits, lower case. */
  readonly vid: string;
  readonly pid: string;
  /** Undefined for the many adapters that have none. */
  readonly serial: string | undefined;
  readonly manufacturer: string | undefined;
  readonly product: string | undefined;
  /** In sysfs. */
  readonly folder: string;
}

/** A tty on a USB device. */
export interface UsbTty {
  /** As the kernel calls it now: `ttyUSB0`. */
  readonly name: string;
  readonly usb: UsbDevice;
}

/**
 * The hardware behind the character device `major:minor`, usable as a file name: an adapter that comes back as ttyUSB3
 * instead of ttyUSB0 is the same place. Undefined where sysfs does not know the number.
 */
export function physicalName(number: string, files: HostFiles = new HostFiles()): string | undefined {
  const path = files.real(`/sys/dev/char/${number}`);
  if (path === undefined) return undefined;
  const name = physicalPath(path, files).replaceAll('/', '!');
  return Buffer.byteLength(name) <= MAX_NAME_BYTES ? name : undefined;
}

/** The USB device that the character device `major:minor` is, or is on: the adapter, not the hub it hangs on. */
export function usbDeviceBehind(number: string, files: HostFiles = new HostFiles()): UsbDevice | undefined {
  const path = files.real(`/sys/dev/char/${number}`);
  return path === undefined ? undefined : usbDeviceAbove(path, files);
}

/** Everything that is plugged in, hubs too. */
export function listUsbDevices(files: HostFiles = new HostFiles()): UsbDevice[] {
  return files
    .names(USB_DEVICES)
    .map((name) => files.real(`${USB_DEVICES}/${name}`))
    .map((folder) => (folder === undefined ? undefined : usbDeviceAt(folder, files)))
    .filter((device) => device !== undefined);
}

/** Every tty on a USB device, by device, interface and port. */
export function listUsbTtys(files: HostFiles = new HostFiles()): UsbTty[] {
  return files
    .names('/sys/class/tty')
    .map((name) => ({ name, path: files.real(`/sys/class/tty/${name}`) }))
    .map(({ name, path }) => ({
      name,
      order: path === undefined ? '' : physicalPath(path, files),
      usb: path === undefined ? undefined : usbDeviceAbove(path, files),
    }))
    .sort((a, b) => a.order.localeCompare(b.order, 'en', { numeric: true }))
    .flatMap(({ name, usb }) => (usb ? [{ name, usb }] : []));
}

/** `Silicon Labs CP2102 (10c4:ea60, serial 0001, port 1-1.2)`, for messages. */
export function describeUsb({ manufacturer, product, vid, pid, serial, path }: UsbDevice): string {
  const name = [manufacturer, product].filter((part) => part !== undefined).join(' ');
  const identity = `${vid}:${pid}, ${serial === undefined ? 'no serial' : `serial ${serial}`}, port ${path}`;
  return oneLine(name === '' ? identity : `${name} (${identity})`); // whoever made the device wrote it
}

function physicalPath(path: string, files: HostFiles): string {
  const withoutRoot = path.startsWith(DEVICES) ? path.slice(DEVICES.length) : path;
  if (!/\/usb\d+\//.test(path)) return withoutRoot;
  const port = dirname(dirname(path));
  // Only the tty's number changes from one plugging to the next: it is left out.
  if (basename(dirname(path)) !== 'tty') return withoutRoot;
  const usbInterface = basename(port) === basename(path) ? dirname(port) : port;
  // Which of several ttys on one interface; cdc-acm has one tty an interface, and no such file.
  return `${usbInterface.slice(DEVICES.length)}#${files.text(`${port}/port_number`) ?? '0'}`;
}

function usbDeviceAbove(path: string, files: HostFiles): UsbDevice | undefined {
  for (let folder = path; folder.startsWith(DEVICES); folder = dirname(folder)) {
    const device = usbDeviceAt(folder, files);
    if (device) return device;
  }
  return undefined;
}

function usbDeviceAt(folder: string, files: HostFiles): UsbDevice | undefined {
  const [vid, pid] = [files.text(`${folder}/idVendor`), files.text(`${folder}/idProduct`)];
  if (!vid || !pid) return undefined; // an interface, or nothing of USB
  const text = (name: string): string | undefined => files.text(`${folder}/${name}`) || undefined;
  return {
    path: basename(folder),
    vid: vid.toLowerCase(),
    pid: pid.toLowerCase(),
    serial: text('serial'),
    manufacturer: text('manufacturer'),
    product: text('product'),
    folder,
  };
}
