/** TCP ports for the debug server of a lease (OpenOCD, JLinkGDBServer), which no other lease on this host gets. */

import { closeSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RigError, reasonOf } from '../base/errors.ts';
import { openShared } from '../base/shared-file.ts';
import { tryFlock } from '../native/flock.ts';
import type { RunDir } from './run-dir.ts';

/**
 * Below the ports that the kernel gives to outgoing connections, so that none of those is in the way.
 * Source: Linux Documentation/networking/ip-sysctl.rst, ip_local_port_range: 32768 to 60999.
 */
export const FIRST_PORT = 24_000;
export const LAST_PORT = 24_999;
export const PORTS_PER_BLOCK = 10;

export interface PortBlock {
  readonly base: number;
  /** Keeps the block for as long as any process has it. */
  readonly fd: number;
}

/**
 * The first block that nobody holds and nothing listens on. A file of the run folder stands for it, and is flocked.
 *
 * @throws {RigError} blame `unavailable` when all are taken, or there is no shared folder to hold one in
 */
export function takePortBlock(
  runDir: RunDir | undefined,
  busy: ReadonlySet<number> = listeningPorts(),
): PortBlock {
  if (!runDir) {
    throw new RigError(
      'unavailable',
      'expected a shared run folder to reserve the TCP ports of the probe in, found none; have root make /run/sai',
    );
  }
  for (let base = FIRST_PORT; base <= LAST_PORT; base += PORTS_PER_BLOCK) {
    const ports = Array.from({ length: PORTS_PER_BLOCK }, (_, index) => base + index);
    if (ports.some((port) => busy.has(port))) continue;
    const fd = tryHold(join(runDir.path, `ports-${base}.lock`));
    if (fd !== undefined) return { base, fd };
  }
  throw new RigError(
    'unavailable',
    `expected a free block of ${PORTS_PER_BLOCK} TCP ports from ${FIRST_PORT} to ${LAST_PORT}, found none; ` +
      'end what listens there (ss -ltn), or wait for other leases to end',
  );
}

function tryHold(path: string): number | undefined {
  let fd: number;
  try {
    fd = openShared(path);
  } catch (error) {
    throw new RigError('unavailable', `${path}: cannot be used to hold TCP ports: ${reasonOf(error)}`, {
      cause: error,
    });
  }
  if (tryFlock(fd)) return fd;
  closeSync(fd);
  return undefined;
}

/** The TCP ports of this network namespace that somebody listens on, whatever the address. */
export function listeningPorts(folder = '/proc/net'): Set<number> {
  return new Set(['tcp', 'tcp6'].flatMap((name) => listeningIn(join(folder, name))));
}

/** Source: Linux Documentation/networking/proc_net_tcp.rst; 0A is TCP_LISTEN, <net/tcp_states.h>. */
function listeningIn(path: string): number[] {
  let text: string;
  try {
    text = readFileSync(path, 'latin1');
  } catch {
    return []; // a kernel without IPv6
  }
  return [...text.matchAll(/^\s*\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} 0A /gm)].map((match) =>
    Number.parseInt(match[1] ?? '', 16),
  );
}
