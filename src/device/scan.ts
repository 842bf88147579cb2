/** `sai-device --scan`: entries for the devices config, for the boards that are plugged in. Opens no tty. */

import type { Invocation } from '../base/run-main.ts';
import { statIfVisible } from '../base/visible-file.ts';
import type { Device } from '../wire/device.ts';
import { HostFiles } from './host-files.ts';
import { loadPool, type PooledDevice } from './pool.ts';
import { linkedTtys, linksTo, type SerialLinks } from './serial-links.ts';
import { describeUsb, listUsbDevices, listUsbTtys, type UsbDevice } from './sysfs-usb.ts';
import { guessBoard, isProbeSerial, probeKindOf, UNKNOWN_TYPE } from './usb-ids.ts';

/** One USB device with ttys, or a probe. */
export interface Found {
  /** For people: which one, and what may be behind it. */
  readonly what: string;
  /** The devices of the config that have one of its ttys. */
  readonly listedAs: readonly string[];
  /** What to write into the config for the ttys that are not in it yet; undefined when all are. */
  readonly entry: Device | undefined;
  /** What to look after before it is used. */
  readonly remarks: readonly string[];
}

/** Prints a config of what is not in `config` yet, which need not exist; what it found, on stderr. */
export async function scanForDevices(
  config: string,
  format: 'text' | 'json',
  { print, diagnostics }: Invocation,
): Promise<number> {
  const found = scan(statIfVisible(config) ? await loadPool(config) : []);
  if (format === 'json') {
    for (const each of found) print(`${JSON.stringify(each)}\n`);
    return 0;
  }
  if (found.length === 0) {
    diagnostics.say(
      'no USB tty found: plug a board in, and watch dmesg for what the kernel says of it; ' +
        'in a container, bind-mount /dev and /sys of the host',
    );
  }
  for (const { what, listedAs, entry, remarks } of found) {
    const listed = listedAs.length > 0 ? [`listed as ${listedAs.join(', ')}`] : [];
    const fresh = entry ? [`new as ${entry.name}`] : [];
    const state = [...listed, ...fresh].join('; ');
    if (state !== '') diagnostics.say(`${what}: ${state}`);
    for (const remark of remarks) diagnostics.say(`${what}: ${remark}`);
  }
  const devices = found.map(({ entry }) => entry).filter((entry) => entry !== undefined);
  // Also without any, so that a file it is written to is a config.
  print(`${JSON.stringify({ devices }, null, 2)}\n`);
  return 0;
}

/** USB devices with ttys, in the order of their ports; ttys of the machine itself that udev links; probes without any. */
export function scan(pool: readonly PooledDevice[], files = new HostFiles()): Found[] {
  const names = new Set(pool.map(({ name }) => name));
  return [
    ...boardsWithTtys(pool, names, files),
    ...ttysOfTheMachine(pool, names, files),
    ...bareProbes(pool, files),
  ];
}

function boardsWithTtys(pool: readonly PooledDevice[], names: Set<string>, files: HostFiles): Found[] {
  const usbTtys = listUsbTtys(files);
  const boards = new Map(usbTtys.map(({ usb }) => [usb.path, usb]));
  return [...boards.values()].map((usb) => {
    const ttys = usbTtys
      .filter((each) => each.usb.path === usb.path)
      .map(({ name }) => ({ node: `/dev/${name}`, links: linksTo(name, files) }));
    const listedAs = pool.filter((device) => ttys.some(({ node }) => hasTty(device, node, files)));
    const fresh = ttys.filter(({ node }) => !listedAs.some((device) => hasTty(device, node, files)));
    const { type, what } = guessBoard(usb);
    const entry = fresh.length === 0 ? undefined : entryOf(usb, fresh, freeName(type, names));
    const nodes = ttys.map(({ node }) => node).join(', ');
    return {
      what: `${nodes}: ${what}, ${describeUsb(usb)}`,
      listedAs: listedAs.map(({ name }) => name),
      entry,
      remarks: entry ? remarksOn(entry, usb, fresh, files) : [],
    };
  });
}

