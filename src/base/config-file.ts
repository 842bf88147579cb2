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
 * @throws {RigError} blame `config` with file, line and column, also for a key that an object has twice
 */
export async function readConfigFile(path: string): Promise<unknown> {
  const text = readText(path, CONFIG);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return await parseRelaxed(path, text, reasonOf(error));
  }
  refuseRepeatedKey(path, text, value);
  return value;
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

async function parseRelaxed(path: string, text: string, jsonReason: string): Promise<unknown> {
  // YAML takes a superset: only what begins as a JSON object or array is a config.
  const isJsonLike = /^(?:\s|#[^\n]*\n)*[{[]/.test(text);
  if (!isJsonLike) throw new RigError('config', `${path}: expected JSON, got ${jsonReason}`);
  const strict = asStrict(text);
  let value: unknown;
  try {
    value = JSON.parse(strict);
  } catch (error) {
    return await parseAsYaml(path, text, reasonOf(error));
  }
  refuseRepeatedKey(path, strict, value);
  return value;
}

/** The same with blanks for comments and trailing commas, so that each place in it stays where it is. */
function asStrict(text: string): string {
  return text.replaceAll(/"[^"\\\n]*(?:\\.[^"\\\n]*)*"?|#[^\n]*|,(?=(?:\s|#[^\n]*\n)*[}\]])/g, (part) =>
    part.startsWith('"') ? part : ' '.repeat(part.length),
  );
}

/** What else Sai's own reader takes, such as keys without quotes. It costs a start-up nothing until a file needs it. */
async function parseAsYaml(path: string, text: string, jsonReason: string): Promise<unknown> {
  const { parseDocument } = await import('yaml');
  const document = parseDocument(untabbed(text), { uniqueKeys: true });
  const error = document.errors[0];
  if (error) {
    const [at] = error.pos;
    if (error.code === 'DUPLICATE_KEY') throw repeatedKey(path, text, at);
    const told = jsonFault(text, jsonReason, at);
    const reason = error.message.split('\n')[0]?.replace(/ at line \d+, column \d+:?$/, '');
    throw new RigError(
      'config',
      `${path}:${placeIn(text, told?.at ?? at)}: expected JSON: ${told?.reason ?? reason}`,
    );
  }
  try {
    return document.toJS() as unknown;
  } catch (error) {
    // An alias of YAML that leads nowhere, or to too much.
    throw new RigError('config', `${path}: expected JSON: ${reasonOf(error)}`, { cause: error });
  }
}

/** What V8 says of JSON, which does not talk of indentation; undefined for what may be meant as more than JSON. */
function jsonFault(
  text: string,
  jsonReason: string,
  yamlAt: number,
): { readonly at: number; readonly reason: string } | undefined {
  if (/end of JSON input/.test(jsonReason)) return { at: text.length, reason: 'unexpected end' };
  const [, punctuation] = /^Unexpected token '([^\w'])'/.exec(jsonReason) ?? [];
  if (punctuation !== undefined) return { at: yamlAt, reason: `unexpected ${punctuation}` };
  const [, reason, at] = /^(.+) in JSON at position (\d+)/.exec(jsonReason) ?? [];
  if (reason === undefined || reason.includes('property name')) return undefined;
  return { at: Number(at), reason: `${reason.charAt(0).toLowerCase()}${reason.slice(1)}` };
}

/**
 * JSON.parse lets the last one win, and a board or a tty would be gone without a word. `value` is what it made of
 * `json`: as many keys in both, and none was lost, which is soon known.
 */
function refuseRepeatedKey(path: string, json: string, value: unknown): void {
  if (countColons(json) === countKeys(value)) return;
  const objects: (Set<string> | undefined)[] = [];
  for (const { 0: token, index } of json.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"(?:\s*:)?|[{}[\]]/g)) {
    if (token === '{') objects.push(new Set());
    else if (token === '[') objects.push(undefined);
    else if (token === '}' || token === ']') objects.pop();
    else if (token.endsWith(':')) {
      const keys = objects.at(-1);
      const quoted = token.slice(0, -1).trimEnd();
      // One key may be written in several ways.
      const key = quoted.includes('\\') ? JSON.stringify(JSON.parse(quoted)) : quoted;
      if (keys?.has(key)) throw repeatedKey(path, json, index);
      keys?.add(key);
    }
  }
}

/** Those behind a quote: every key has one, and few texts have. By hand: a regular expression is compiled first. */
function countColons(json: string): number {
  let count = 0;
  for (let at = json.indexOf(':'); at >= 0; at = json.indexOf(':', at + 1)) {
    let before = at - 1;
    while (json.charCodeAt(before) <= 0x20) before -= 1;
    if (json[before] === '"') count += 1;
  }
  return count;
}

/** Without recursion: a file may nest deeper than the stack is. */
function countKeys(value: unknown): number {
  let count = 0;
  const rest = [value];
  for (let each = rest.pop(); each !== undefined; each = rest.pop()) {
    if (typeof each !== 'object' || each === null) continue;
    const values: unknown[] = Object.values(each);
    if (!Array.isArray(each)) count += values.length;
    for (const inner of values) if (typeof inner === 'object' && inner !== null) rest.push(inner);
  }
  return count;
}

function repeatedKey(path: string, text: string, at: number): RigError {
  const key = /^(?:"(?:[^"\\]|\\.)*"|'[^'\n]*'|[^\s:,{}[\]]+)/.exec(text.slice(at))?.[0] ?? 'one';
  return new RigError('config', `${path}:${placeIn(text, at)}: expected each key once, got ${key} again`);
}

/** `line:column`, both from 1. */
function placeIn(text: string, at: number): string {
  const lines = text.slice(0, at).split('\n');
  return `${lines.length}:${(lines.at(-1)?.length ?? 0) + 1}`;
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
  const text = readText(name, YAML).replace(/^\ufeff/, '');
  refuseReplaced(name, text);
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
    if (problem?.code === 'DUPLICATE_KEY') throw repeatedKey(name, text, problem.pos[0]);
    if (problem?.code === 'MULTIPLE_DOCS')
      throw new RigError('config', `${place(problem.pos[0])}: expected one document, found another one`);
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

/** What is no UTF-8 was read as U+FFFD, and would go out as that; who means U+FFFD itself can write \uFFFD. */
function refuseReplaced(path: string, text: string): void {
  const at = text.indexOf('\ufffd');
  if (at < 0) return;
  throw new RigError(
    'config',
    `${path}:${placeIn(text, at)}: expected UTF-8, found bytes that are none, or U+FFFD; write single bytes as \\xNN`,
  );
}

function offsetOf(node: unknown): number | undefined {
  return (node as { range?: [number, number, number] } | null)?.range?.[0];
}
