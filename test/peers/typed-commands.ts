/** What a document tells its reader to type elsewhere than here: lines that are indented, and not fenced. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './running-lab.ts';

export interface TypedBlock {
  /** The line of text before it. */
  readonly intro: string;
  /** A line that ends in a backslash and the next are one. */
  readonly commands: readonly string[];
}

/** @throws when there is an indented line that belongs to no block */
export function typedBlocks(document: string): TypedBlock[] {
  const text = readFileSync(join(ROOT, document), 'utf8').replaceAll(/^```.*?^```$/gms, '');
  const blocks = [...text.matchAll(/^(\S.*)\n\n+((?: {4}.*\n)+)/gm)];
  const lines = blocks.flatMap(([, , block = '']) => block.trimEnd().split('\n'));
  if (text.match(/^ {4}/gm)?.length !== lines.length)
    throw new Error(`${document}: expected a line of text and an empty one before each indented block`);
  return blocks.map(([, intro = '', block = '']) => ({
    intro,
    commands: block
      .replaceAll(/\\\n\s*/g, '')
      .trimEnd()
      .split('\n')
      .map((line) => line.trim()),
  }));
}
