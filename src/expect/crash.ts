/** What firmware prints when it dies, by family. A new family is a new entry here, with a sample and a near miss. */

import { ByteRegex } from './byte-regex.ts';

/** One way in which firmware tells that it has crashed. */
export interface CrashPattern {
  readonly family: string;
  /** Matches the whole line, from its beginning. */
  readonly regex: ByteRegex;
}

const LINES: readonly (readonly [family: string, source: string])[] = [
  // Source: the firmware of the virtual lab's Uno.
  ['sai-uno', String.raw`^\*\*\* PANIC: [^\r\n]*`],
  // Source: ESP-IDF, components/esp_system/panic.c and port/panic_handler.c: print_abort_details, panic_print_str.
  ['esp-idf', String.raw`^Guru Meditation Error: Core *\d+ panic'ed \([^\r\n]*`],
  ['esp-idf', String.raw`^abort\(\) was called at PC 0x[0-9a-fA-F]+ on core \d[^\r\n]*`],
  // Source: Zephyr, kernel/fatal.c; in front of it the log back end puts colour, time, level and module, or `E: `.
  [
    'zephyr',
    String.raw`^(?:\x1b\[[\d;]*m)*(?:\[[^\]\r\n]+\] )?(?:\x1b\[[\d;]*m)*(?:<err> os: |E: )?>>> ZEPHYR FATAL ERROR \d+: [^\r\n]*`,
  ],
  // Source: Linux, kernel/panic.c; in front of it printk puts level, time and caller.
  [
    'linux',
    String.raw`^(?:<\d>)?(?:\[ *\d+\.\d{6}\](?:\[ *[TC]\d+\])? )?Kernel panic - not syncing: [^\r\n]*`,
  ],
];

/** Every family that is known; compiled anew at each call, so that who does not ask does not pay. */
export function crashPatterns(): CrashPattern[] {
  return LINES.map(([family, source]) => ({
    family,
    regex: new ByteRegex(source, `crash pattern of ${family}`),
  }));
}
