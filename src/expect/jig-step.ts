import { RigError, reasonOf } from '../base/errors.ts';
import { parseJigAddress } from '../jig-client/jig-address.ts';
import { ENV } from '../wire/env.ts';
import type { RunReport } from '../wire/jig.ts';
import { type Instruction, stepsIn } from './script.ts';

/** Under a lease only another step of the same test can keep the target busy, and not for long. */
const BUSY_WAIT_MS = 30_000;

export type RunJig = (sequence: string, signal: AbortSignal) => Promise<RunReport | undefined>;

/**
 * What runs the `--jig` steps, through the jig of the leased device; `nameOf` is how messages call one.
 *
 * @throws {RigError} blame `config` when there is such a step and the device has no jig, or one that is no URL
 */
export function jigRunner(
  steps: readonly Instruction[],
  env: NodeJS.ProcessEnv,
  nameOf = (sequence: string): string => `--jig ${sequence}`,
): RunJig {
  const url = env[ENV.deviceJig];
  const first = [...stepsIn(steps)].find((step) => step.kind === 'jig');
  if (first && !url) {
    throw new RigError(
      'config',
      `${first.text}: expected the device to have a jig, found none; name it in the devices config ("jig") or in ${ENV.deviceJig}=http://HOST:PORT/TARGET (a virtual board gets one by: sai-virtual-lab up --with-jig)`,
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
        certificate: env[ENV.jigCertificate],
        key: env[ENV.jigKey],
        waitMs: BUSY_WAIT_MS,
        onDisconnect: 'abort',
        signal,
      });
    } catch (error) {
      if (!(error instanceof RigError)) throw error;
      throw new RigError(error.blame, `${nameOf(sequence)}: ${reasonOf(error)}`, { cause: error });
    }
  };
}
