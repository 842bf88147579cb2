import type { ArchiveEntry } from './newc-archive.ts';

/** Types of files in `st_mode`. Source: inode(7). */
const FOLDER = 0o040000;
const FILE = 0o100000;
const LINK = 0o120000;
const CHARACTER_DEVICE = 0o020000;

const INITTAB = `\
::sysinit:/etc/start
ttyAMA0::respawn:/bin/getty -L 115200 ttyAMA0 vt100
ttyS0::respawn:/bin/getty -L 115200 ttyS0 vt100
::ctrlaltdel:/bin/reboot -f
`;

const START = `\
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
hostname sai-linux
`;

/** The password is `sai`: crypt(3), SHA-512. */
const SHADOW =
  'root:$6$sairig$Ny0e1Wo9ANDMkqIETM6SXc7qnfFKt1rKSny2gkVqvXZ4EucTjtp3wnMISkKgCQooUfFyr9nSEo4HYhqz0Q8VT/:19000:0:99999:7:::\n';

/** The root file system of a Linux that has BusyBox and a login on each of its ttys. */
export function linuxInitramfs(busybox: Buffer): ArchiveEntry[] {
  const folder = (path: string): ArchiveEntry => ({ path, mode: FOLDER | 0o755 });
  const file = (path: string, mode: number, data: Buffer | string): ArchiveEntry => ({
    path,
    mode: FILE | mode,
    data: Buffer.from(data),
  });
  return [
    ...['bin', 'dev', 'etc', 'proc', 'root', 'sys', 'tmp'].map(folder),
    { path: 'dev/console', mode: CHARACTER_DEVICE | 0o600, device: [5, 1] },
    file('bin/busybox', 0o755, busybox),
    { path: 'init', mode: LINK | 0o777, data: Buffer.from('bin/busybox') },
    file('etc/inittab', 0o644, INITTAB),
    file('etc/start', 0o755, START),
    file('etc/passwd', 0o644, 'root:x:0:0:root:/root:/bin/sh\n'),
    file('etc/group', 0o644, 'root:x:0:\n'),
    file('etc/shadow', 0o600, SHADOW),
  ];
}
