/** The devices of this host as the config lists them, and which of them a request means. */

import { readConfigFile } from '../base/config-file.ts';
import { parseDurationMs } from '../base/duration.ts';
import { RigError, reasonOf } from '../base/errors.ts';
import { didYouMean, parseAll } from '../base/validate.ts';
import type { CrashConfig } from '../wire/crash.ts';
import { type Device, DevicePool, type ProbeKind } from '../wire/device.ts';
import { clashesIn } from './pool-clashes.ts';

/** Source: what most UARTs boot with, and the only speed that Sai's own tools know. */
const DEFAULT_BAUD_RATE = 115_200;

/** Boards with native USB take one to three seconds from a reset to their tty. */
const DEFAULT_REAPPEAR_MS = 10_000;

export interface PooledTty {
  /** As configured, never resolved: a by-id link says which board it is. */
  readonly path: string;
  readonly name: string | undefined;
  readonly baudRate: number;
  /** False: exported, left to others. */
  readonly locked: boolean;
  readonly hangUpOnClose: boolean;
}

/** What has to be true of the USB device; numbers as sysfs writes them. */
export interface PooledUsb {
  readonly serial?: string;
  readonly vid?: string;
  readonly pid?: string;
  readonly path?: string;
}

export interface PooledProbe {
  readonly serial: string;
  readonly kind: ProbeKind;
}

/** One device with every default filled in. */
export interface PooledDevice {
  readonly name: string;
  readonly type: string;
  /** Every word by which a request may name it: name, type, compatible entries. */
  readonly answersTo: readonly string[];
  readonly tags: readonly string[];
  readonly ttys: readonly PooledTty[];
  readonly locks: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** `<url>/<target>`. */
  readonly jig: string | undefined;
  readonly usb: PooledUsb | undefined;
  readonly probe: PooledProbe | undefined;
  /** What counts as a crash of it; for who reads its console. */
  readonly crash?: CrashConfig | undefined;
  /** Undefined: the command decides. `Infinity`: for ever. */
  readonly waitMs: number | undefined;
  readonly maxLeaseMs: number | undefined;
  /** From a tty's going away to the latest time for its return. */
  readonly reappearMs: number;
  /** `always`: the flocks of its ttys last only while it is taken. */
  readonly lend: 'asked' | 'always';
}

/** What the command line asks for. */
export interface DeviceRequest {
  readonly type: string;
  readonly name?: string | undefined;
  readonly tags: readonly string[];
}

export interface DeviceMatch {
  /** In file order, never empty. */
  readonly devices: readonly PooledDevice[];
  /** The entry that matched as the beginning of the request, when none matched as a whole. */
  readonly prefix: string | undefined;
}

/** @throws {RigError} blame `config` with file, path inside it, expected, found */
export async function loadPool(path: string): Promise<PooledDevice[]> {
  const { devices, errors } = await readPool(path);
  const [first] = errors;
  if (first !== undefined) throw new RigError('config', first);
  return devices;
}

/** The devices, and a line for each thing that keeps the config from being used. @throws {RigError} when it cannot be read */
export async function readPool(path: string): Promise<{ devices: PooledDevice[]; errors: string[] }> {
  const config = parseAll(DevicePool, await readConfigFile(path), path);
  const errors = 'problems' in config ? [...config.problems] : [];
  if (!config.output) return { devices: [], errors };
  const devices = config.output.devices.map((device, index) => {
    return fillIn(device, `${path}: devices.${index}`, (text) => errors.push(text));
  });
  errors.push(...clashesIn(devices).map((clash) => `${path}: ${clash}`));
  return { devices, errors };
}

/**
 * The devices that a request means: whole words first; if the whole config knows no such word, Sai's rule that an
 * entry may be the beginning of the request, up to the end of one of its words.
 *
 * @throws {RigError} blame `config` when there is none, naming what there is
 */
export function matchDevices(pool: readonly PooledDevice[], request: DeviceRequest): DeviceMatch {
  const exact = pool.filter((device) => device.answersTo.includes(request.type));
  if (exact.length > 0) return { devices: narrow(exact, request), prefix: undefined };
  const prefix = longestPrefix(pool, request.type);
  if (prefix === undefined) throw unknownType(pool, request.type);
  const devices = pool.filter((device) => device.answersTo.includes(prefix));
  return { devices: narrow(devices, request), prefix };
}

