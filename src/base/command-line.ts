/** What all commands say alike of their command lines, in whatever words the parser of one puts it. */

import { readFileSync } from 'node:fs';
import { packageFile } from './package-file.ts';

/** Of the package that all commands are in. */
export function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(packageFile('package.json'), 'utf8')) as { version: string };
  return version;
}

export const VERSION_OPTION = ['--version', 'show the version of sai-rig'] as const;

/** What the parser tells of arguments that it does not take. */
interface Refusal {
  /** `commander.unknownOption` and its like. */
  readonly code: string;
  readonly message: string;
}

/** In our form, thing first, in one line. */
export function usageText({ code, message }: Refusal): string {
  const text = message.replace(/^error: /, '').replace(/\n\s*/g, ' ');
  const reworded = REWORDED[code]?.(text);
  return reworded ?? text;
}

const REWORDED: Readonly<Record<string, (text: string) => string | undefined>> = {
  'commander.help': () => 'expected a command',
  'commander.excessArguments': (text) => {
    const [, wanted, got] = /Expected (\d+) arguments? but got (\d+)/.exec(text) ?? [];
    if (wanted === '0') return `expected no arguments besides options, got ${got}`;
    return wanted && `expected at most ${wanted} ${wanted === '1' ? 'argument' : 'arguments'}, got ${got}`;
  },
  'commander.invalidArgument': (text) => {
    const [, name, value, what = ''] =
      /^(?:option|command-argument value) '(.*?)'(?: argument '(.*)')? is invalid(?: from env '.*')?\. (.*?)\.?$/.exec(
        text,
      ) ?? [];
    const [flag] = name?.match(/--[\w-]+/) ?? [name];
    const expected = what.replace(/^Allowed choices are /, 'expected one of ').replace(/^E/, 'e');
    return name && `${flag}: ${expected}, got ${JSON.stringify(value)}`;
  },
  'commander.missingArgument': (text) =>
    text.replace(/^missing required argument '(.*)'$/, 'expected <$1>, got none'),
  'commander.optionMissingArgument': (text) => {
    const [, flag, value] = /^option '(?:-\w, )?(--?[\w-]+) <(.*?)>' argument missing$/.exec(text) ?? [];
    return flag && `${flag}: expected <${value}>, got nothing`;
  },
};

/** What reads the options of a command, and of those below it. */
interface OptionsParser {
  readonly commands: readonly OptionsParser[];
  name(): string;
  parseOptions(args: string[]): { readonly operands: string[]; readonly unknown: string[] };
}

/**
 * For who asks for help or the version: an option beside it that the command does not have. Whoever wrote it meant
 * something else, and is to be told.
 */
export function strayOption(parser: OptionsParser, args: readonly string[]): string | undefined {
  const { operands, unknown } = parser.parseOptions([...args]);
  const [word, ...rest] = operands;
  const below = parser.commands.find((each) => each.name() === word);
  if (below) return strayOption(below, [...rest, ...unknown]);
  const stray = unknown.find((each) => /^-./.test(each) && !['-h', '--help', '--'].includes(each));
  return stray === undefined ? undefined : `unknown option '${stray}'`;
}
