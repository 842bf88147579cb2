/** What is wrong with the folder that all users of a host share their leases and tickets in. */

import { constants } from 'node:fs';
import { dirname } from 'node:path';
import type { Ailment, ExaminedNode, Patient } from './ailment.ts';
import type { HostFiles } from './host-files.ts';
import { fileSystemOf } from './mounts.ts';
import { groupOf, permissionCure } from './permission.ts';
import { FALLBACK_PARENT, fallbackPathOf, SYSTEM_RUN_DIR } from './run-dir.ts';

const TMPFILES_FOLDERS = [
  '/etc/tmpfiles.d',
  '/run/tmpfiles.d',
  '/usr/local/lib/tmpfiles.d',
  '/usr/lib/tmpfiles.d',
];

const INSTALL = 'install hardware/tmpfiles.d/sai-rig.conf, then as root: systemd-tmpfiles --create';

const OTHER_FOLDER = 'set SAI_RUN_DIR to a folder that can be written to, or unset it';

/** Locks there are not this host's alone, or not locks at all. */
const FOREIGN_FILE_SYSTEM = /^(?:nfs.*|cifs|smb.*|fuse.*|9p|ceph)$/;

/** The group of ttys. Source: Debian base-passwd, group.master. */
const DIALOUT = 20;

/** Source: inode(7). */
const STICKY = 0o1000;
const SETGID = 0o2000;

const unavailable = (problem: string, cure: string): Ailment => ({ blame: 'unavailable', problem, cure });

export function ailmentsOfRunDir(nodes: readonly ExaminedNode[], patient: Patient): Ailment[] {
  const { runDir, files } = patient;
  if (runDir !== undefined && !runDir.startsWith('/')) {
    const problem = `SAI_RUN_DIR: expected an absolute path, got ${JSON.stringify(runDir)}`;
    return [{ blame: 'config', problem, cure: 'correct it, or unset it' }];
  }
  const ttyGid = ttyGidOf(nodes, files);
  if (runDir !== undefined) {
    return files.stat(runDir) ? aboutFolder(runDir, ttyGid, patient) : aboutUnmade(runDir, patient);
  }
  if (files.stat(SYSTEM_RUN_DIR)) {
    return [...aboutFolder(SYSTEM_RUN_DIR, ttyGid, patient), ...aboutNextBoot(files)];
  }
  return aboutFallback(ttyGid, patient);
}

/** What was looked at, for people who ask why. */
export function factsOfRunDir(nodes: readonly ExaminedNode[], { runDir, files }: Patient): string[] {
  const ttyGid = ttyGidOf(nodes, files);
  const fallback = ttyGid === undefined ? [] : [fallbackPathOf(ttyGid)];
  const candidates = runDir === undefined ? [SYSTEM_RUN_DIR, ...fallback] : [runDir];
  const path = candidates.find((each) => files.stat(each));
  const stat = path === undefined ? undefined : files.stat(path);
  if (path === undefined || !stat) return ['run folder: none yet'];
  const mode = (stat.mode & 0o7777).toString(8);
  const fileSystem = fileSystemOf(files.real(path) ?? path, files) ?? 'unknown';
  const facts = [
    `run folder: ${path}, mode ${mode}, group ${groupOf(stat.gid, files).name}, on ${fileSystem}`,
  ];
  const level = Number(files.text('/proc/sys/fs/protected_regular') ?? 0);
  if (level > 0) {
    // Ours open what is there without O_CREAT. Source: Linux Documentation/admin-guide/sysctl/fs.rst.
    facts.push(
      `fs.protected_regular=${level}: flock(1) is refused on lease files of other users; the commands of the rig are not`,
    );
  }
  return facts;
}

const ttyGidOf = (nodes: readonly ExaminedNode[], files: HostFiles): number | undefined =>
  nodes
    .filter(({ what }) => what === 'tty')
    .map(({ path }) => files.stat(path)?.gid)
    .find((gid) => gid !== undefined);

