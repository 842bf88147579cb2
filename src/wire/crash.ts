import * as v from 'valibot';

/**
 * Ways in which boards tell that they have crashed, by who prints it. `python` is a traceback, which at a REPL is an
 * answer like any other; so it counts only where it is asked for.
 */
export const CRASH_FAMILIES = [
  'arduino-esp8266',
  'cortex-m',
  'esp-idf',
  'freertos',
  'glibc',
  'go',
  'linux',
  'mbed',
  'micropython',
  'nuttx',
  'pico',
  'python',
  'qemu',
  'reset-loop',
  'riot',
  'rust',
  'sai-uno',
  'sanitizer',
  'tf-a',
  'u-boot',
  'zephyr',
] as const;

export const CrashFamily = v.picklist(CRASH_FAMILIES, `expected one of ${CRASH_FAMILIES.join(', ')}`);
export type CrashFamily = v.InferOutput<typeof CrashFamily>;

/** What counts as a crash of one device: families, and what its own firmware prints. */
export const CrashConfig = v.strictObject({
  /** Those alone; all but `python` when left out; none when empty. */
  families: v.exactOptional(v.array(CrashFamily)),
  /** Regular expressions as `sai-expect --regex` takes them; each must match the line that begins the dump. */
  patterns: v.exactOptional(v.array(v.pipe(v.string(), v.minLength(1, 'expected a regular expression')))),
});
export type CrashConfig = v.InferOutput<typeof CrashConfig>;
