import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ResultsReport } from '../../src/results/results-report.ts';
import type { TestResult } from '../../src/results/test-result.ts';
import { NO_SMALL_DISK, smallDisk } from '../peers/small-disk.ts';
import { tempFolder } from '../temp-folder.ts';

const tests: readonly TestResult[] = Array.from({ length: 200 }, (_, index) => ({
  suite: 's',
  name: `test_${index}`,
  status: index % 7 === 0 ? 'fail' : 'pass',
  message: 'x'.repeat((index * 37) % 400),
}));

/** Throws where it is not whole. */
function namesInWholeJunit(path: string): string[] {
  const text = readFileSync(path, 'utf8');
  expect(text).toMatch(/^<\?xml .*\?>\n<testsuites>\n(?:.*\n)*<\/testsuites>\n$/);
  const open: string[] = [];
  const tags = [...text.matchAll(/<(\/?)([a-z]+)((?: [a-z]+="[^"<&]*(?:&[a-z]+;[^"<&]*)*")*)(\/?)>/g)];
  for (const [, closes, tag = '', , isEmpty] of tags) {
    if (closes) expect(open.pop()).toBe(tag);
    else if (!isEmpty) open.push(tag);
  }
  expect(open).toEqual([]);
  expect(text.split('<').length - 2).toBe(tags.length);
  return [...text.matchAll(/<testcase classname="s" name="(\w+)"/g)].map(([, name = '']) => name);
}

test('both files are whole after every test, and say that the run has not ended', () => {
  const folder = tempFolder();
  const junit = join(folder, 'r.xml');
  const json = join(folder, 'r.jsonl');
  writeFileSync(junit, '<testsuites></testsuites>');
  const report = new ResultsReport({ name: 'board', junit, json });
  for (const [index, each] of tests.slice(0, 20).entries()) {
    expect(namesInWholeJunit(junit)).toHaveLength(index);
    expect(readFileSync(junit, 'utf8')).toContain('the run has not ended');
    report.add(each);
    expect(readFileSync(json, 'utf8').split('\n')).toHaveLength(index + 2);
  }
  report.finish({ format: 'ztest', tests: tests.slice(0, 20), problems: [] }, 'infra', {
    message: 'tty0: gone',
  });
  expect(readFileSync(json, 'utf8')).toContain('"event":"end","format":"ztest","verdict":"infra"');
  expect(readFileSync(junit, 'utf8')).not.toContain('the run has not ended');
  expect(readdirSync(folder).sort()).toEqual(['r.jsonl', 'r.xml']);
});

test('a disk that fills up in the middle leaves whole files with what came before', (context) => {
  context.skip(NO_SMALL_DISK !== undefined, NO_SMALL_DISK);
  const disk = smallDisk(16 * 4096);
  const junit = join(disk, 'r.xml');
  const json = join(disk, 'r.jsonl');
  const report = new ResultsReport({ name: 'board', junit, json });
  for (const each of tests) {
    report.add(each);
    namesInWholeJunit(junit);
  }
  const names = namesInWholeJunit(junit);
  expect(names.length).toBeGreaterThan(10);
  expect(names.length).toBeLessThan(tests.length);
  expect(readFileSync(junit, 'utf8')).toContain('the run has not ended');
  const lines = readFileSync(json, 'utf8').trimEnd().split('\n');
  for (const line of lines) expect(JSON.parse(line)).toMatchObject({ event: 'test', suite: 's' });
  expect(() => report.finish({ format: 'ztest', tests, problems: [] }, 'pass', undefined)).toThrow(
    /cannot be written: ENOSPC/,
  );
  namesInWholeJunit(junit);
  expect(readdirSync(disk).sort()).toEqual(['r.jsonl', 'r.xml']);
});

test('one file for both is refused', () => {
  const path = join(tempFolder(), 'r');
  expect(() => new ResultsReport({ name: 'board', junit: path, json: path })).toThrow(
    /--results-json .*: expected another file than --junit's, found the same/,
  );
});
