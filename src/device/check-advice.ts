/** What in a config works, and may surprise somebody one day. */

import { basename } from 'node:path';
import type { HostFiles } from './host-files.ts';
import { whyUnusable } from './place.ts';
import type { PooledDevice } from './pool.ts';
import { doubtOfIdentity, isById, isNamedByOrder, linksTo } from './serial-links.ts';
import { listUsbDevices, usbDeviceBehind } from './sysfs-usb.ts';
import { identityProblem } from './usb-identity.ts';
import { UNKNOWN_TYPE } from './usb-ids.ts';

/** Its last number counts how often something was plugged in. */
const USB_NODE = /^\/dev\/bus\/usb\/\d+\/\d+$/;

/** One line for each, with the path inside the config. */
export function adviceOn(devices: readonly PooledDevice[], files: HostFiles): string[] {
  return devices.flatMap((device, index) => {
    const others = devices.filter((other) => other !== device);
    return [
      ...aboutWords(device, others),
      ...device.ttys.flatMap(({ path }, tty) => {
        return aboutPath(path, files).map((text) => `.ttys.${tty}: ${text}`);
      }),
      ...aboutTtyNames(device),
      ...aboutLocks(device, devices.slice(0, index), files),
      ...aboutProbe(device, devices.slice(0, index)),
      ...aboutIdentity(device, files),
    ].map((text) => `devices.${index}${text}`);
  });
}

function aboutWords(device: PooledDevice, others: readonly PooledDevice[]): string[] {
  const { name, type, tags } = device;
  const advice: string[] = [];
  const namesake = others.find(({ answersTo }) => answersTo.includes(name));
  if (namesake && namesake.name !== name) {
    advice.push(
      `.name: ${namesake.name} answers to ${JSON.stringify(name)} too; a request for it may get either`,
    );
  }
  if (type === UNKNOWN_TYPE) advice.push('.type: say what board it is');
  const tagged = others.find((other) => other.type === type && other.tags.length > 0);
  if (tagged && tags.length === 0) {
    advice.push(`: has no tags, as ${tagged.name} of the same type has; --tag never takes it`);
  }
  return advice;
}

function aboutPath(path: string, files: HostFiles): string[] {
  const node = files.real(path);
  const byPath = (node && linksTo(basename(node), files).byPath) ?? 'its link in /dev/serial/by-path';
  const advice: string[] = [];
  advice.push(...aboutAbsence(path, 'tty', files));
  if (isNamedByOrder(path)) {
    advice.push(`${path} goes to whichever board was plugged in first; write ${byPath}`);
  }
  const number = files.deviceNumber(path);
  const usb = number === undefined || !isById(path) ? undefined : usbDeviceBehind(number, files);
  const doubt = usb && doubtOfIdentity(usb, listUsbDevices(files));
  if (doubt !== undefined) advice.push(`${path} ${doubt}; write ${byPath}`);
  return advice;
}

function aboutAbsence(path: string, what: 'tty' | 'file', files: HostFiles): string[] {
  const error = files.errorAt(path);
  if (error === undefined) return [];
  const { problem, cure } = whyUnusable(path, what, error, undefined, files);
  return [problem === `no such ${what}` ? `${path} is not there now` : `${path}: ${problem}; ${cure}`];
}

function aboutTtyNames({ ttys }: PooledDevice): string[] {
  return ttys.flatMap(({ path, name }, index) => {
    const before = ttys.slice(0, index);
    const advice: string[] = [];
    if (before.some((tty) => tty.path === path)) advice.push(`: ${path} is listed before`);
    if (name !== undefined && before.some((tty) => tty.name === name)) {
      advice.push(`.name: sai-expect --tty ${name} takes the first tty of that name`);
    }
    if (name !== undefined && /^\d+$/.test(name)) {
      advice.push(`.name: sai-expect --tty ${name} takes it for an index; choose a word`);
    }
    return advice.map((text) => `.ttys.${index}${text}`);
  });
}

function aboutLocks(device: PooledDevice, before: readonly PooledDevice[], files: HostFiles): string[] {
  return device.locks.flatMap((path, index) => {
    const advice: string[] = [];
    advice.push(...aboutAbsence(path, 'file', files));
    if (USB_NODE.test(path)) {
      const number = files.deviceNumber(path);
      const serial = (number && usbDeviceBehind(number, files)?.serial) ?? 'SERIAL';
      advice.push(
        `${path} is another device after the next plugging; write /dev/sai/probe-${serial}, ` +
          'a link that hardware/udev/70-sai-rig.rules makes for a probe',
      );
    }
    if (device.ttys.some((tty) => tty.path === path)) {
      advice.push(`${path} is one of its ttys, and locked as such`);
    }
    const others = before.filter(
      ({ locks, ttys }) => locks.includes(path) || ttys.some((tty) => tty.path === path),
    );
    for (const { name } of others) {
      advice.push(`${path} belongs to ${name} too: while one of them is held, nobody gets the other`);
    }
    return advice.map((text) => `.locks.${index}: ${text}`);
  });
}

/** The probe itself is not locked: two debug servers would fight for it. */
function aboutProbe({ probe }: PooledDevice, before: readonly PooledDevice[]): string[] {
  const other = before.find((each) => probe && each.probe?.serial === probe.serial);
  if (!probe || !other) return [];
  return [
    `.probe: ${other.name} has it too; list /dev/sai/probe-${probe.serial} in locks of both, so that one waits for the other`,
  ];
}

function aboutIdentity(device: PooledDevice, files: HostFiles): string[] {
  const paths = [...device.ttys.filter(({ locked }) => locked).map(({ path }) => path), ...device.locks];
  const there = paths.filter((path) => files.stat(path) !== undefined);
  if (there.length < paths.length) return []; // not plugged in: said already
  const nodes = there.map((path) => ({ path, number: files.deviceNumber(path) }));
  const wrong = identityProblem(device, nodes, files);
  return wrong ? [`: ${wrong.problem}; ${wrong.cure}`] : [];
}
