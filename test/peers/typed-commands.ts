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

export function typedBlocks(document: string): TypedBlock[] {
  const text = readFileSync(join(ROOT, document), 'utf8').replaceAll(/^```.*?^```$/gms, '');
  return [...text.matchAll(/^(\S.*)\n\n((?: {4}.*\n)+)/gm)].map(([, intro = '', block = '']) => ({
    intro,
    commands: block
      .replaceAll(/\\\n\s*/g, '')
      .trimEnd()
      .split('\n')
      .map((line) => line.trim()),
  }));
}
