/** What firmware prints when it dies, by family. A new family is a new entry here, with a sample and a near miss. */

import { AnnouncedRegex } from './byte-regex.ts';

/** One way in which firmware tells that it has crashed. */
export interface CrashPattern {
  readonly family: string;
  /** Matches the whole line, from its beginning. */
  readonly regex: AnnouncedRegex;
}

/** `word` is what every such line holds, so that nothing else is looked for until it comes. */
interface CrashLine {
  readonly family: string;
  readonly word: string;
  readonly source: string;
}

const LINES: readonly CrashLine[] = [
  // Source: the firmware of the virtual lab's Uno.
  { family: 'sai-uno', word: '*** PANIC: ', source: String.raw`^\*\*\* PANIC: [^\r\n]*` },
  // Source: ESP-IDF, components/esp_system/panic.c and port/panic_handler.c: print_abort_details, panic_print_str.
  {
    family: 'esp-idf',
    word: 'Guru Meditation Error: Core',
    source: String.raw`^Guru Meditation Error: Core *\d+ panic'ed \([^\r\n]*`,
  },
  {
    family: 'esp-idf',
    word: 'abort() was called at PC 0x',
    source: String.raw`^abort\(\) was called at PC 0x[0-9a-fA-F]+ on core \d[^\r\n]*`,
  },
  // Source: Zephyr, kernel/fatal.c; in front of it the log back end puts colour, time, level and module, or `E: `.
  {
    family: 'zephyr',
    word: '>>> ZEPHYR FATAL ERROR ',
    source: String.raw`^(?:\x1b\[[\d;]*m)*(?:\[[^\]\r\n]+\] )?(?:\x1b\[[\d;]*m)*(?:<err> os: |E: )?>>> ZEPHYR FATAL ERROR \d+: [^\r\n]*`,
  },
  // Source: Linux, kernel/panic.c; in front of it printk puts level, time and caller.
  {
    family: 'linux',
    word: 'Kernel panic - not syncing: ',
    source: String.raw`^(?:<\d>)?(?:\[ *\d+\.\d{6}\](?:\[ *[TC]\d+\])? )?Kernel panic - not syncing: [^\r\n]*`,
  },
];

/** Every family that is known. */
export function crashPatterns(): CrashPattern[] {
  return LINES.map(({ family, word, source }) => ({
    family,
    regex: new AnnouncedRegex(source, word, `crash pattern of ${family}`),
  }));
}
