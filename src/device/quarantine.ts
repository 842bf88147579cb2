/** `sai-device --quarantine` and `--release`: devices that nobody gets until somebody says so. */

import { RigError } from '../base/errors.ts';
import { oneLine } from '../base/one-line.ts';
import type { Invocation } from '../base/run-main.ts';
import { userName } from '../base/user-name.ts';
import { didYouMean } from '../base/validate.ts';
import { ENV } from '../wire/env.ts';
import { describeQuarantine } from './look.ts';
import { ttyGidOf } from './place.ts';
import { loadPool, type PooledDevice } from './pool.ts';
import { openRunDir, type RunDir } from './run-dir.ts';
import { changeState } from './state.ts';
import { wakeWaiters } from './wake.ts';

/** Somebody waits for this at a terminal: longer than a dead writer's turn lasts. */
const PATIENCE_MS = 10_000;

export interface QuarantineOptions {
  /** The devices config. */
  readonly config: string;
  /** Accept a run folder on a network file system. */
  readonly force: boolean;
  /** The device's name. */
  readonly name: string;
}

/** Keeps a device from whoever wants it next; who has it keeps it. */
export async function quarantine(
  options: QuarantineOptions & { readonly reason: string },
  invocation: Invocation,
): Promise<number> {
  const { device, runDir } = await findDevice(options, invocation);
  const placed = { reason: oneLine(options.reason), by: userName(), atMs: Date.now() };
  const before = await changeState(
    runDir,
    device.name,
    (each) => (each.quarantine ? each : { ...each, quarantine: placed }),
    { patienceMs: PATIENCE_MS },
  );
  wakeWaiters(runDir); // those who wait for it say so
  const already = before.quarantine ? 'already ' : '';
  const text = describeQuarantine(device, before.quarantine ?? placed);
  invocation.diagnostics.say(`${device.name}: ${already}${text}`);
  return 0;
}

/** Gives a device back; whoever waits for it has it at once. */
export async function releaseFromQuarantine(
  options: QuarantineOptions,
  invocation: Invocation,
): Promise<number> {
  const { device, runDir } = await findDevice(options, invocation);
  const { quarantine } = await changeState(
    runDir,
    device.name,
    (each) => {
      const { quarantine: before, ...rest } = each;
      return before ? rest : each;
    },
    { patienceMs: PATIENCE_MS },
  );
  wakeWaiters(runDir);
  const what = quarantine
    ? `no longer quarantined (it was, by ${oneLine(quarantine.by)}: ${oneLine(quarantine.reason)})`
    : 'was not quarantined';
  invocation.diagnostics.say(`${device.name}: ${what}`);
  return 0;
}

/**
 * @throws {RigError} blame `config` for a name that the config does not list, `unavailable` where nothing is shared
 */
async function findDevice(
  { config, force, name }: QuarantineOptions,
  { env }: Invocation,
): Promise<{ device: PooledDevice; runDir: RunDir }> {
  const pool = await loadPool(config);
  const device = pool.find((each) => each.name === name);
  if (!device) {
    const names = pool.map((each) => each.name);
    const known = names.length > 0 ? `names: ${names.join(', ')}` : 'the config lists no devices';
    throw new RigError(
      'config',
      `unknown device ${JSON.stringify(name)}${didYouMean(name, names)}; ${known}`,
    );
  }
  const search = openRunDir({ configured: env[ENV.runDir], ttyGid: ttyGidOf(pool), force });
  if (search.runDir) return { device, runDir: search.runDir };
  throw new RigError(
    'unavailable',
    `no shared run folder to keep a quarantine in (${search.reason}); have root make /run/sai, mode 3775, for the group of the ttys`,
  );
}
