import { gtestFormat } from './gtest-format.ts';
import { tapFormat } from './tap-format.ts';
import type { ResultEvent, ResultFormat, ResultFormatName } from './test-result.ts';
import { unityFormat } from './unity-format.ts';
import { ztestFormat } from './ztest-format.ts';

const FORMATS: readonly ResultFormat[] = [unityFormat, ztestFormat, gtestFormat, tapFormat];

/** Those that may be meant. */
export function formatsOf(wanted: ResultFormatName | 'auto'): readonly ResultFormat[] {
  return wanted === 'auto' ? FORMATS : FORMATS.filter(({ name }) => name === wanted);
}

/** What healthy boards do not say by chance, as they may say `OK` or `Running something...`. */
const TELLING: ReadonlySet<ResultEvent['kind']> = new Set(['begin', 'plan', 'suite', 'result', 'totals']);

/** Whether a board that says this prints in that format. */
export function isTelling(event: ResultEvent): boolean {
  return TELLING.has(event.kind) && !('isVague' in event);
}
