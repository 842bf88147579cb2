import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { errnoCode, RigError, reasonOf } from './errors.ts';

/** A rack of boards needs some kilobytes. */
const MAX_SIZE_BYTES = 4_000_000;

/**
 * The value in a config file: JSON, or JSON as Sai writes it (`#` comments, trailing commas, tabs).
 *
 * @throws {RigError} blame `config` with file, line and column
 */
export async function readConfigFile(path: string): Promise<unknown> {
  const text = readText(path);
  try {
    return JSON.parse(text);
  } catch (error) {
    return await parseRelaxed(path, text, reasonOf(error));
  }
}

function readText(path: string): string {
  let fd: number | undefined;
  try {
    // A FIFO is not waited for, and a tty does not become ours.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    const stat = fstatSync(fd);
    if (stat.isDirectory()) throw refusal(path, 'a config file, found a folder');
    if (!stat.isFile()) throw refusal(path, 'a config file, found a device, pipe or socket');
    if (stat.size > MAX_SIZE_BYTES)
      throw refusal(path, `a config file of at most ${MAX_SIZE_BYTES} bytes, found ${stat.size}`);
    return readFileSync(fd, 'utf8');
  } catch (error) {
    if (error instanceof RigError) throw error;
    const code = errnoCode(error);
    if (code === 'ENOENT') throw refusal(path, 'a config file, found none', error);
    throw new RigError('config', `${path}: cannot be read: ${reasonOf(error)}`, { cause: error });
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function refusal(path: string, text: string, cause?: unknown): RigError {
  const cure = 'write one or name another with --config';
  return new RigError('config', `${path}: expected ${text}; ${cure}`, { cause });
}

/** The parser costs a start-up nothing until a file needs it. */
async function parseRelaxed(path: string, text: string, jsonReason: string): Promise<unknown> {
  const { LineCounter, parseDocument } = await import('yaml');
  const lineCounter = new LineCounter();
  // YAML takes a superset: only what begins as a JSON object or array is a config.
  const isJsonLike = /^(?:\s|#[^\n]*\n)*[{[]/.test(text);
  const document = parseDocument(untabbed(text), { lineCounter, uniqueKeys: true });
  const error = document.errors[0];
  if (!isJsonLike) throw new RigError('config', `${path}: expected JSON, got ${jsonReason}`);
  if (error) {
    const { line, col } = lineCounter.linePos(error.pos[0]);
    const reason = error.message.split('\n')[0]?.replace(/ at line \d+, column \d+:?$/, '');
    throw new RigError('config', `${path}:${line}:${col}: expected JSON: ${reason}`);
  }
  try {
    return document.toJS() as unknown;
  } catch (error) {
    // An alias of YAML that leads nowhere, or to too much.
    throw new RigError('config', `${path}: expected JSON: ${reasonOf(error)}`, { cause: error });
  }
}

/** YAML refuses tabs as indentation; outside strings JSON takes them as any other space. */
function untabbed(text: string): string {
  return text.replaceAll(/^[\t ]+/gm, (indent) => ' '.repeat(indent.length));
}
