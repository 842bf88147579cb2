import { existsSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { RigError } from '../base/errors.ts';

/**
 * What to listen on, undefined for all: `iface` is an address or an interface's name, as in Sai.
 *
 * @throws {RigError} blame `config` for an interface that this host has not, `unavailable` for one without an address
 */
export function addressOf(iface: string | undefined, where: string): string | undefined {
  if (iface === undefined || iface === '') return undefined;
  if (/^[\d.]+$|:/.test(iface)) return iface;
  const there = networkInterfaces();
  const addresses = there[iface];
  const address = addresses?.find(({ family }) => family === 'IPv4') ?? addresses?.[0];
  if (address) return address.address;
  if (!iface.includes('/') && existsSync(`/sys/class/net/${iface}`)) {
    throw new RigError(
      'unavailable',
      `${where}: expected an address of ${iface}, it has none; is its cable in, and the network up?`,
    );
  }
  throw new RigError(
    'config',
    `${where}: expected an address or an interface of this host, one of ${Object.keys(there).join(', ')}, got ${JSON.stringify(iface)}`,
  );
}

/** @throws {RigError} as {@link addressOf}, and blame `unavailable` for an address that this host has not */
export function requireAddress(iface: string | undefined, where: string): void {
  const address = addressOf(iface, where);
  // There is more than one way to write any other.
  if (address === undefined || !isIPv4(address) || /^(?:127|0)\./.test(address)) return;
  const own = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  if (own.some((each) => each.address === address)) return;
  const known = own.map((each) => each.address).join(', ');
  throw new RigError(
    'unavailable',
    `${where}: expected an address of this host, one of ${known}, got ${JSON.stringify(address)}`,
  );
}