/** A UART of the machine, such as a Raspberry Pi's: what is at its other end nobody can see. */
function ttysOfTheMachine(pool: readonly PooledDevice[], names: Set<string>, files: HostFiles): Found[] {
  const onUsb = new Set(listUsbTtys(files).map(({ name }) => `/dev/${name}`));
  return linkedTtys(files)
    .filter(({ node }) => !onUsb.has(node))
    .map(({ node, byPath }) => {
      const listedAs = pool.filter((device) => hasTty(device, node, files)).map(({ name }) => name);
      const what = `${node}: UART of this machine`;
      if (listedAs.length > 0) return { what, listedAs, entry: undefined, remarks: [] };
      const name = freeName(UNKNOWN_TYPE, names);
      const entry = { name, type: UNKNOWN_TYPE, description: what, ttys: [byPath] };
      return { what, listedAs, entry, remarks: ['write what board is at its other end, if any'] };
    });
}

function bareProbes(pool: readonly PooledDevice[], files: HostFiles): Found[] {
  const withTtys = new Set(listUsbTtys(files).map(({ usb }) => usb.path));
  return listUsbDevices(files).flatMap((usb) => {
    const { serial, path } = usb;
    const kind = probeKindOf(usb);
    if (kind === undefined || serial === undefined || withTtys.has(path)) return [];
    const listedAs = pool
      .filter(({ probe }) => probe && isProbeSerial(serial, probe.serial, probe.kind))
      .map(({ name }) => name);
    const words = JSON.stringify({ serial, kind });
    const remark = `it has no tty: add "probe": ${words} to the device that it debugs`;
    return [
      {
        what: `${kind} probe, ${describeUsb(usb)}`,
        listedAs,
        entry: undefined,
        remarks: listedAs.length > 0 ? [] : [remark],
      },
    ];
  });
}

function hasTty({ ttys }: PooledDevice, node: string, files: HostFiles): boolean {
  return ttys.some(({ path }) => files.real(path) === node);
}

interface FoundTty {
  readonly node: string;
  readonly links: SerialLinks;
}

function entryOf(usb: UsbDevice, ttys: readonly FoundTty[], name: string): Device {
  const { type } = guessBoard(usb);
  const byIds = ttys.map(({ links }) => links.byId).filter((link) => link !== undefined);
  const kind = probeKindOf(usb);
  const { serial, vid, pid } = usb;
  return {
    name,
    type,
    description: [describeUsb(usb), ...byIds].join(', '),
    ttys: ttys.map(({ node, links }) => links.byPath ?? node),
    usb: { ...(serial === undefined ? {} : { serial }), vid, pid },
    ...(kind === undefined || serial === undefined ? {} : { probe: { serial, kind } }),
  };
}

function freeName(type: string, names: Set<string>): string {
  let number = 1;
  while (names.has(`${type}-${number}`)) number += 1;
  const name = `${type}-${number}`;
  names.add(name);
  return name;
}

function remarksOn(entry: Device, usb: UsbDevice, ttys: readonly FoundTty[], files: HostFiles): string[] {
  const remarks: string[] = [];
  if (entry.type === UNKNOWN_TYPE) {
    remarks.push(`any board may have this adapter: write what board it is for type ${UNKNOWN_TYPE}`);
  }
  if (usb.serial === undefined) {
    remarks.push('it has no serial number: the entry is for whichever of its make is in that socket');
  }
  for (const { node, links } of ttys) {
    if (files.stat(node) === undefined) {
      remarks.push(`${node} is not in this /dev; bind-mount /dev of the host`);
    } else if (links.byPath === undefined) {
      remarks.push(`${node} has no link in /dev/serial/by-path, and its name may change; is udev running?`);
    }
  }
  return remarks;
}
