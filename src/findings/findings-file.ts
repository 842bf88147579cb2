import { closeSync, constants, openSync, readFileSync, writeSync } from 'node:fs';
import * as v from 'valibot';
import { type Blame, errnoCode, RigError, reasonOf, ScriptError } from '../base/errors.ts';
import { Finding, type Verdict } from '../wire/finding.ts';

/** A longer write could be torn by another writer. Source: the contract of `SAI_FINDINGS`. */
const MAX_LINE_BYTES = 4000;

/** Non-blocking: an open of a FIFO that nobody reads would never return. */
const OPEN_FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK;
/** Of each of device, tty and step in a line that has to be cut. */
const MAX_NAMING_BYTES = 500;
const CUT_MARK = ' …';

/** What a command knows of its failure beyond the error itself. */
export type FindingContext = Pick<Finding, 'device' | 'tty' | 'step'>;

/** The finding that a failure amounts to; anything that is not a {@link RigError} is our bug, and the rig's. */
export function findingOf(tool: string, error: unknown, context: FindingContext = {}): Finding {
  const blame: Blame | 'bug' = error instanceof RigError ? error.blame : 'bug';
  const evidence = error instanceof Error ? error.message : String(error);
  return {
    tool,
    verdict: isAuthors(error) ? 'fail' : 'infra',
    blame,
    ...context,
    evidence,
    atMs: Date.now(),
    monotonicMs: Number(process.hrtime.bigint() / 1_000_000n),
  };
}

/** Whether who writes the firmware or the test has to act; else it is who keeps the rig. */
function isAuthors(error: unknown): boolean {
  if (!(error instanceof RigError)) return false;
  return error.blame === 'verdict' || error.blame === 'usage' || error instanceof ScriptError;
}

/**
 * Appends one line; without a file (the variable is unset) there is nobody to tell.
 *
 * @throws {RigError} blame `config` when the file cannot be written: a lost finding would turn a rig fault into a pass
 */
export function appendFinding(path: string | undefined, finding: Finding): void {
  if (path === undefined || path === '') return;
  const line = lineOf(finding);
  try {
    const fd = openSync(path, OPEN_FLAGS, 0o664);
    try {
      writeSync(fd, line);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw new RigError('config', `${path}: cannot append a finding: ${errnoCode(error) ?? 'failed'}`, {
      cause: error,
    });
  }
}

/** The same for a command that fails anyway: what keeps it from being written is told, and hides nothing. */
export function appendFindingOfFailure(
  path: string | undefined,
  finding: Finding,
  tell: (text: string) => void,
): void {
  try {
    appendFinding(path, finding);
  } catch (error) {
    tell(reasonOf(error));
  }
}

/** One line, its texts cut where the whole would be longer than one write may be. */
function lineOf(finding: Finding): string {
  const whole = `${JSON.stringify(finding)}\n`;
  if (Buffer.byteLength(whole) <= MAX_LINE_BYTES) return whole;
  // A step that was typed can be as long as any evidence: what names things gets a share, the evidence the rest.
  const named: Finding = { ...finding };
  for (const key of ['device', 'tty', 'step'] as const) {
    const text = finding[key];
    if (text !== undefined) named[key] = cut(text, MAX_NAMING_BYTES);
  }
  const around = Buffer.byteLength(`${JSON.stringify({ ...named, evidence: '' })}\n`);
  return `${JSON.stringify({ ...named, evidence: cut(finding.evidence, MAX_LINE_BYTES - around) })}\n`;
}

/** The beginning of `text`, with a mark when that is not all of it: at most `limitBytes` as JSON, without quotes. */
function cut(text: string, limitBytes: number): string {
  const sizeBytes = (part: string): number => Buffer.byteLength(JSON.stringify(part)) - 2;
  if (sizeBytes(text) <= limitBytes) return text;
  let kept = text;
  while (kept !== '' && sizeBytes(`${kept}${CUT_MARK}`) > limitBytes)
    kept = kept.slice(0, Math.floor(kept.length * 0.9));
  return `${kept}${CUT_MARK}`;
}

/** Every finding in the file; a line that is not one (cut, foreign) is itself a finding, never dropped. */
export function readFindings(path: string): Finding[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return [];
    throw error;
  }
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => parseFinding(path, line));
}

function parseFinding(path: string, line: string): Finding {
  try {
    const result = v.safeParse(Finding, JSON.parse(line));
    if (result.success) return result.output;
  } catch {
    // not JSON: reported below with the line itself
  }
  const invalid = new RigError(
    'protocol',
    `${path}: expected a finding, got ${JSON.stringify(line.slice(0, 120))}`,
  );
  return findingOf('findings', invalid);
}

/**
 * The verdict of a step: a failed test outweighs a rig fault, and a rig fault outweighs status 0,
 * because a pass that swallowed one is not a pass.
 */
export function verdictOf(status: number, findings: readonly Finding[]): Verdict {
  if (findings.some((each) => each.verdict === 'fail')) return 'fail';
  if (findings.some((each) => each.verdict === 'infra')) return 'infra';
  return status === 0 ? 'pass' : 'fail';
}

/** The finding that decided: the first `fail`, else the first `infra`. */
export function worstFinding(findings: readonly Finding[]): Finding | undefined {
  return findings.find((each) => each.verdict === 'fail') ?? findings[0];
}
