import type { Board, BoardPlace } from './board.ts';
import { linuxGuest } from './linux-guest.ts';
import { startQemuBoard } from './qemu-board.ts';
import { checkNeeds, QEMU_NEEDS } from './qemu-needs.ts';

/** A second after a panic it reboots, as boards in the field are set to. */
const KERNEL_PARAMETERS = 'console=ttyAMA0 panic=1';

/** @throws {RigError} blame `unavailable` where a package or the guest is missing */
export function checkLinux(env: NodeJS.ProcessEnv): void {
  checkNeeds('linux', QEMU_NEEDS, env);
  linuxGuest(env);
}

/**
 * Debian's Linux on an emulated 64-bit ARM board, with BusyBox and a login on both of its ttys: user `root`,
 * password `sai`. The kernel talks on the first. Nothing outlives a reset.
 *
 * @throws {RigError} blame `unavailable` where a package or the guest is missing
 */
export async function startLinuxBoard(place: BoardPlace): Promise<Board> {
  checkLinux(place.env);
  const { kernel, initramfs } = linuxGuest(place.env);
  const machine = {
    program: 'qemu-system-aarch64',
    args: [
      ...['-M', 'virt', '-cpu', 'cortex-a57', '-m', '128M'],
      ...['-kernel', kernel, '-initrd', initramfs, '-append', KERNEL_PARAMETERS],
      ...['-serial', 'chardev:tty0', '-device', 'pci-serial,chardev=tty1'],
    ],
    ttyCount: 2,
    unused: 'runs',
  } as const;
  return await startQemuBoard({ ...place, machine });
}