function fillIn(device: Device, where: string, complain: (text: string) => void): PooledDevice {
  const durationMs = (
    key: 'wait' | 'maxLease' | 'reappear',
    parseMs: typeof parseWaitMs,
  ): number | undefined => {
    const text = device[key];
    if (text === undefined) return undefined;
    try {
      return parseMs(text, `${where}.${key}`);
    } catch (error) {
      complain(reasonOf(error));
      return undefined;
    }
  };
  const compatible = typeof device.compatible === 'string' ? device.compatible.split(',') : device.compatible;
  const words = [device.name, device.type, ...(compatible ?? []).map((word) => word.trim())];
  return {
    name: device.name,
    type: device.type,
    answersTo: [...new Set(words.filter((word) => word !== ''))],
    tags: device.tags ?? [],
    ttys: (device.ttys ?? []).map((tty) => fillInTty(typeof tty === 'string' ? { tty } : tty)),
    locks: device.locks ?? [],
    env: device.env ?? {},
    jig: device.jig && `${device.jig.url.replace(/\/+$/, '')}/${device.jig.target}`,
    usb: device.usb && fillInUsb(device.usb),
    probe: device.probe,
    crash: device.crash,
    waitMs: durationMs('wait', parseWaitMs),
    maxLeaseMs: durationMs('maxLease', parseDurationMs),
    reappearMs: durationMs('reappear', parseDurationMs) ?? DEFAULT_REAPPEAR_MS,
    lend: device.lend ?? 'asked',
  };
}

type ConfiguredTty = Exclude<NonNullable<Device['ttys']>[number], string>;

function fillInTty(tty: ConfiguredTty): PooledTty {
  return {
    path: tty.tty,
    name: tty.name,
    baudRate: tty.rate ?? DEFAULT_BAUD_RATE,
    locked: tty.lock ?? true,
    hangUpOnClose: tty.hupcl ?? false,
  };
}

function fillInUsb(usb: NonNullable<Device['usb']>): PooledUsb {
  const number = (text: string): string => text.replace(/^0x/i, '').toLowerCase();
  return {
    ...usb,
    ...(usb.vid === undefined ? {} : { vid: number(usb.vid) }),
    ...(usb.pid === undefined ? {} : { pid: number(usb.pid) }),
  };
}

/** `forever` is `Infinity`. @throws {RigError} blame `usage`, naming `what` */
export function parseWaitMs(text: string, what: string): number {
  return text === 'forever' ? Number.POSITIVE_INFINITY : parseDurationMs(text, what);
}

function narrow(devices: readonly PooledDevice[], request: DeviceRequest): PooledDevice[] {
  const { name, tags } = request;
  const narrowed = devices.filter(
    (device) =>
      (name === undefined || device.name === name) && tags.every((tag) => device.tags.includes(tag)),
  );
  if (narrowed.length > 0) return narrowed;
  const wanted = [name && `name ${name}`, ...tags.map((tag) => `tag ${tag}`)].filter(Boolean).join(', ');
  const there = devices.map(({ name, tags }) => (tags.length > 0 ? `${name} (${tags.join(', ')})` : name));
  throw new RigError(
    'config',
    `no device of type ${request.type} has ${wanted}; devices of that type: ${there.join(', ')}`,
  );
}

function longestPrefix(pool: readonly PooledDevice[], request: string): string | undefined {
  return pool
    .flatMap((device) => device.answersTo)
    .filter((word) => request.startsWith(word) && /^[^A-Za-z0-9]/.test(request.slice(word.length)))
    .sort((a, b) => b.length - a.length)[0];
}

function unknownType(pool: readonly PooledDevice[], type: string): RigError {
  const types = [...new Set(pool.map((device) => device.type))];
  const words = [...new Set(pool.flatMap((device) => device.answersTo))];
  const known = types.length > 0 ? `types: ${types.join(', ')}` : 'the config lists no devices';
  return new RigError(
    'config',
    `unknown device type ${JSON.stringify(type)}${didYouMean(type, words)}; ${known}`,
  );
}
