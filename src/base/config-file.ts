import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { errnoCode, RigError, reasonOf } from './errors.ts';

/** What is read, as messages name it. */
interface Kind {
  readonly what: string;
  readonly cure: string;
  readonly maxSizeBytes: number;
}

/** A rack of boards needs some kilobytes. */
const CONFIG: Kind = {
  what: 'a config file',
  cure: '; write one or name another with --config',
  maxSizeBytes: 4_000_000,
};

/** Far more than people write. */
const YAML: Kind = { what: 'a file', cure: '', maxSizeBytes: 1_000_000 };

/**
 * The value in a config file: JSON, or JSON as Sai writes it (`#` comments, trailing commas, tabs).
 *
 * @throws {RigError} blame `config` with file, line and column
 */
export async function readConfigFile(path: string): Promise<unknown> {
  const text = readText(path, CONFIG);
  try {
    return JSON.parse(text);
  } catch (error) {
    return await parseRelaxed(path, text, reasonOf(error));
  }
}

function readText(path: string, kind: Kind): string {
  let fd: number | undefined;
  try {
    // A FIFO is not waited for, and a tty does not become ours.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    const stat = fstatSync(fd);
    if (stat.isDirectory()) throw refusal(path, kind, 'a folder');
    if (!stat.isFile()) throw refusal(path, kind, 'a device, pipe or socket');
    if (stat.size > kind.maxSizeBytes)
      throw refusal(path, { ...kind, what: `${kind.what} of at most ${kind.maxSizeBytes} bytes` }, stat.size);
    return readFileSync(fd, 'utf8');
  } catch (error) {
    if (error instanceof RigError) throw error;
    const code = errnoCode(error);
    if (code === 'ENOENT') throw refusal(path, kind, 'none', error);
    throw new RigError('config', `${path}: cannot be read: ${reasonOf(error)}`, { cause: error });
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function refusal(path: string, { what, cure }: Kind, found: string | number, cause?: unknown): RigError {
  return new RigError('config', `${path}: expected ${what}, found ${found}${cure}`, { cause });
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

/** A value, and where in its file each part of it stands. */
export interface LocatedValue {
  readonly value: unknown;
  /** `boot.yaml:3:5` of what `path` leads to, or of the last thing on the way that there is. */
  readonly at: (path: readonly unknown[]) => string;
}

/**
 * The value in a YAML or JSON file. Anchors work; several documents, unknown tags and a key given twice do not.
 *
 * @throws {RigError} blame `config` with file, line and column
 */
export async function readYamlFile(name: string): Promise<LocatedValue> {
  const text = readText(name, YAML);
  const { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } = await import('yaml');
  const lineCounter = new LineCounter();
  const place = (offset: number): string => {
    const { line, col } = lineCounter.linePos(offset);
    return `${name}:${Math.max(1, line)}:${Math.max(1, col)}`;
  };
  let document: ReturnType<typeof parseDocument>;
  let value: unknown;
  try {
    document = parseDocument(/^\s*[{[]/.test(text) ? untabbed(text) : text, {
      lineCounter,
      uniqueKeys: true,
    });
    const problem = document.errors[0] ?? document.warnings[0];
    if (problem) {
      const reason = problem.message.split(/[\r\n]/)[0]?.replace(/:? at line \d+, column \d+:?$/, '');
      throw new RigError('config', `${place(problem.pos[0])}: expected YAML or JSON: ${reason}`);
    }
    value = document.toJS({ maxAliasCount: 100 }) as unknown;
    // An anchor inside itself makes a value without end.
    JSON.stringify(value);
  } catch (error) {
    if (error instanceof RigError) throw error;
    // Nested deeper than the parser can follow, or an alias that leads nowhere or to too much.
    throw new RigError('config', `${name}: expected YAML or JSON: ${reasonOf(error)}`, { cause: error });
  }
  const at = (keys: readonly unknown[]): string => {
    let node: unknown = document.contents;
    let offset = offsetOf(node) ?? 0;
    for (const key of keys) {
      if (isAlias(node)) node = node.resolve(document);
      if (isMap(node)) {
        const pair = node.items.find(
          ({ key: each }) => String(isScalar(each) ? each.value : each) === String(key),
        );
        if (!pair) break;
        offset = offsetOf(pair.key) ?? offset;
        node = pair.value;
      } else if (isSeq(node)) {
        node = node.items[Number(key)];
        offset = offsetOf(node) ?? offset;
      } else break;
    }
    return place(offset);
  };
  return { value, at };
}

function offsetOf(node: unknown): number | undefined {
  return (node as { range?: [number, number, number] } | null)?.range?.[0];
}
