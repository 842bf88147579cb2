/** `sai-device --check`: everything that is wrong with a config, and what would make it better, before anybody needs it. */

import { RigError } from '../base/errors.ts';
import type { Invocation } from '../base/run-main.ts';
import { parseJigAddress } from '../jig-client/jig-address.ts';
import { adviceOn } from './check-advice.ts';
import { HostFiles } from './host-files.ts';
import { NO_TTY } from './place.ts';
import { type PooledDevice, readPool } from './pool.ts';
import { physicalName } from './sysfs-usb.ts';

export interface ConfigReport {
  /** Each keeps the config, or one of its devices, from being used as it is meant. */
  readonly errors: readonly string[];
  /** Each may surprise somebody one day. */
  readonly advice: readonly string[];
  readonly deviceCount: number;
  readonly ttyCount: number;
}

/** Prints what there is to say. @throws {RigError} blame `config` when there are errors */
export async function checkConfig(
  config: string,
  format: 'text' | 'json',
  { print, diagnostics }: Invocation,
): Promise<number> {
  const { errors, advice, deviceCount, ttyCount } = await examineConfig(config);
  const tell = (kind: 'error' | 'advice', text: string): void => {
    if (format === 'json') print(`${JSON.stringify({ [kind]: text })}\n`);
    else if (kind === 'error') diagnostics.fail(text);
    else diagnostics.say(`advice: ${text}`);
  };
  for (const text of errors) tell('error', text);
  for (const text of advice) tell('advice', text);
  const isOk = errors.length === 0;
  if (format === 'json') {
    print(`${JSON.stringify({ config, ok: isOk, devices: deviceCount, ttys: ttyCount })}\n`);
  }
  if (!isOk) {
    const count = errors.length === 1 ? 'one' : errors.length;
    throw new RigError('config', `${config}: expected a config without errors, found ${count}`);
  }
  if (format === 'text') {
    print(`${config}: ${countOf(deviceCount, 'device')}, ${countOf(ttyCount, 'tty')}: ok\n`);
  }
  return 0;
}

/** Opens nothing but the config and sysfs. */
export async function examineConfig(config: string, files = new HostFiles()): Promise<ConfigReport> {
  const { devices, errors } = await readOrRefuse(config);
  const located = (texts: readonly string[]): string[] => texts.map((text) => `${config}: ${text}`);
  return {
    errors: [
      ...errors,
      ...located([...jigErrors(devices), ...kindErrors(devices, files), ...placeErrors(devices, files)]),
    ],
    advice: located(adviceOn(devices, files)),
    deviceCount: devices.length,
    ttyCount: devices.reduce((count, { ttys }) => count + ttys.length, 0),
  };
}

/** A file that cannot be read has one error, and no devices. */
async function readOrRefuse(config: string): Promise<{ devices: PooledDevice[]; errors: string[] }> {
  try {
    return await readPool(config);
  } catch (error) {
    if (!(error instanceof RigError)) throw error;
    return { devices: [], errors: [error.message] };
  }
}

function jigErrors(devices: readonly PooledDevice[]): string[] {
  return devices.flatMap(({ jig }, index) => {
    if (jig === undefined) return [];
    try {
      parseJigAddress(jig, `devices.${index}.jig`);
      return [];
    } catch (error) {
      if (!(error instanceof RigError)) throw error;
      return [error.message];
    }
  });
}

/** What is not there, or not to be seen, may be a tty. */
function kindErrors(devices: readonly PooledDevice[], files: HostFiles): string[] {
  return devices.flatMap(({ ttys }, index) =>
    ttys.flatMap(({ path, locked }, ttyIndex) => {
      const isOther = locked && files.stat(path) !== undefined && files.deviceNumber(path) === undefined;
      return isOther ? [`devices.${index}.ttys.${ttyIndex}: ${path}: ${NO_TTY}`] : [];
    }),
  );
}

/** One tty by two names, such as its by-id and its by-path link: only what is plugged in can show it. */
function placeErrors(devices: readonly PooledDevice[], files: HostFiles): string[] {
  const seen = new Map<
    string,
    { readonly path: string; readonly device: string; readonly isLocked: boolean }
  >();
  const errors: string[] = [];
  for (const [index, { name: device, ttys }] of devices.entries()) {
    for (const [ttyIndex, { path, locked: isLocked }] of ttys.entries()) {
      const place = placeOf(path, files);
      if (place === undefined) continue;
      const before = seen.get(place);
      if (!before) seen.set(place, { path, device, isLocked });
      else if (before.device !== device && before.path !== path && (before.isLocked || isLocked)) {
        errors.push(
          `devices.${index}.ttys.${ttyIndex}: expected a tty of ${device} alone, got ${path}, ` +
            `which is ${before.path} of ${before.device}`,
        );
      }
    }
  }
  return errors;
}

function placeOf(path: string, files: HostFiles): string | undefined {
  const number = files.deviceNumber(path);
  return (number && physicalName(number, files)) ?? files.real(path);
}

function countOf(count: number, what: 'device' | 'tty'): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
