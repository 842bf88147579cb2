/** `sai-device --doctor`: what on this host keeps boards from being used, or will one night. Opens no tty, takes no lock. */

import { accessSync, constants } from 'node:fs';
import { type Blame, RigError } from '../base/errors.ts';
import type { Invocation } from '../base/run-main.ts';
import { ENV } from '../wire/env.ts';
import { ailmentsOfHost } from './doctor-host.ts';
import { ailmentsOfRunDir, factsOfRunDir } from './doctor-run-dir.ts';
import { ailmentsOfTtys, type ExaminedTty } from './doctor-ttys.ts';
import { HostFiles } from './host-files.ts';
import { userName } from './lease.ts';
import type { Login } from './permission.ts';
import { type PooledDevice, readPool } from './pool.ts';
import { listUsbTtys, usbDeviceBehind } from './sysfs-usb.ts';

/** One thing that is wrong. */
export interface Ailment {
  /** `config`: what was written down; `hardware`: the ttys; `unavailable`: the host around them. */
  readonly blame: Blame & ('config' | 'hardware' | 'unavailable');
  readonly problem: string;
  readonly cure: string;
}

export interface Patient {
  readonly config: string;
  /** `$SAI_RUN_DIR`. */
  readonly runDir: string | undefined;
  readonly login: Login;
  /** Whether this login may read and write there. */
  readonly mayUse: (path: string) => boolean;
  readonly files: HostFiles;
}

/** Decides the exit status: without a config there is nothing to use, without ttys nothing to be in the way of. */
const WORST_FIRST = ['config', 'hardware', 'unavailable'] as const;

/** Prints each finding. @throws {RigError} with the worst blame when there is one */
export async function examineHost(
  config: string,
  format: 'text' | 'json',
  { env, print, diagnostics }: Invocation,
): Promise<number> {
  const { ailments, facts } = await diagnose({
    config,
    runDir: env[ENV.runDir] || undefined,
    login: { name: userName(), gids: [process.getgid?.() ?? 0, ...(process.getgroups?.() ?? [])] },
    mayUse,
    files: new HostFiles(),
  });
  for (const fact of facts) diagnostics.detail(fact);
  for (const ailment of ailments) {
    const { problem, cure } = ailment;
    print(format === 'json' ? `${JSON.stringify(ailment)}\n` : `problem: ${problem}; cure: ${cure}\n`);
  }
  const worst = WORST_FIRST.find((blame) => ailments.some((each) => each.blame === blame));
  if (worst !== undefined) {
    const count = ailments.length === 1 ? 'a problem' : `${ailments.length} problems`;
    throw new RigError(worst, `found ${count}: ${ailments.find(({ blame }) => blame === worst)?.problem}`);
  }
  if (format === 'text') print('no problem found\n');
  return 0;
}

/** Everything that is wrong, as far as it can be seen, and what may explain more. */
export async function diagnose(
  patient: Patient,
): Promise<{ readonly ailments: readonly Ailment[]; readonly facts: readonly string[] }> {
  const { config, files } = patient;
  const { devices, ailments } = await readConfig(config);
  // Before there is a config: whatever is plugged in.
  const ttys = devices.length > 0 ? configuredTtys(devices, files) : pluggedTtys(files);
  return {
    ailments: [
      ...ailments,
      ...ailmentsOfTtys(devices, ttys, patient),
      ...ailmentsOfHost(ttys, files),
      ...ailmentsOfRunDir(ttys, patient),
    ],
    facts: factsOfRunDir(ttys, patient),
  };
}

async function readConfig(config: string): Promise<{ devices: PooledDevice[]; ailments: Ailment[] }> {
  const ailment = (problem: string, cure: string): Ailment => ({ blame: 'config', problem, cure });
  try {
    const { devices, errors } = await readPool(config);
    const broken = errors.map((problem) => ailment(problem, 'sai-device --check says when it is right'));
    const isEmpty = errors.length === 0 && devices.length === 0;
    const empty = ailment(`${config} lists no devices`, 'sai-device --scan proposes entries');
    return { devices, ailments: isEmpty ? [empty] : broken };
  } catch (error) {
    if (!(error instanceof RigError)) throw error;
    const cure = 'write one, from what sai-device --scan proposes, or name another with --config';
    return { devices: [], ailments: [ailment(error.message.replace(/; write one .*$/, ''), cure)] };
  }
}

function configuredTtys(devices: readonly PooledDevice[], files: HostFiles): ExaminedTty[] {
  return devices.flatMap((device) =>
    device.ttys.map(({ path }) => examined(`${device.name}: `, path, files)),
  );
}

function pluggedTtys(files: HostFiles): ExaminedTty[] {
  return listUsbTtys(files)
    .map(({ name }) => examined('', `/dev/${name}`, files))
    .filter(({ node }) => node !== undefined);
}

function examined(of: string, path: string, files: HostFiles): ExaminedTty {
  const number = files.deviceNumber(path);
  const usb = number === undefined ? undefined : usbDeviceBehind(number, files);
  return { label: `${of}${path}`, path, node: files.real(path), number, usb };
}

function mayUse(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false; // the whole question
  }
}
