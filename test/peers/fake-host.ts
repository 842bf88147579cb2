/** A root folder with the /sys, /dev, /proc, /etc and /run of a host with USB adapters, laid out as the kernel and udev do. */

import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { HostFiles } from '../../src/device/host-files.ts';
import { tempFolder } from '../temp-folder.ts';

export interface FakeUsbDevice {
  /** `1-1.2`. */
  readonly port: string;
  readonly vid: string;
  readonly pid: string;
  readonly serial?: string;
  readonly manufacturer?: string;
  readonly product?: string;
}

export interface FakeTty {
  /** `ttyUSB0` is a usb-serial port, `ttyACM0` a CDC-ACM interface. */
  readonly name: string;
  /** Of the USB device. */
  readonly interface?: number;
  /** Of a usb-serial driver with several ports on one interface. */
  readonly portNumber?: number;
  readonly latencyTimer?: number;
}

const CONTROLLER = '/sys/devices/pci0000:00/0000:00:14.0';

/** Source: Linux Documentation/admin-guide/devices.txt. */
const MAJORS = { USB: 188, ACM: 166 } as const;
const USB_NODE_MAJOR = 189;

/** Only root may make a device node: here a node is a file that says its number. */
class FakeHostFiles extends HostFiles {
  override deviceNumber(path: string): string | undefined {
    return this.text(path);
  }
}

export class FakeHost {
  readonly root = tempFolder();
  #usbCount = 0;

  constructor() {
    for (const folder of ['/sys/class/tty', '/sys/dev/char', '/dev', '/proc', '/etc', '/run']) {
      this.folder(folder);
    }
  }

  get files(): HostFiles {
    return new FakeHostFiles(this.root);
  }

  folder(path: string): string {
    mkdirSync(join(this.root, path), { recursive: true });
    return path;
  }

  file(path: string, text: string): void {
    this.folder(dirname(path));
    writeFileSync(join(this.root, path), text);
  }

  remove(path: string): void {
    rmSync(join(this.root, path), { recursive: true });
  }

  /** Relative, as the kernel and udev make them. */
  link(path: string, target: string): void {
    this.folder(dirname(path));
    symlinkSync(relative(dirname(path), target), join(this.root, path));
  }

  /** The device, its hubs, and its `ttys`, each with its node and the links that udev makes. */
  plug(device: FakeUsbDevice, ...ttys: readonly FakeTty[]): void {
    const folder = this.#usbFolder(device.port);
    this.#usbDevice(folder, device);
    for (const tty of ttys) this.#tty(folder, device, tty);
  }

  /** A tty of the board itself, as the UART of a Raspberry Pi. */
  platformTty(name: string, number: string): void {
    const folder = `/sys/devices/platform/soc/${name === 'ttyAMA0' ? 'fe201000' : 'fe201400'}.serial/tty/${name}`;
    this.file(`${folder}/dev`, `${number}\n`);
    this.link(`/sys/class/tty/${name}`, folder);
    this.link(`/sys/dev/char/${number}`, folder);
    this.file(`/dev/${name}`, number);
  }

  /** A process with that command line. */
  process(pid: number, ...command: readonly string[]): void {
    const name = command[0]?.split('/').at(-1)?.slice(0, 15) ?? '';
    this.file(`/proc/${pid}/comm`, `${name}\n`);
    this.file(`/proc/${pid}/cmdline`, command.map((word) => `${word}\0`).join(''));
  }

