import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { readInheritedMark } from '../../src/base/process-table.ts';
import { markDescendants } from '../../src/native/process.ts';

test('what is started bears the mark, and a later one replaces it', () => {
  for (const mark of [1_795_164_665_986_000, 7]) {
    expect(markDescendants(mark)).toBe(true);
    const { stdout } = spawnSync('env', ['-i', 'sh', '-c', 'grep locks /proc/self/limits']);
    expect(stdout.toString()).toMatch(new RegExp(`^Max file locks +${mark} `));
    expect(readInheritedMark(process.pid)).toBe(mark);
  }
});
