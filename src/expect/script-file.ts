/** Script files: read, checked as a whole, and made into the instructions that a session runs. */

import { realpathSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import * as v from 'valibot';
import { type LocatedValue, readYamlFile } from '../base/config-file.ts';
import { parseDurationMs } from '../base/duration.ts';
import { RigError, reasonOf, ScriptError } from '../base/errors.ts';
import { didYouMean, parseAll } from '../base/validate.ts';
import type { UnsafeEngine } from './byte-regex.ts';
import { compileSteps, type Shared } from './compile-steps.ts';
import { reachable } from './flow.ts';
import { profilePath } from './profiles.ts';
import type { ArmedPattern, Instruction, Script } from './script.ts';
import { MistakeList } from './script-mistakes.ts';
import { ScriptFile, type Variable } from './script-schema.ts';
import { errorAt, type Path, placed, refuseOddKeys, type StepFile, withoutEchoes } from './step-file.ts';
import { patternOf, type RawPattern } from './step-kinds.ts';
import { Filler, type Given, lentValue, plainValue } from './template.ts';
import { LINE_ENDS, type LineEnd, quoted } from './text.ts';

/** What a script file is given from outside. */
export interface ScriptInput {
  /** A path, or `@name` of a profile. */
  readonly file: string;
  /** `name=value`, as `--var` has them. */
  readonly variables: readonly string[];
  /** Wins over what the file says. */
  readonly lineEnd: LineEnd | undefined;
  readonly env: NodeJS.ProcessEnv;
  readonly unsafe: UnsafeEngine | undefined;
  /** To look at a plan, values may be missing. */
  readonly missingValues: 'refused' | 'taken';
  /** Whether the command line has a pass pattern of its own. */
  readonly pass: 'given' | 'of the file';
}

/** A script, and what its file says about the whole. */
export interface LoadedScript {
  readonly name: string;
  readonly about: string | undefined;
  /** One a line, in words. */
  readonly variables: readonly string[];
  readonly script: Pick<Script, 'steps' | 'pass' | 'fail'>;
  readonly crash: Script['crash'] | undefined;
  readonly ignoresAnsi: boolean;
  readonly timeoutMs: number | 'never' | undefined;
}

/**
 * The script in a file, with all that it calls.
 *
 * @throws {RigError} blame `config`, `FILE:LINE:COLUMN: path: …`, all that is wrong with it; `usage` for what the command line gave
 */
export async function loadScript(input: ScriptInput): Promise<LoadedScript> {
  try {
    return await new Loader(input).load();
  } catch (error) {
    // What reads files does not know whose they are.
    if (error instanceof RigError && error.blame === 'config' && !(error instanceof ScriptError))
      throw new ScriptError(error.message, { cause: error });
    if (!(error instanceof RangeError)) throw error;
    throw new ScriptError(`${input.file}: expected steps within steps, not that many (${reasonOf(error)})`, {
      cause: error,
    });
  }
}

/** A file that has the shape of a script. */
interface ReadFile {
  readonly name: string;
  readonly path: string;
  readonly at: LocatedValue['at'];
  readonly content: ScriptFile;
}

class Loader {
  readonly #input: ScriptInput;
  readonly #mistakes = new MistakeList();
  readonly #shared: Shared;
  /** By real path. */
  readonly #files = new Map<string, ReadFile>();
  /** Real paths of those whose steps have been looked at. */
  readonly #seen = new Set<string>();

  constructor(input: ScriptInput) {
    this.#input = input;
    this.#shared = {
      unsafe: input.unsafe,
      files: input.missingValues === 'taken' ? 'taken' : 'checked',
      mistakes: this.#mistakes,
      instructions: 0,
      counters: 0,
      call: () => Promise.reject(new Error('no file is being read')),
    };
  }

  async load(): Promise<LoadedScript> {
    const { file: reference, unsafe } = this.#input;
    const isProfile = reference.startsWith('@');
    const file = await this.#read(reference, isProfile ? profilePath(reference) : reference);
    const { content } = file;
    const mistakes = this.#mistakes;
    // What a variable lacks that is wrong in the file, nobody can give it.
    const given = mistakes.isEmpty
      ? ((await mistakes.collect(() => this.#givenFromOutside(file))) ?? new Map<string, Given>())
      : new Map<string, Given>();
    const steps = await this.#compile(file, given, new Set(), [file.path], 'main');
    const timeoutMs = await mistakes.collect(() => timeoutOf(file));
    const filler = new Filler(given);
    const patternAt = (each: string | RawPattern, path: Path): ArmedPattern =>
      placed(file, path, () => {
        const raw: RawPattern = typeof each === 'string' ? { expect: each } : each;
        const pattern = patternOf(raw, { filler, unsafe });
        const name = [...filler.uses][0];
        if (name === undefined || !mistakes.isEmpty) return pattern;
        throw new RigError(
          'config',
          `expected \${${name}} to be one of the variables${didYouMean(name, [...given.keys()])}`,
        );
      });
    const armed = async (which: 'pass' | 'fail'): Promise<ArmedPattern[]> => {
      const patterns: ArmedPattern[] = [];
      for (const [index, each] of (content[which] ?? []).entries()) {
        const pattern = await mistakes.collect(() => patternAt(each, [which, index]));
        if (pattern) patterns.push(pattern);
      }
      return patterns;
    };
    const pass = await armed('pass');
    const fail = await armed('fail');
    mistakes.throwIfAny();
    if (pass.length === 0 && this.#input.pass === 'of the file' && !reachable(steps)[steps.length])
      throw errorAt(
        file,
        ['steps'],
        'no way leads to the end, and there is no pass text: it could never pass',
      );
    return {
      name: file.name,
      about: content.about,
      variables: this.#describeVariables(file),
      script: { steps, pass, fail },
      crash: crashOf(content),
      ignoresAnsi: content.ignoreAnsi === true,
      timeoutMs,
    };
  }

  async #read(name: string, path: string): Promise<ReadFile> {
    const real = realPathOf(path);
    const known = this.#files.get(real);
    if (known) return known;
    const { value, at } = await readYamlFile(path).catch((error: unknown) => {
      // As who wrote the reference knows it.
      if (!(error instanceof RigError) || name === path) throw error;
      throw new RigError(error.blame, error.message.replace(path, name), { cause: error });
    });
    const ownAt: LocatedValue['at'] = (keys) => at(keys).replace(path, name);
    refuseOddKeys(value, { at: ownAt });
    const content = this.#contentOf(value, ownAt);
    const file: ReadFile = { name, path: real, at: ownAt, content };
    this.#files.set(real, file);
    return file;
  }

  /** What of it is right, where not all is: the steps are looked at in any case. */
  #contentOf(value: unknown, at: LocatedValue['at']): ScriptFile {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      const found =
        value === null ? 'it is empty' : `got ${Array.isArray(value) ? 'a list' : 'a text alone'}`;
      throw errorAt({ at }, [], `expected keys such as "steps:", ${found}`);
    }
    const parsed = parseAll(ScriptFile, value, { at, path: [] });
    if (!('problems' in parsed)) return parsed.output;
    this.#mistakes.add(...withoutEchoes(parsed.problems));
    const right = Object.entries(ScriptFile.entries).filter(
      ([key, schema]) => Object.hasOwn(value, key) && v.safeParse(schema, value[key as keyof object]).success,
    );
    return {
      steps: [],
      ...Object.fromEntries(right.map(([key]) => [key, value[key as keyof object]])),
    } as ScriptFile;
  }

  async #compile(
    file: ReadFile,
    given: ReadonlyMap<string, Given>,
    lent: ReadonlySet<string>,
    callers: readonly string[],
    onTty: 'main' | 'one of several',
  ): Promise<readonly Instruction[]> {
    // Its mistakes are known; and without a count of instructions, calls of calls had no end.
    if (this.#seen.has(file.path) && !this.#mistakes.isEmpty) return [];
    this.#seen.add(file.path);
    const lineEnd = LINE_ENDS[this.#input.lineEnd ?? file.content.eol ?? 'lf'];
    const stepFile: StepFile = { name: file.name, at: file.at, lineEnd, given, lent };
    const shared = this.#shared;
    const here: Shared = {
      unsafe: shared.unsafe,
      files: shared.files,
      mistakes: shared.mistakes,
      get instructions() {
        return shared.instructions;
      },
      set instructions(count) {
        shared.instructions = count;
      },
      get counters() {
        return shared.counters;
      },
      set counters(count) {
        shared.counters = count;
      },
      call: (target, values, from) => this.#call(target, values, { ...from, caller: file, callers }),
    };
    return await compileSteps(file.content.steps, ['steps'], stepFile, here, onTty);
  }

  async #call(
    target: string,
    values: Readonly<Record<string, string>>,
    from: Parameters<Shared['call']>[2] & { readonly caller: ReadFile; readonly callers: readonly string[] },
  ): Promise<readonly Instruction[]> {
    const { caller, callers, path } = from;
    const at = [...path, 'call'];
    const called = await this.#readCalled(target, caller, at);
    if (callers.includes(called.path)) {
      throw errorAt(
        from.file,
        at,
        `${called.name} calls itself: ${[...callers, called.path].map((each) => this.#files.get(each)?.name ?? each).join(' calls ')}`,
      );
    }
    for (const key of ['pass', 'fail', 'crash', 'ignoreAnsi'] as const) {
      if (called.content[key] === undefined) continue;
      throw errorAt(
        from.file,
        at,
        `expected steps and variables in ${called.name}, it has ${key} as well, which is for a script that is not called`,
      );
    }
    const lent = new Set<string>(from.file.lent);
    const given = new Map<string, Given>();
    const declared = called.content.variables ?? {};
    for (const [name, text] of Object.entries(values)) {
      const where = [...path, 'with', name];
      if (!Object.hasOwn(declared, name))
        throw errorAt(
          from.file,
          where,
          `${called.name} has no variable of that name${didYouMean(name, Object.keys(declared))}`,
        );
      placed(from.file, where, () => given.set(name, lentValue(text, from.file.given, lent)));
    }
    for (const [name, variable] of Object.entries(declared)) {
      if (given.has(name)) continue;
      const value = this.#ownValue(name, variable);
      if (!value)
        throw errorAt(
          from.file,
          path,
          `expected a value of ${name} for ${called.name}${fromWhere(variable)}; write with: {${name}: …}`,
        );
      given.set(name, value);
    }
    return await this.#compile(called, given, lent, [...callers, called.path], from.onTty);
  }

  async #readCalled(target: string, caller: ReadFile, at: readonly (string | number)[]): Promise<ReadFile> {
    try {
      if (target.startsWith('@')) return await this.#read(target, profilePath(target));
      if (isAbsolute(target)) return await this.#read(target, target);
      const path = join(dirname(caller.path), target);
      return await this.#read(caller.name.startsWith('@') ? path : join(dirname(caller.name), target), path);
    } catch (error) {
      // A file that is there says itself where it is wrong.
      if (!(error instanceof RigError) || /:\d+:\d+: /.test(error.message)) throw error;
      throw errorAt(caller, at, reasonOf(error), error);
    }
  }

  /** Of the script that was asked for. */
  #givenFromOutside(file: ReadFile): Map<string, Given> {
    const declared = file.content.variables ?? {};
    const given = new Map<string, Given>();
    for (const assignment of this.#input.variables) {
      const [, name = '', value = ''] = /^([^=]*)=(.*)$/s.exec(assignment) ?? [];
      if (name === '')
        throw new RigError('usage', `--var: expected NAME=VALUE, got ${quoted(Buffer.from(assignment))}`);
      const variable = Object.hasOwn(declared, name) ? declared[name] : undefined;
      if (variable === undefined) {
        throw new RigError(
          'usage',
          `--var ${name}: ${file.name} has no variable of that name${didYouMean(name, Object.keys(declared))}`,
        );
      }
      if (given.has(name)) throw new RigError('usage', `--var ${name}: expected one value, got two of them`);
      if (typeof variable !== 'string' && variable.env !== undefined)
        throw new RigError(
          'usage',
          `--var ${name}: expected the environment variable ${variable.env} instead: what is on a command line, others can read`,
        );
      given.set(name, plainValue(value));
    }
    for (const [name, variable] of Object.entries(declared)) {
      if (given.has(name)) continue;
      const value = this.#ownValue(name, variable);
      if (!value)
        throw errorAt(
          file,
          ['variables', name],
          `expected a value${fromWhere(variable)}, found none; ${howToGive(name, variable)}`,
        );
      given.set(name, value);
    }
    return given;
  }

  /** From the environment, or the file. */
  #ownValue(name: string, variable: Variable): Given | undefined {
    if (typeof variable === 'string') return plainValue(variable);
    const set = variable.env === undefined ? undefined : this.#environmentValue(variable.env);
    if (set !== undefined) return { isSecret: true, value: () => Buffer.from(set) };
    if (variable.default !== undefined) return plainValue(variable.default);
    if (this.#input.missingValues === 'refused') return undefined;
    return { isSecret: true, value: () => Buffer.from(name) };
  }

  /** Not what every object has, such as a `constructor`. */
  #environmentValue(name: string): string | undefined {
    return Object.hasOwn(this.#input.env, name) ? this.#input.env[name] : undefined;
  }

  #describeVariables(file: ReadFile): string[] {
    return Object.entries(file.content.variables ?? {}).map(([name, variable]) => {
      const {
        about,
        default: byDefault,
        env,
      } = typeof variable === 'string' ? { default: variable } : variable;
      const own = this.#input.variables.find((each) => each.startsWith(`${name}=`))?.slice(name.length + 1);
      const isSet = env !== undefined && this.#environmentValue(env) !== undefined;
      const from = env === undefined ? '' : `from $${env}${isSet ? '' : ' (not set)'}`;
      const value = own ?? (isSet ? undefined : byDefault);
      const parts = [from, value === undefined ? (from ? '' : 'no value yet') : quoted(Buffer.from(value))];
      const known = parts.filter((part) => part !== '').join(', else ');
      return `${name}: ${known}${about === undefined ? '' : `; ${about}`}`;
    });
  }
}

function fromWhere(variable: Variable): string {
  return typeof variable === 'string' || variable.env === undefined
    ? ''
    : ` in the environment variable ${variable.env}`;
}

function howToGive(name: string, variable: Variable): string {
  return typeof variable === 'string' || variable.env === undefined
    ? `give --var ${name}=…`
    : `set ${variable.env}`;
}

function crashOf({ crash }: ScriptFile): Script['crash'] | undefined {
  return crash === undefined || crash === 'auto' || crash === 'none' || typeof crash === 'object'
    ? crash
    : [crash];
}

function timeoutOf(file: ReadFile): number | 'never' | undefined {
  const { timeout } = file.content;
  if (timeout === undefined || timeout === 'never') return timeout;
  return placed(file, ['timeout'], () => parseDurationMs(timeout, 'the time'));
}

function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path; // reading it tells why
  }
}
