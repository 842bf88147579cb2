/** What the command of a lease finds in its environment. */

import { RigError } from '../base/errors.ts';
import { ENV, ttyVariable } from '../wire/env.ts';
import type { Lease } from './lease.ts';

/** `NAME=<ttyIndex>` of the command line. */
export interface Alias {
  readonly name: string;
  readonly ttyIndex: number;
}

export interface EnvironmentOptions {
  readonly alias: Alias | undefined;
  readonly findings: string;
}

/** `outer` plus the device; what an outer lease says of its own device is gone. */
export function environmentOf(
  outer: NodeJS.ProcessEnv,
  lease: Lease,
  { alias, findings }: EnvironmentOptions,
): NodeJS.ProcessEnv {
  const { record, device, runDir } = lease;
  const kept = Object.entries(outer).filter(
    ([name]) => !/^SAI_DEVICE_(?:TTY\d+|JIG|PROBE_SERIAL|PORT_BASE)$/.test(name),
  );
  return {
    ...Object.fromEntries(kept),
    ...device.env,
    ...Object.fromEntries(record.ttys.map(({ path }, index) => [ttyVariable(index), path])),
    [ENV.deviceName]: record.device,
    [ENV.deviceType]: record.type,
    [ENV.deviceLease]: record.folder,
    [ENV.deviceFence]: String(record.fence),
    [ENV.findings]: findings,
    ...(device.jig === undefined ? {} : { [ENV.deviceJig]: device.jig }),
    ...(device.probe === undefined ? {} : { [ENV.deviceProbeSerial]: device.probe.serial }),
    ...(lease.portBase === undefined ? {} : { [ENV.devicePortBase]: String(lease.portBase) }),
    ...(runDir === undefined ? {} : { [ENV.runDir]: runDir.path }),
    ...aliasOf(alias, record.ttys),
  };
}

/** @throws {RigError} blame `usage` when the device has no such tty */
export function aliasOf(
  alias: Alias | undefined,
  ttys: readonly { readonly path: string }[],
): Record<string, string> {
  if (!alias) return {};
  const tty = ttys[alias.ttyIndex];
  if (tty) return { [alias.name]: tty.path };
  throw new RigError(
    'usage',
    `${alias.name}=${alias.ttyIndex}: expected the index of a tty, found ${ttys.length} ttys`,
  );
}
