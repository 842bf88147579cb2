/** What gives a user the permission that a node denies. */

import { constants } from 'node:fs';
import { userName } from '../base/user-name.ts';
import { HostFiles } from './host-files.ts';

/** Who asks. */
export interface Login {
  readonly name: string;
  /** Of this process: what the login got when it began. */
  readonly gids: readonly number[];
}

/** Of this process. */
export function ownLogin(): Login {
  return { name: userName(), gids: [process.getgid?.() ?? 0, ...(process.getgroups?.() ?? [])] };
}

/** What to do so that `login` may read and write a tty, or read a file. */
export function permissionCure(
  path: string,
  what: 'tty' | 'file',
  login: Login = ownLogin(),
  files: HostFiles = new HostFiles(),
): string {
  const needed = what === 'tty' ? constants.S_IRGRP | constants.S_IWGRP : constants.S_IRGRP;
  const stat = files.stat(path);
  if (!stat) return 'make its folder accessible to this user';
  const { gid, mode } = stat;
  // Who is in the group gains nothing then, and `root` is the wrong group to be in.
  if (gid === 0 || (mode & needed) !== needed) {
    return 'have a udev rule give it to a group of the users of the rig: GROUP="dialout", MODE="0660"';
  }
  const group = groupOf(gid, files);
  if (group.members.includes(login.name) && !login.gids.includes(gid)) {
    return `${login.name} is in group ${group.name}, which this login is older than: log in again`;
  }
  return `add this user to group ${group.name} (usermod -aG ${group.name} ${login.name}, then log in again)`;
}

/** Source: group(5). */
export function groupOf(
  gid: number,
  files: HostFiles,
): { readonly name: string; readonly members: readonly string[] } {
  const lines = files.text('/etc/group')?.split('\n') ?? [];
  const entry = lines.map((line) => line.split(':')).find((fields) => fields[2] === String(gid));
  return { name: entry?.[0] ?? String(gid), members: entry?.[3]?.split(',') ?? [] };
}
