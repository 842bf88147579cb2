import type { Board, BoardPlace } from './board.ts';
import { type QemuBoardOptions, type QemuMachine, startQemuBoard } from './qemu-board.ts';
import { checkNeeds, QEMU_NEEDS } from './qemu-needs.ts';

const FIRMWARE = '/usr/lib/u-boot/qemu_arm64/u-boot.bin';

const MACHINE: QemuMachine = {
  program: 'qemu-system-aarch64',
  args: ['-M', 'virt', '-cpu', 'cortex-a57', '-m', '64M', '-bios', FIRMWARE, '-serial', 'chardev:tty0'],
  ttyCount: 1,
  unused: 'parks', // it polls its UART: 90 % of a core at the prompt
};

/** @throws {RigError} blame `unavailable` where a package is missing */
export function checkUBoot(env: NodeJS.ProcessEnv): void {
  checkNeeds('u-boot', [...QEMU_NEEDS, { file: FIRMWARE, debianPackage: 'u-boot-qemu' }], env);
}

/**
 * Debian's build of U-Boot on an emulated 64-bit ARM board. Nothing is there to be booted.
 *
 * @throws {RigError} blame `unavailable` where a package is missing
 */
export async function startUBootBoard(
  place: BoardPlace,
  options: Pick<QemuBoardOptions, 'quietMs'> = {},
): Promise<Board> {
  checkUBoot(place.env);
  return await startQemuBoard({ ...place, ...options, machine: MACHINE });
}
