/** The names that udev gives a tty besides the kernel's: where it is plugged in, and what it says it is. */

import type { HostFiles } from './host-files.ts';
import type { UsbDevice } from './sysfs-usb.ts';

const BY_PATH = '/dev/serial/by-path';
const BY_ID = '/dev/serial/by-id';

/** `/dev/ttyUSB0`: whichever was plugged in first has it. */
const BY_ORDER = /^\/dev\/tty(?:USB|ACM)\d+$/;

export interface SerialLinks {
  /** Stays as long as the board stays in its socket. */
  readonly byPath: string | undefined;
  /** Goes with the adapter, where that has a serial number of its own. */
  readonly byId: string | undefined;
}

/** The links to `/dev/<name>`. Of two by-path names of newer systemd, the one that older ones have too. */
export function linksTo(name: string, files: HostFiles): SerialLinks {
  const find = (folder: string): string | undefined =>
    files
      .names(folder)
      .map((link) => `${folder}/${link}`)
      .find((link) => files.real(link) === `/dev/${name}`);
  return { byPath: find(BY_PATH), byId: find(BY_ID) };
}

/** Every tty that has a by-path link, once. */
export function linkedTtys(files: HostFiles): { readonly node: string; readonly byPath: string }[] {
  const found = new Map<string, string>();
  for (const name of files.names(BY_PATH)) {
    const byPath = `${BY_PATH}/${name}`;
    const node = files.real(byPath);
    if (node !== undefined && !found.has(node)) found.set(node, byPath);
  }
  return [...found].map(([node, byPath]) => ({ node, byPath }));
}

export const isNamedByOrder = (path: string): boolean => BY_ORDER.test(path);
export const isById = (path: string): boolean => path.startsWith(`${BY_ID}/`);

/** Why a by-id link may lead to another adapter of the same make. */
export function doubtOfIdentity(usb: UsbDevice, all: readonly UsbDevice[]): string | undefined {
  if (usb.serial === undefined) return 'leads to any adapter of its make, because they have no serial number';
  const twin = all.find(
    (each) =>
      each.path !== usb.path && each.vid === usb.vid && each.pid === usb.pid && each.serial === usb.serial,
  );
  return (
    twin &&
    `leads to one of two adapters with serial number ${usb.serial}, at ports ${usb.path} and ${twin.path}`
  );
}
