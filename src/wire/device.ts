import * as v from 'valibot';
import { CrashConfig } from './crash.ts';

/** A word by which a request names a device: no blanks, no commas. */
const Word = v.pipe(v.string(), v.regex(/^[^\s,=]+$/, 'expected a word without blanks, commas or ='));
const AbsolutePath = v.pipe(
  v.string(),
  v.regex(/^\//, 'expected an absolute path'),
  v.check((path) => !path.includes('\0'), 'expected a path without NUL'),
);
const Duration = v.pipe(
  v.string(),
  v.regex(/^\d+(?:\.\d+)?(?:ms|s|m|h)$/, 'expected a duration such as 300ms, 2s, 5m or 8h'),
);

/** Not the rig's own, and none of those that decide which programs run. */
const EnvironmentName = v.pipe(
  v.string(),
  v.regex(
    /^(?!SAI_|LD_|PATH$)[A-Za-z_][A-Za-z0-9_]*$/,
    'expected the name of an environment variable other than SAI_*, LD_* and PATH',
  ),
);
const EnvironmentValue = v.pipe(
  v.string(),
  v.check((value) => !value.includes('\0'), 'expected text without NUL'),
);

const Tty = v.strictObject({
  tty: AbsolutePath,
  name: v.exactOptional(Word),
  /** Baud. */
  rate: v.exactOptional(
    v.pipe(
      v.number(),
      v.integer('expected a whole number of baud'),
      v.minValue(1, 'expected a positive baud rate'),
      // Source: <asm-generic/termbits.h>, speed_t.
      v.maxValue(0xffff_ffff, 'expected a baud rate below 2^32'),
    ),
  ),
  /** False leaves the tty to others: it is exported, not locked. */
  lock: v.exactOptional(v.boolean()),
  /** True drops DTR at the last close, which resets many boards. */
  hupcl: v.exactOptional(v.boolean()),
  /** Known from Sai's own files; without effect there and here. */
  initial_monitor: v.exactOptional(v.boolean()),
});

/** A USB number: `10c4` or `0x10c4`. */
const UsbNumber = v.pipe(
  v.string('expected four hexadecimal digits in quotes, such as "10c4"'),
  v.regex(/^(?:0[xX])?[0-9a-fA-F]{4}$/, 'expected four hexadecimal digits, such as "10c4"'),
);
/** As USB devices have it. */
const SerialNumber = v.pipe(
  v.string('expected a serial number in quotes'),
  v.minLength(1, 'expected a serial number'),
);

const Usb = v.pipe(
  v.strictObject({
    serial: v.exactOptional(SerialNumber),
    vid: v.exactOptional(UsbNumber),
    pid: v.exactOptional(UsbNumber),
    /** Bus and ports. */
    path: v.exactOptional(
      v.pipe(v.string(), v.regex(/^\d+-\d+(?:\.\d+)*$/, 'expected the path of a USB port, such as "1-1.2"')),
    ),
  }),
  v.minEntries(1, 'expected at least one of serial, vid, pid and path'),
);

const PROBE_KINDS = ['stlink', 'jlink', 'cmsis-dap', 'esp-usb-jtag', 'ftdi'] as const;
const ProbeKind = v.picklist(PROBE_KINDS, `expected one of ${PROBE_KINDS.join(', ')}`);
export type ProbeKind = v.InferOutput<typeof ProbeKind>;

/** One pooled DUT, as the devices config lists it. */
export const Device = v.strictObject({
  name: Word,
  type: Word,
  /** Further words that a request may use: a comma list or an array. */
  compatible: v.exactOptional(v.union([v.string(), v.array(Word)])),
  description: v.exactOptional(v.string()),
  tags: v.exactOptional(v.array(Word)),
  /** In order: the first is `SAI_DEVICE_TTY0`. */
  ttys: v.exactOptional(v.array(v.union([AbsolutePath, Tty]))),
  /** Further files or nodes to flock, for boards that are reached by a probe only. */
  locks: v.exactOptional(v.array(AbsolutePath)),
  /** Exported to the command as it stands. */
  env: v.exactOptional(v.record(EnvironmentName, EnvironmentValue)),
  jig: v.exactOptional(
    v.strictObject({
      url: v.pipe(v.string(), v.url('expected a URL such as http://pi:44000')),
      target: Word,
    }),
  ),
  /** Which USB device one of its ttys (or `locks`) has to be on; else it is not this board. */
  usb: v.exactOptional(Usb),
  /** The debug probe that has to be plugged in. */
  probe: v.exactOptional(v.strictObject({ serial: SerialNumber, kind: ProbeKind })),
  /** What `sai-expect` takes for a crash of it. */
  crash: v.exactOptional(CrashConfig),
  /** How long a request for it waits when the command line does not say. */
  wait: v.exactOptional(v.union([v.literal('forever'), Duration])),
  /** Longest time one lease may last. */
  maxLease: v.exactOptional(Duration),
  /** How long a tty that went away may take to come back; `0s` is no time at all. */
  reappear: v.exactOptional(Duration),
  /** `always`: its ttys are left to programs that lock them for themselves, for the whole lease. */
  lend: v.exactOptional(v.picklist(['asked', 'always'])),
});
export type Device = v.InferOutput<typeof Device>;

/** The devices config: `/etc/sai/devices/conf`, `conf/devices.example.json`. */
export const DevicePool = v.strictObject({
  /** For editors: where the JSON Schema of this file is. */
  $schema: v.exactOptional(v.string()),
  /** Known from Sai's own files; without effect there and here. */
  schema: v.exactOptional(v.string()),
  home: v.exactOptional(v.string()),
  devices: v.array(Device),
});
export type DevicePool = v.InferOutput<typeof DevicePool>;
