import { reasonOf } from '../base/errors.ts';
import type { RunReport } from '../wire/jig.ts';
import type { LogSender } from './sender.ts';

/** Does `run`, and tells the log's jig channel when it was asked for and what came of it; `what` names both. */
export async function logJigRun(
  log: LogSender | undefined,
  what: string,
  run: () => Promise<RunReport | undefined>,
): Promise<RunReport | undefined> {
  const tell = (text: string): void => log?.send(Buffer.from(`${what}: ${text}\n`));
  tell('asked for');
  try {
    const report = await run();
    tell(report ? `done in ${report.durationMs} ms, at most ${report.latestMs} ms late` : 'done');
    return report;
  } catch (error) {
    tell(reasonOf(error));
    throw error;
  }
}
