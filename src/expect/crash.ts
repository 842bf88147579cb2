/** Which crashes are looked for. */

import { RigError } from '../base/errors.ts';
import { didYouMean } from '../base/validate.ts';
import { CRASH_FAMILIES, type CrashConfig, type CrashFamily } from '../wire/crash.ts';
import { AnnouncedRegex, ByteRegex, type StreamRegex } from './byte-regex.ts';
import { BOOT_LINES, CRASH_KNOWLEDGE } from './crash-families.ts';
import type { Script } from './script.ts';

/** One way in which firmware tells that it has crashed, or is starting. */
export interface CrashPattern {
  /** A family, or `device` for what a device's own config calls a crash. */
  readonly family: CrashFamily | 'device';
  /** Matches the whole line, from its beginning. */
  readonly regex: StreamRegex;
  /** `boot`: a start, of which only many in a row are a crash. */
  readonly tells: 'crash' | 'boot';
}

/** What a session is asked to look for. `auto` is what the device's config says, else every family but `python`. */
export type CrashWish = 'auto' | 'none' | readonly CrashFamily[];

/** What to look for: of a crash that is wanted, the family in any case. */
export function crashWishOf({ crash, expectCrash }: Pick<Script, 'crash' | 'expectCrash'>): CrashWish {
  if (!expectCrash) return crash;
  if (expectCrash === 'any') return crash === 'none' ? 'auto' : crash;
  return [...new Set([...(typeof crash === 'string' ? [] : crash), ...DEFAULT_FAMILIES, ...expectCrash])];
}

/** Families by default: what no healthy board prints. */
const DEFAULT_FAMILIES: readonly CrashFamily[] = CRASH_FAMILIES.filter((family) => family !== 'python');

/** So much of a word announces a line; more would cost each start, for a table of every byte of it. */
const ANNOUNCING_BYTES = 6;

/**
 * Compiled when their word comes.
 *
 * @throws {RigError} blame `config` for a pattern of the device that is none
 */
export function crashPatterns(wish: CrashWish = 'auto', device: CrashConfig = {}): CrashPattern[] {
  if (wish === 'none') return [];
  const families: ReadonlySet<string> = new Set(
    wish === 'auto' ? (device.families ?? DEFAULT_FAMILIES) : wish,
  );
  const known = CRASH_KNOWLEDGE.filter(({ family }) => families.has(family)).flatMap(({ family, starts }) =>
    starts.map(({ word, source }) => ({
      family,
      regex: new AnnouncedRegex(source, word.slice(0, ANNOUNCING_BYTES), `crash pattern of ${family}`),
      tells: 'crash' as const,
    })),
  );
  const own = (device.patterns ?? []).map((source) => ({
    family: 'device' as const,
    regex: ownRegex(source),
    tells: 'crash' as const,
  }));
  const boots = families.has('reset-loop')
    ? BOOT_LINES.map(({ word, source }) => ({
        family: 'reset-loop' as const,
        regex: new AnnouncedRegex(source, word.slice(0, ANNOUNCING_BYTES), 'start of a board'),
        tells: 'boot' as const,
      }))
    : [];
  return [...known, ...own, ...boots];
}

function ownRegex(source: string): ByteRegex {
  try {
    return new ByteRegex(source, `the device's crash pattern`, 'never');
  } catch (error) {
    if (!(error instanceof RigError)) throw error;
    throw new RigError('config', error.message, { cause: error });
  }
}

/**
 * What `--crash` and `--expect-crash` name: one family or several, with commas between.
 *
 * @throws {RigError} blame `usage`
 */
export function parseFamilies(text: string, what: string): CrashFamily[] {
  return text.split(',').map((word) => {
    const family = CRASH_FAMILIES.find((each) => each === word.trim());
    if (family) return family;
    throw new RigError(
      'usage',
      `${what}: expected ${CRASH_FAMILIES.join(', ')}, got ${JSON.stringify(word)}${didYouMean(word, CRASH_FAMILIES)}`,
    );
  });
}
