import { RigError } from '../base/errors.ts';
import { didYouMean } from '../base/validate.ts';
import type { Device } from '../wire/device.ts';
import type { Board, BoardPlace, LabBoard } from './board.ts';
import { type JigWiring, MICROBIT_WIRING, RESET_WIRING, UNO_WIRING } from './jig-config.ts';
import { checkLinux, startLinuxBoard } from './linux-board.ts';
import { checkMicrobit, startMicrobitBoard } from './microbit-board.ts';
import { checkUBoot, startUBootBoard } from './u-boot-board.ts';
import { startUnoBoard } from './uno-board.ts';

/** A kind of board that the lab has. */
export interface BoardType {
  /** As in {@link Device.compatible}. */
  readonly compatible: string;
  /** What its ttys are, in order. */
  readonly ttys: readonly { readonly name: string; readonly rate: number }[];
  /** How a jig is wired to it. */
  readonly jig: JigWiring;
  /** Commands that show people what it does. */
  readonly tries: (board: LabBoard) => readonly string[];
  /** @throws {RigError} blame `unavailable`, saying what to install, when the host lacks something */
  readonly check: (env: NodeJS.ProcessEnv) => void;
  /** @throws {RigError} blame `unavailable` when it does not start */
  readonly start: (place: BoardPlace) => Promise<Board>;
}

const CONSOLE = { name: 'console', rate: 115_200 };

const BOARD_TYPES: Readonly<Record<string, BoardType>> = {
  uno: {
    compatible: 'arduino-uno,atmega328p',
    ttys: [CONSOLE],
    jig: UNO_WIRING,
    tries: (board) => [
      `picocom -b 115200 ${board.ttys[0]}        type: version, selftest, panic`,
      `sai-virtual-lab reset --chip ${board.chip}`,
      `sai-virtual-lab press --chip ${board.chip}`,
      `sai-jig --config ${board.jig} run ${board.board}/reset`,
      expectOn(board, `--line selftest --pass 'Completed: PASS' --fail 'Completed: FAIL'`),
    ],
    check: () => {}, // it comes with the package
    start: startUnoBoard,
  },
  'u-boot': {
    compatible: 'qemu-arm64',
    ttys: [CONSOLE],
    jig: RESET_WIRING,
    tries: (board) => [
      `picocom -b 115200 ${board.ttys[0]}        type: version, bdinfo, reset`,
      `sai-virtual-lab reset --chip ${board.chip}`,
      expectOn(board, `--line version --regex '^U-Boot 20'`),
    ],
    check: checkUBoot,
    start: startUBootBoard,
  },
  microbit: {
    compatible: 'nrf51822,micropython',
    ttys: [CONSOLE],
    jig: MICROBIT_WIRING,
    tries: (board) => [
      `picocom -b 115200 ${board.ttys[0]}        type: from microbit import *, pin0.read_digital()`,
      `sai-virtual-lab hold pin0=1 --chip ${board.chip} -- sleep 10`,
      expectOn(board, `--eol cr --line 'print(6 * 7)' --regex '^42$'`),
    ],
    check: checkMicrobit,
    start: startMicrobitBoard,
  },
  linux: {
    compatible: 'qemu-arm64,debian',
    ttys: [CONSOLE, { name: 'second', rate: 115_200 }],
    jig: RESET_WIRING,
    tries: (board) => [
      `picocom -b 115200 ${board.ttys[0]}        log in as root, password sai`,
      `sai-virtual-lab reset --chip ${board.chip}`,
      expectOn(board, `--tty second --line root --expect Password: --line sai --expect '# '`),
    ],
    check: checkLinux,
    start: startLinuxBoard,
  },
};

function expectOn({ devices, type }: LabBoard, steps: string): string {
  return `sai-device --config ${devices} ${type} -- sai-expect --fresh ${steps}`;
}

/** Names of all that can be asked for. */
export const BOARD_TYPE_NAMES: readonly string[] = Object.keys(BOARD_TYPES);

/** One board that a lab is asked for. */
export interface BoardRequest {
  readonly type: string;
  readonly name: string;
}

/**
 * What `uno` or `uno:NAME` ask for; a board without a name gets its type and number: `uno-1`, `uno-2`.
 *
 * @throws {RigError} blame `usage` for an unknown type, a name that is no file name, or one given twice
 */
export function parseBoardRequests(words: readonly string[]): BoardRequest[] {
  const requests: BoardRequest[] = [];
  for (const [index, word] of words.entries()) {
    const [type = '', name = `${type}-${index + 1}`] = word.split(/:(.*)/s, 2);
    if (!Object.hasOwn(BOARD_TYPES, type)) {
      throw new RigError(
        'usage',
        `${word}: expected a board type, one of ${BOARD_TYPE_NAMES.join(', ')}${didYouMean(type, BOARD_TYPE_NAMES)}`,
      );
    }
    if (!/^[A-Za-z0-9][\w.-]*$/.test(name)) {
      throw new RigError('usage', `${word}: expected a name of letters, digits, dots, - and _`);
    }
    if (requests.some((each) => each.name === name)) {
      throw new RigError('usage', `${word}: expected each board's name once`);
    }
    requests.push({ type, name });
  }
  return requests;
}

/** How the devices config lists a running board; with the port of the jig if one will hold its lines. */
export function deviceOf(
  request: BoardRequest,
  ttys: readonly string[],
  chipSocket: string,
  jigPort: number | undefined,
): Device {
  const { compatible, ttys: kinds } = boardType(request.type);
  return {
    name: request.name,
    type: request.type,
    compatible,
    ttys: kinds.map(({ name, rate }, index) => ({ tty: ttys[index] ?? '', rate, name })),
    env: { SIM_CHIP: chipSocket },
    ...(jigPort === undefined ? {} : { jig: { url: `http://127.0.0.1:${jigPort}`, target: request.name } }),
  };
}

/** @throws {RigError} blame `usage` when there is none of that name */
export function boardType(name: string): BoardType {
  const type = BOARD_TYPES[name];
  if (!type) throw new RigError('usage', `${name}: expected a board type`);
  return type;
}