  /** `…/usb1/1-1/1-1.2`, with a hub in each that has something behind it. */
  #usbFolder(port: string): string {
    const bus = port.split('-')[0] ?? '';
    let folder = `${CONTROLLER}/usb${bus}`;
    this.#usbDevice(folder, { port: `usb${bus}`, vid: '1d6b', pid: '0002', serial: '0000:00:14.0' });
    const parts = port.split('.');
    for (const count of parts.keys()) {
      const name = parts.slice(0, count + 1).join('.');
      folder = `${folder}/${name}`;
      if (count < parts.length - 1) this.#usbDevice(folder, { port: name, vid: '05e3', pid: '0610' });
    }
    return folder;
  }

  #usbDevice(folder: string, { port, vid, pid, ...texts }: FakeUsbDevice): void {
    const link = `/sys/bus/usb/devices/${port}`;
    this.file(`${folder}/idVendor`, `${vid}\n`);
    this.file(`${folder}/idProduct`, `${pid}\n`);
    for (const [name, text] of Object.entries(texts)) this.file(`${folder}/${name}`, `${text}\n`);
    if (this.files.real(link) !== undefined) return;
    this.link(link, folder);
    const number = `${USB_NODE_MAJOR}:${this.#usbCount++}`;
    this.file(`${folder}/dev`, `${number}\n`);
    this.link(`/sys/dev/char/${number}`, folder);
  }

  #tty(device: string, usb: FakeUsbDevice, tty: FakeTty): void {
    const { name, interface: index = 0, portNumber, latencyTimer } = tty;
    const usbInterface = `${usb.port}:1.${index}`;
    const folder = `${device}/${usbInterface}`;
    if (this.files.real(`/sys/bus/usb/devices/${usbInterface}`) === undefined) {
      this.file(`${folder}/bInterfaceNumber`, `0${index}\n`);
      this.link(`/sys/bus/usb/devices/${usbInterface}`, folder);
    }
    const isSerialDriver = name.startsWith('ttyUSB');
    const port = isSerialDriver ? `${folder}/${name}` : folder;
    if (isSerialDriver) this.file(`${port}/port_number`, `${portNumber ?? 0}\n`);
    if (latencyTimer !== undefined) this.file(`${port}/latency_timer`, `${latencyTimer}\n`);
    const ttyFolder = `${port}/tty/${name}`;
    const number = `${isSerialDriver ? MAJORS.USB : MAJORS.ACM}:${name.replace(/\D+/, '')}`;
    this.file(`${ttyFolder}/dev`, `${number}\n`);
    this.link(`${ttyFolder}/device`, port);
    this.link(`/sys/class/tty/${name}`, ttyFolder);
    this.link(`/sys/dev/char/${number}`, ttyFolder);
    this.file(`/dev/${name}`, number);
    const port0 = isSerialDriver ? `-port${portNumber ?? 0}` : '';
    const [bus, ports] = usb.port.split('-');
    this.link(
      `/dev/serial/by-path/pci-0000:00:14.0-usb-${Number(bus) - 1}:${ports}:1.${index}${port0}`,
      `/dev/${name}`,
    );
    this.#linkById(usb, name, `if0${index}${port0}`);
  }

  /** Adapters that say the same of themselves share a link: the last one plugged in has it. */
  #linkById({ vid, pid, manufacturer, product, serial }: FakeUsbDevice, tty: string, end: string): void {
    const words = [manufacturer ?? vid, product ?? pid, ...(serial === undefined ? [] : [serial])];
    const link = `/dev/serial/by-id/usb-${words.join('_').replaceAll(' ', '_')}-${end}`;
    if (this.files.real(link) === undefined) this.link(link, `/dev/${tty}`);
  }
}

/** What people have on their benches. */
export const UNO: FakeUsbDevice = {
  port: '1-1.1',
  vid: '2341',
  pid: '0043',
  serial: '75834353930351F0B1C0',
  manufacturer: 'Arduino (www.arduino.cc)',
};
export const CP2102: FakeUsbDevice = {
  port: '1-1.2',
  vid: '10c4',
  pid: 'ea60',
  serial: '0001',
  manufacturer: 'Silicon Labs',
  product: 'CP2102 USB to UART Bridge Controller',
};
export const CH340: FakeUsbDevice = { port: '1-1.3', vid: '1a86', pid: '7523', product: 'USB Serial' };
export const FT2232: FakeUsbDevice = {
  port: '1-2',
  vid: '0403',
  pid: '6010',
  manufacturer: 'FTDI',
  product: 'Dual RS232-HS',
  serial: 'FT4QLKYZ',
};
export const STLINK: FakeUsbDevice = {
  port: '2-1',
  vid: '0483',
  pid: '374b',
  manufacturer: 'STMicroelectronics',
  product: 'STM32 STLink',
  serial: '066DFF515055657867152631',
};
