import { RigError, reasonOf } from '../base/errors.ts';
import { parseJigAddress } from '../jig-client/jig-address.ts';
import { ENV } from '../wire/env.ts';
import type { RunReport } from '../wire/jig.ts';
import { type Instruction, stepsIn } from './script.ts';

/** Under a lease only another step of the same test can keep the target busy, and not for long. */
const BUSY_WAIT_MS = 30_000;

export type RunJig = (sequence: string, signal: AbortSignal) => Promise<RunReport | undefined>;

/**
 * What runs the `--jig` steps, through the jig of the leased device.
 *
 * @throws {RigError} blame `config` when there is such a step and the device has no jig, or one that is no URL
 */
export function jigRunner(steps: readonly Instruction[], env: NodeJS.ProcessEnv): RunJig {
  const url = env[ENV.deviceJig];
  const first = [...stepsIn(steps)].find((step) => step.kind === 'jig');
  if (first && !url) {
    throw new RigError(
      'config',
      `${first.text}: expected ${ENV.deviceJig}, got none; run it under a lease of a device that has a jig, or set it to http://HOST:PORT/TARGET`,
    );
  }
  if (first && url) parseJigAddress(url, ENV.deviceJig);
  return async (sequence, signal) => {
    // Most invocations have no such step, and are not to pay for loading HTTP.
    const { runSequence } = await import('../jig-client/run-sequence.ts');
    try {
      return await runSequence({
        url: url ?? '',
        sequence,
        token: env[ENV.jigToken],
        fence: env[ENV.deviceFence],
        extraCertificates: env['NODE_EXTRA_CA_CERTS'],
        waitMs: BUSY_WAIT_MS,
        onDisconnect: 'abort',
        signal,
      });
    } catch (error) {
      if (!(error instanceof RigError)) throw error;
      throw new RigError(error.blame, `--jig ${sequence}: ${reasonOf(error)}`, { cause: error });
    }
  };
}
