import { createRequire } from 'node:module';
import { RigError, reasonOf } from '../base/errors.ts';

/** What is used of node-libgpiod 0.5.3, whose own declarations TypeScript does not take. Every call is synchronous. */
export interface Libgpiod {
  /** Opens by name, path, number or label. @throws a system error */
  readonly Chip: new (
    device: string,
  ) => LibgpiodChip;
  /** @throws a system error; the half-made object then crashes the process once it is collected. Bulk as well */
  readonly Line: new (
    chip: LibgpiodChip,
    offset: number,
  ) => LibgpiodLine;
  readonly Bulk: new (chip: LibgpiodChip, offsets: readonly number[]) => LibgpiodBulk;
}

/** Has no close: its descriptor is closed when it is collected. */
export interface LibgpiodChip {
  readonly name: string;
  readonly label: string;
  readonly numberOfLines: number;
}

/** Releases its line when it is collected, also one that another object of the same chip has requested. */
export interface LibgpiodLine {
  readonly name: string | undefined;
  readonly consumer: string | undefined;
  readonly used: boolean;
  /** What crashes when it outlives the chip. */
  readonly _handler: object;
  /** Reads name, consumer and use anew. */
  update(): void;
  lineRequest(config: { consumer: string; requestType: number; flags: number }, initial: 0 | 1): void;
  getValue(): 0 | 1;
  setValue(value: 0 | 1): void;
  release(): void;
}

export interface LibgpiodBulk {
  readonly _handler: object;
  updateConfig(direction: number, flags: number, values: readonly (0 | 1)[]): void;
}

/**
 * In one thread of a process only.
 *
 * @throws {RigError} blame `unavailable` where it is not installed, or not built, or another thread has it
 */
export function loadLibgpiod(): Libgpiod {
  try {
    return createRequire(import.meta.url)('node-libgpiod') as Libgpiod;
  } catch (error) {
    if (error instanceof Error && error.message.includes('did not self-register')) {
      throw new RigError(
        'unavailable',
        'node-libgpiod: expected no other thread of this process to have it, one does; it works in one at a time, so let that one end, or use --backend uapi',
        { cause: error },
      );
    }
    throw new RigError(
      'unavailable',
      `node-libgpiod: expected it to be installed and built, ${firstLine(error)}; install libgpiod-dev (libgpiod 1.x), then npm rebuild node-libgpiod --ignore-scripts=false`,
      { cause: error },
    );
  }
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message.split('\n', 1)[0] : undefined;
  return (text ?? reasonOf(error)).replace(/\.? Tried:$/, '');
}