function aboutFallback(ttyGid: number | undefined, patient: Patient): Ailment[] {
  const { files, mayUse } = patient;
  if (ttyGid === undefined) return [unavailable(`${SYSTEM_RUN_DIR} is missing`, INSTALL)];
  const path = fallbackPathOf(ttyGid);
  const mayMake = files.stat(FALLBACK_PARENT) !== undefined && mayUse(FALLBACK_PARENT, 'tty');
  const instead =
    files.stat(path) || mayMake
      ? `${path} serves instead, for ttys of one group only`
      : 'there is no queue, and nobody sees who holds a board';
  const there = files.stat(path) ? aboutFolder(path, ttyGid, patient) : [];
  return [unavailable(`${SYSTEM_RUN_DIR} is missing: ${instead}`, INSTALL), ...there];
}

/** Whoever is first to take a device makes it, with the parents that it lacks. */
function aboutUnmade(runDir: string, { files, mayUse }: Patient): Ailment[] {
  let parent = dirname(runDir);
  while (!files.stat(parent) && parent !== '/') parent = dirname(parent);
  if (files.stat(parent)?.isDirectory() && mayUse(parent, 'tty')) return [];
  return [unavailable(`SAI_RUN_DIR: ${runDir} is missing, and cannot be made in ${parent}`, OTHER_FOLDER)];
}

function aboutFolder(path: string, ttyGid: number | undefined, patient: Patient): Ailment[] {
  const { files, mayUse, login, runDir } = patient;
  const stat = files.stat(path);
  if (!stat?.isDirectory()) {
    const problem = `${path}: expected a folder, found another kind of file`;
    // A path that somebody has set by mistake may be a file that he needs.
    return [unavailable(problem, path === runDir ? OTHER_FOLDER : `rm ${path}`)];
  }
  const found: Ailment[] = [];
  const fileSystem = fileSystemOf(files.real(path) ?? path, files) ?? '';
  if (FOREIGN_FILE_SYSTEM.test(fileSystem)) {
    found.push(
      unavailable(
        `${path}: expected a local file system for leases, found ${fileSystem}`,
        'set SAI_RUN_DIR to a local folder',
      ),
    );
  }
  const closed = [path, `${path}/leases`, `${path}/queue`].find(
    (folder) => files.stat(folder) && !mayUse(folder, 'tty'),
  );
  if (closed !== undefined) {
    const { gid: group = 0, mode: rights = 0 } = files.stat(closed) ?? {};
    const isShared = group !== 0 && (rights & constants.S_IWGRP) !== 0;
    const share = `chgrp ${groupOf(ttyGid || DIALOUT, files).name} ${closed} && chmod 3775 ${closed}`;
    const cure = isShared ? permissionCure(closed, 'tty', login, files) : share;
    found.push(unavailable(`${closed}: no permission to write`, cure));
  }
  const { mode, gid } = stat;
  // A folder of one user alone needs neither.
  if ((mode & (constants.S_IWGRP | constants.S_IWOTH)) !== 0) {
    const chmod = `chmod 3775 ${path}`;
    if ((mode & STICKY) === 0) {
      found.push(unavailable(`${path}: any user can remove the leases of others: it is not sticky`, chmod));
    }
    if ((mode & SETGID) === 0) {
      found.push(
        unavailable(`${path}: leases of one user are closed to others: it does not pass on its group`, chmod),
      );
    }
  }
  if (ttyGid !== undefined && ttyGid !== gid && ttyGid !== 0) {
    const [tty, own] = [groupOf(ttyGid, files).name, groupOf(gid, files).name];
    found.push(
      unavailable(
        `${path}: expected group ${tty}, as the ttys have, found ${own}`,
        `chgrp -R ${tty} ${path}`,
      ),
    );
  }
  return found;
}

/** /run is empty after a boot. */
function aboutNextBoot(files: HostFiles): Ailment[] {
  const made = TMPFILES_FOLDERS.flatMap((folder) =>
    files.names(folder).map((name) => `${folder}/${name}`),
  ).some((path) => path.endsWith('.conf') && /^\S+\s+\/run\/sai(?:\s|$)/m.test(files.text(path) ?? ''));
  return made ? [] : [unavailable(`${SYSTEM_RUN_DIR} is gone after the next boot`, INSTALL)];
}
