/** `sai-device --list`: every device and who has it, without touching one. */

import { oneLine } from '../base/one-line.ts';
import { readFlocks } from '../base/proc-locks.ts';
import { readProcessEnvironment, readProcessTable } from '../base/process-table.ts';
import type { Invocation } from '../base/run-main.ts';
import { statIfVisible } from '../base/visible-file.ts';
import { ENV } from '../wire/env.ts';
import { readLeaseFile } from './lease-file.ts';
import { type DeviceView, describeHolder, describeQuarantine, lookAt, timeOfDay } from './look.ts';
import { claimsOf, ttyGidOf } from './place.ts';
import { loadPool, type PooledDevice } from './pool.ts';
import { findRunDir, type RunDir } from './run-dir.ts';
import { type Quarantine, readState } from './state.ts';
import { claimsAny, type Ticket, type TicketContent, TicketLine } from './ticket.ts';

interface ListedDevice {
  readonly name: string;
  readonly type: string;
  readonly state: DeviceView['state'];
  /** Of a held device: all of it; of a foreign one: the pid, where the kernel shows it. */
  readonly holder?: {
    readonly pid: number;
    readonly user?: string;
    readonly command?: string;
    readonly sinceMs?: number;
    readonly lease?: string;
  };
  readonly ttys: readonly string[];
  /** Of a held device: those of its ttys that are not there now. */
  readonly missing?: readonly string[];
  /** Why it cannot be used. */
  readonly problem?: string;
  /** Why nobody gets it; who has it already, keeps it. */
  readonly quarantine?: Quarantine;
  /** Who waits for it, the next one first. */
  readonly queue?: readonly Waiter[];
  /** Processes of a lease that nobody holds any more: holder and guard were killed at once. */
  readonly strays?: readonly number[];
}

type Waiter = Pick<TicketContent, 'pid' | 'user' | 'request' | 'command' | 'sinceMs'>;

export interface Listing {
  readonly device: ListedDevice;
  /** The same for people. */
  readonly text: string;
}

/** Prints every device and who has it. */
export async function listPool(
  config: string,
  format: 'text' | 'json',
  { env, print, diagnostics }: Invocation,
): Promise<number> {
  const pool = await loadPool(config);
  const runDir = findRunDir({ configured: env[ENV.runDir], ttyGid: ttyGidOf(pool) });
  const { listings, damage } = listDevices(pool, runDir);
  if (damage !== undefined) diagnostics.say(damage);
  for (const { device, text } of listings) {
    print(`${format === 'json' ? JSON.stringify(device) : text}\n`);
  }
  return 0;
}

/** In file order; `damage` is one line about what is known of them and cannot be used. */
export function listDevices(
  pool: readonly PooledDevice[],
  runDir: RunDir | undefined,
): { readonly listings: readonly Listing[]; readonly damage: string | undefined } {
  const flocks = readFlocks();
  const leased = processesByLease();
  const state = readState(runDir);
  const tickets = ticketsIn(runDir);
  const listings = pool.map((device) => {
    const view = lookAt(device, runDir, flocks, state);
    const sight: Sight = {
      view,
      strays: runDir ? straysOf(view, runDir, leased) : [],
      missing: view.state === 'held' ? missingOf(device) : [],
      quarantine: state.devices.get(device.name)?.quarantine,
      queue: queueOf(device, tickets),
    };
    return { device: listed(device, sight), text: describe(device, sight) };
  });
  return { listings, damage: state.damage };
}

/** All that is known of one device. */
interface Sight {
  readonly view: DeviceView;
  readonly missing: readonly string[];
  readonly strays: readonly number[];
  readonly quarantine: Quarantine | undefined;
  readonly queue: readonly Waiter[];
}

function listed(device: PooledDevice, { view, missing, strays, quarantine, queue }: Sight): ListedDevice {
  const holder = holderOf(view);
  return {
    name: device.name,
    type: device.type,
    state: view.state,
    ...(holder && { holder }),
    ttys: device.ttys.map((tty) => tty.path),
    ...(missing.length > 0 && { missing }),
    ...(view.state === 'missing' && { problem: view.problem.text }),
    ...(quarantine && { quarantine }),
    ...(queue.length > 0 && { queue }),
    ...(strays.length > 0 && { strays }),
  };
}

function holderOf(view: DeviceView): ListedDevice['holder'] {
  if (view.state === 'foreign') return { pid: view.pid };
  if (view.state !== 'held' || !view.record || view.record.releasedAtMs !== undefined) return undefined;
  const { holderPid, user, command, sinceMs, folder } = view.record;
  return { pid: holderPid, user, command, sinceMs, lease: folder };
}

function describe(device: PooledDevice, { view, missing, strays, quarantine, queue }: Sight): string {
  const [next] = queue;
  return [
    `${describeHolder(device, view)} [${device.type}]`,
    ...missing.map((path) => `its tty ${path} is away`),
    ...(quarantine && view.state !== 'quarantined' ? [describeQuarantine(device, quarantine)] : []),
    ...(next ? [`next in queue: ${describeWaiter(next)}`] : []),
    ...(queue.length > 1 ? [`${queue.length - 1} more waiting`] : []),
    ...(strays.length > 0 ? [`left behind by its last lease: pid ${strays.join(', ')}`] : []),
  ].join('; ');
}

/** Whose lease waits for them. */
function missingOf({ ttys }: PooledDevice): string[] {
  return ttys.map(({ path }) => path).filter((path) => !statIfVisible(path)?.isCharacterDevice());
}

function describeWaiter({ pid, user, command, sinceMs }: Waiter): string {
  return `pid ${pid} (${oneLine(command)}) of ${oneLine(user)} since ${timeOfDay(sinceMs)}`;
}

function ticketsIn(runDir: RunDir | undefined): Ticket[] {
  try {
    return runDir ? new TicketLine(runDir.queue).living() : [];
  } catch {
    return []; // nobody has ever waited here, or somebody removed the queue: who waits is told
  }
}

function queueOf(device: PooledDevice, tickets: readonly Ticket[]): Waiter[] {
  if (tickets.length === 0) return [];
  const claims = claimsOf(device);
  return tickets
    .filter((ticket) => claimsAny(ticket, claims))
    .map(({ content: { pid, user, request, command, sinceMs } }) => ({
      pid,
      user,
      request,
      command,
      sinceMs,
    }));
}

function straysOf(
  view: DeviceView,
  runDir: RunDir,
  leased: ReadonlyMap<string, readonly number[]>,
): number[] {
  if (view.state === 'missing' || view.state === 'held') return [];
  const folders = new Set(view.places.map((place) => readLeaseFile(runDir, place)?.folder));
  return [...folders].flatMap((folder) => leased.get(folder ?? '') ?? []);
}

function processesByLease(): Map<string, number[]> {
  const start = `${ENV.deviceLease}=`;
  const found = new Map<string, number[]>();
  for (const { pid, state } of readProcessTable()) {
    if (state === 'Z') continue;
    const folder = readProcessEnvironment(pid)
      .find((entry) => entry.startsWith(start))
      ?.slice(start.length);
    if (folder) found.set(folder, [...(found.get(folder) ?? []), pid]);
  }
  return found;
}
