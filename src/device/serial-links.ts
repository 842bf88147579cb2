/** The names that udev gives a tty besides the kernel's: where it is plugged in, and what it says it is. */

import type { HostFiles } from './host-files.ts';

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

export const isNamedByOrder = (path: string): boolean => BY_ORDER.test(path);
export const isById = (path: string): boolean => path.startsWith(`${BY_ID}/`);
