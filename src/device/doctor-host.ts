/** What on the host gets in the way of ttys: programs that probe or use them, stale lock files, an old kernel. */

import { basename } from 'node:path';
import type { Ailment, ExaminedNode } from './ailment.ts';
import type { HostFiles } from './host-files.ts';

/** Source: Node.js 20 BUILDING.md, "Platform list": what it runs on at all. */
const OLDEST_KERNEL = [4, 18] as const;

/** Programs that put a login prompt on a tty. */
const GETTYS = ['agetty', 'getty', 'mgetty'];

/** Where programs that know no flock, such as minicom, say that they use a tty. Source: FHS 3.0, 5.9 /var/lock. */
const LOCK_FOLDERS = ['/var/lock', '/run/lock'];

interface Program {
  readonly pid: string;
  readonly name: string;
  readonly words: readonly string[];
}

const unavailable = (problem: string, cure: string): Ailment => ({ blame: 'unavailable', problem, cure });

export function ailmentsOfHost(examined: readonly ExaminedNode[], files: HostFiles): Ailment[] {
  const programs = programsOf(files);
  const ttys = examined.filter(({ what }) => what === 'tty');
  const nodes = new Set(ttys.map(({ node }) => node).filter((node) => node !== undefined));
  return [
    ...aboutKernel(files),
    ...aboutModemManager(ttys, programs, files),
    ...aboutBrltty(ttys, programs),
    ...[...nodes].flatMap((node) => [
      ...aboutLogins(node, programs),
      ...aboutKernelConsole(node, files),
      ...aboutLockFiles(node, files),
    ]),
  ];
}

function programsOf(files: HostFiles): Program[] {
  return files
    .names('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => ({
      pid,
      name: files.text(`/proc/${pid}/comm`) ?? '',
      words: files.text(`/proc/${pid}/cmdline`)?.split('\0') ?? [],
    }));
}

function aboutKernel(files: HostFiles): Ailment[] {
  const release = files.text('/proc/sys/kernel/osrelease') ?? '';
  const [major, minor] = OLDEST_KERNEL;
  const [ownMajor, ownMinor] = release.split('.').map((part) => Number.parseInt(part, 10));
  if (ownMajor === undefined || ownMinor === undefined) return [];
  if (ownMajor > major || (ownMajor === major && ownMinor >= minor)) return [];
  return [unavailable(`expected Linux ${major}.${minor} or newer, found ${release}`, 'update the system')];
}

function aboutModemManager(
  ttys: readonly ExaminedNode[],
  programs: readonly Program[],
  files: HostFiles,
): Ailment[] {
  const manager = programs.find(({ name }) => name === 'ModemManager');
  if (!manager) return [];
  const probed = ttys.filter((tty) => tty.usb && !isIgnored(tty, files)).map(({ label }) => label);
  if (probed.length === 0) return [];
  return [
    unavailable(
      `ModemManager (pid ${manager.pid}) writes to what is plugged in, to see whether it is a modem: ${probed.join(', ')}`,
      'install hardware/udev/70-sai-rig.rules, or: systemctl mask --now ModemManager',
    ),
  ];
}

/**
 * Source: ModemManager-tags.h: the one tag is asked of the tty, the other of the USB device. systemd's udev database has
 * a file for each device number.
 */
function isIgnored({ number, usb }: ExaminedNode, files: HostFiles): boolean {
  const isSet = (name: string, of: string | undefined): boolean =>
    files.text(`/run/udev/data/c${of}`)?.split('\n').includes(`E:${name}=1`) ?? false;
  return isSet('ID_MM_PORT_IGNORE', number) || isSet('ID_MM_DEVICE_IGNORE', files.text(`${usb?.folder}/dev`));
}

function aboutBrltty(ttys: readonly ExaminedNode[], programs: readonly Program[]): Ailment[] {
  const brltty = programs.find(({ name }) => name === 'brltty');
  if (!brltty || !ttys.some(({ usb, node }) => usb || node === undefined)) return [];
  return [
    unavailable(
      `brltty (pid ${brltty.pid}) takes USB adapters for braille displays, and their ttys away`,
      'apt-get remove brltty, or: systemctl mask --now brltty brltty-udev',
    ),
  ];
}

function aboutLogins(node: string, programs: readonly Program[]): Ailment[] {
  return programs
    .filter(({ name, words }) => {
      return GETTYS.includes(name) && (words.includes(node) || words.includes(basename(node)));
    })
    .map(({ name, pid }) =>
      unavailable(
        `${name} (pid ${pid}) asks for a login on ${node}, and answers the board`,
        `systemctl disable --now serial-getty@${basename(node)}`,
      ),
    );
}

function aboutKernelConsole(node: string, files: HostFiles): Ailment[] {
  const words = files.text('/proc/cmdline')?.split(/\s+/) ?? [];
  const word = words.find((each) => each.split(',')[0] === `console=${basename(node)}`);
  if (word === undefined) return [];
  return [
    unavailable(`the kernel writes its messages to ${node}`, `take ${word} from the kernel's command line`),
  ];
}

function aboutLockFiles(node: string, files: HostFiles): Ailment[] {
  // One is most often a link to the other.
  const folders = new Set(
    LOCK_FOLDERS.map((folder) => files.real(folder)).filter((each) => each !== undefined),
  );
  return [...folders]
    .map((folder) => `${folder}/LCK..${basename(node)}`)
    .filter((path) => files.stat(path) !== undefined)
    .map((path) => {
      const pid = Number.parseInt(files.text(path) ?? '', 10);
      const name = pid > 0 ? files.text(`/proc/${pid}/comm`) : undefined;
      if (name === undefined) {
        return unavailable(
          `${path} keeps minicom and its like from ${node}; its owner is gone`,
          `rm ${path}`,
        );
      }
      return unavailable(
        `${name} (pid ${pid}) uses ${node}, and says so in ${path}, which no lock of the rig can see`,
        'end it, or start it under sai-device',
      );
    });
}
