/** `sai-device --doctor`: what on this host keeps boards from being used, or will one night. Opens no tty, takes no lock. */

import { accessSync, constants } from 'node:fs';
import { RigError } from '../base/errors.ts';
import type { Invocation } from '../base/run-main.ts';
import { ENV } from '../wire/env.ts';
import type { Ailment, ExaminedNode, NodeKind, Patient } from './ailment.ts';
import { ailmentsOfHost } from './doctor-host.ts';
import { ailmentsOfNodes } from './doctor-nodes.ts';
import { ailmentsOfRunDir, factsOfRunDir } from './doctor-run-dir.ts';
import { HostFiles } from './host-files.ts';
import { ownLogin } from './permission.ts';
import { type PooledDevice, readPool } from './pool.ts';
import { listUsbTtys, usbDeviceBehind } from './sysfs-usb.ts';

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
    login: ownLogin(),
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
  const nodes = devices.length > 0 ? configuredNodes(devices, files) : pluggedTtys(files);
  return {
    ailments: [
      ...ailments,
      ...ailmentsOfNodes(devices, nodes, patient),
      ...ailmentsOfHost(nodes, files),
      ...ailmentsOfRunDir(nodes, patient),
    ],
    facts: factsOfRunDir(nodes, patient),
  };
}

async function readConfig(config: string): Promise<{ devices: PooledDevice[]; ailments: Ailment[] }> {
  const ailment = (problem: string, cure: string): Ailment => ({ blame: 'config', problem, cure });
  try {
    const { devices, errors } = await readPool(config);
    const broken = errors.map((problem) =>
      ailment(problem, 'correct it; sai-device --check says when it is right'),
    );
    const isEmpty = errors.length === 0 && devices.length === 0;
    const empty = ailment(`${config} lists no devices`, 'sai-device --scan proposes entries');
    return { devices, ailments: isEmpty ? [empty] : broken };
  } catch (error) {
    if (!(error instanceof RigError)) throw error;
    const [problem = '', advice] = error.message.split('; write one ');
    const cure =
      advice === undefined
        ? 'correct it; sai-device --check says when it is right'
        : 'write one, from what sai-device --scan proposes, or name another with --config';
    return { devices: [], ailments: [ailment(problem, cure)] };
  }
}

function configuredNodes(devices: readonly PooledDevice[], files: HostFiles): ExaminedNode[] {
  return devices.flatMap(({ name, ttys, locks }) => [
    ...ttys.map(({ path }) => examined('tty', `${name}: ${path}`, path, files)),
    ...locks.map((path) => examined('file', `${name}: ${path}`, path, files)),
  ]);
}

function pluggedTtys(files: HostFiles): ExaminedNode[] {
  return listUsbTtys(files)
    .map(({ name }) => examined('tty', `/dev/${name}`, `/dev/${name}`, files))
    .filter(({ node }) => node !== undefined);
}

function examined(what: NodeKind, label: string, path: string, files: HostFiles): ExaminedNode {
  const number = files.deviceNumber(path);
  const usb = number === undefined ? undefined : usbDeviceBehind(number, files);
  return { what, label, path, node: files.real(path), number, usb };
}

function mayUse(path: string, what: NodeKind): boolean {
  try {
    accessSync(path, what === 'tty' ? constants.R_OK | constants.W_OK : constants.R_OK);
    return true;
  } catch {
    return false; // the whole question
  }
}
