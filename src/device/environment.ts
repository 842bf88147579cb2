/** What the command of a lease finds in its environment. */

import { RigError } from '../base/errors.ts';
import { ENV, roleVariables, ttyVariable } from '../wire/env.ts';
import type { LeasedDevice } from '../wire/lease.ts';
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

/** `outer` plus the devices; what an outer lease says of its own is gone. */
export function environmentOf(
  outer: NodeJS.ProcessEnv,
  lease: Lease,
  { alias, findings }: EnvironmentOptions,
): NodeJS.ProcessEnv {
  const { record, holdings, runDir } = lease;
  const [first, ...others] = record.devices;
  return {
    ...withoutRoles(withoutDevice(outer), others),
    // Of two devices that set the same name, the one asked for first wins.
    ...Object.assign({}, ...[...holdings].reverse().map(({ device }) => device.env)),
    ...Object.assign({}, ...others.map((each) => variablesOfRole(each))),
    ...variablesOfDevice(first),
    [ENV.deviceLease]: record.folder,
    [ENV.deviceFence]: String(record.fence),
    [ENV.findings]: findings,
    ...(runDir === undefined ? {} : { [ENV.runDir]: runDir.path }),
    ...aliasOf(alias, first.ttys),
  };
}

/** `outer` of a command that joins a lease, for the device of it that its request meant. */
export function environmentOfMember(
  outer: NodeJS.ProcessEnv,
  device: LeasedDevice,
  alias: Alias | undefined,
): NodeJS.ProcessEnv {
  return { ...withoutDevice(outer), ...variablesOfDevice(device), ...aliasOf(alias, device.ttys) };
}

function withoutDevice(outer: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(outer).filter(
      ([name]) => !/^SAI_DEVICE_(?:TTY\d+|JIG|PROBE_SERIAL|PORT_BASE)$/.test(name),
    ),
  );
}

/** An outer lease may have called a device with more ttys, or with a jig, the same. */
function withoutRoles(outer: NodeJS.ProcessEnv, devices: readonly LeasedDevice[]): NodeJS.ProcessEnv {
  const prefixes = devices.map(({ role }) => roleVariables(role ?? '').prefix);
  return Object.fromEntries(
    Object.entries(outer).filter(
      ([name]) =>
        !prefixes.some(
          (prefix) =>
            name.startsWith(prefix) &&
            /^_(?:TTY\d+|JIG|PROBE_SERIAL|PORT_BASE)$/.test(name.slice(prefix.length)),
        ),
    ),
  );
}

function variablesOfDevice({ name, type, ttys, jig, probe }: LeasedDevice): NodeJS.ProcessEnv {
  return {
    ...Object.fromEntries(ttys.map(({ path }, index) => [ttyVariable(index), path])),
    [ENV.deviceName]: name,
    [ENV.deviceType]: type,
    ...(jig === undefined ? {} : { [ENV.deviceJig]: jig }),
    ...(probe && { [ENV.deviceProbeSerial]: probe.serial, [ENV.devicePortBase]: String(probe.portBase) }),
  };
}

function variablesOfRole({ role, name, type, ttys, jig, probe }: LeasedDevice): NodeJS.ProcessEnv {
  const variables = roleVariables(role ?? '');
  return {
    ...Object.fromEntries(ttys.map(({ path }, index) => [variables.tty(index), path])),
    [variables.name]: name,
    [variables.type]: type,
    ...(jig === undefined ? {} : { [variables.jig]: jig }),
    ...(probe && { [variables.probeSerial]: probe.serial, [variables.portBase]: String(probe.portBase) }),
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
  const count = ttys.length === 1 ? '1 tty' : `${ttys.length} ttys`;
  throw new RigError(
    'usage',
    `${alias.name}=${alias.ttyIndex}: expected the index of a tty, counted from 0, found ${count}`,
  );
}
