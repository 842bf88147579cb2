import type { Board, BoardPlace } from './board.ts';
import { type QemuMachine, startQemuBoard } from './qemu-board.ts';
import { checkNeeds, QEMU_NEEDS } from './qemu-needs.ts';

const FIRMWARE = '/usr/share/firmware-microbit-micropython/firmware.hex';

/** Source: micro:bit 1.3B schematic: P0 is P0.03, P1 is P0.02, the buttons are P0.17 and P0.26 and pull to ground. */
const MACHINE: QemuMachine = {
  program: 'qemu-system-arm',
  args: ['-M', 'microbit', '-device', `loader,file=${FIRMWARE}`, '-serial', 'chardev:tty0'],
  ttyCount: 1,
  gpio: {
    device: '/machine/nrf51',
    pinCount: 32, // Source: QEMU, include/hw/gpio/nrf51_gpio.h
    inputs: {
      'button-a': { pin: 17, idle: 1 },
      'button-b': { pin: 26, idle: 1 },
      pin0: { pin: 3, idle: 0 },
    },
    outputs: { pin1: { pin: 2 } },
  },
  unused: 'runs',
};

/** @throws {RigError} blame `unavailable` where a package is missing */
export function checkMicrobit(env: NodeJS.ProcessEnv): void {
  const emulator = { program: MACHINE.program, debianPackage: 'qemu-system-arm' };
  const firmware = { file: FIRMWARE, debianPackage: 'firmware-microbit-micropython' };
  checkNeeds('microbit', [...QEMU_NEEDS, emulator, firmware], env);
}

/**
 * A BBC micro:bit with Debian's build of MicroPython. Its pin 0 is an input, its pin 1 an output. Files that are
 * written to it outlive a reset, and not the power.
 *
 * @throws {RigError} blame `unavailable` where a package is missing
 */
export async function startMicrobitBoard(place: BoardPlace): Promise<Board> {
  checkMicrobit(place.env);
  return await startQemuBoard({ ...place, machine: MACHINE });
}
