import { RigError } from '../base/errors.ts';
import { didYouMean } from '../base/validate.ts';
import type { Device } from '../wire/device.ts';
import type { Board } from './board.ts';
import { type JigWiring, UNO_WIRING } from './jig-config.ts';
import { startUnoBoard } from './uno-board.ts';

/** A kind of board that the lab has. */
export interface BoardType {
  /** As in {@link Device.compatible}. */
  readonly compatible: string;
  /** What its ttys are, in order. */
  readonly ttys: readonly { readonly name: string; readonly rate: number }[];
  /** How a jig is wired to it. */
  readonly jig: JigWiring;
  readonly start: (options: { readonly name: string; readonly dir: string }) => Promise<Board>;
}

const BOARD_TYPES: Readonly<Record<string, BoardType>> = {
  uno: {
    compatible: 'arduino-uno,atmega328p',
    ttys: [{ name: 'console', rate: 115_200 }],
    jig: UNO_WIRING,
    start: startUnoBoard,
  },
};

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
      const known = Object.keys(BOARD_TYPES);
      throw new RigError(
        'usage',
        `${word}: expected a board type, one of ${known.join(', ')}${didYouMean(type, known)}`,
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
