import { execFileSync } from 'node:child_process';
import { appendFileSync, chmodSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { RigError } from '../../src/base/errors.ts';
import {
  appendFinding,
  findingOf,
  readFindings,
  verdictOf,
  worstFinding,
} from '../../src/findings/findings-file.ts';
import { tempFolder } from '../temp-folder.ts';

const silence = findingOf('sai-expect', new RigError('verdict', 'tty0: expected "ready" within 10 s'));
const unplugged = findingOf('sai-expect', new RigError('hardware', 'tty0: went away'), { tty: 'tty0' });

test('a finding is read back as it was written', () => {
  const path = join(tempFolder(), 'findings');
  appendFinding(path, silence);
  appendFinding(path, unplugged);
  expect(readFindings(path)).toEqual([silence, unplugged]);
});

test('who is to blame decides between firmware and rig', () => {
  const blames = ['usage', 'verdict', 'config', 'busy', 'unavailable', 'hardware', 'protocol'] as const;
  const verdicts = blames.map((blame) => findingOf('x', new RigError(blame, '')).verdict);
  expect(verdicts).toEqual(['fail', 'fail', 'infra', 'infra', 'infra', 'infra', 'infra']);
  expect(findingOf('x', new TypeError('oops'))).toMatchObject({ verdict: 'infra', blame: 'bug' });
});

test.each([
  ['nothing found, status 0', 0, [], 'pass'],
  ['nothing found, status 8', 8, [], 'fail'],
  ['a failed test', 8, [silence], 'fail'],
  ['a rig fault', 8, [unplugged], 'infra'],
  ['a failed test beside a rig fault', 8, [unplugged, silence], 'fail'],
  ['a swallowed rig fault', 0, [unplugged], 'infra'],
  ['a swallowed failure', 0, [silence], 'fail'],
] as const)('%s: the verdict says so', (_name, status, findings, verdict) => {
  expect(verdictOf(status, findings)).toBe(verdict);
});

test('the worst finding is the first that made the verdict', () => {
  expect(worstFinding([unplugged, silence])).toBe(silence);
  expect(worstFinding([unplugged])).toBe(unplugged);
  expect(worstFinding([])).toBeUndefined();
});

test('a long evidence is cut to one line of at most 4 kB', () => {
  const path = join(tempFolder(), 'findings');
  appendFinding(path, { ...silence, evidence: 'ü'.repeat(5000) });
  expect(readFileSync(path).length).toBeLessThanOrEqual(4096);
  expect(readFindings(path)[0]?.evidence).toMatch(/^ü+ …$/);
});

test('a long step is cut too, and leaves room for the evidence', () => {
  const path = join(tempFolder(), 'findings');
  const device = `\u0001${'"'.repeat(5000)}`;
  appendFinding(path, { ...silence, device, step: 'x'.repeat(9000), evidence: 'silence '.repeat(1000) });
  expect(readFileSync(path).length).toBeLessThanOrEqual(4096);
  expect(readFindings(path)).toMatchObject([
    { device: expect.stringMatching(/" …$/), step: expect.stringMatching(/^x+ …$/), tool: 'sai-expect' },
  ]);
  expect(readFindings(path)[0]?.evidence.length).toBeGreaterThan(1000);
});

test('a torn or foreign line is a finding itself', () => {
  const path = join(tempFolder(), 'findings');
  appendFileSync(path, '{"tool":"sai-exp\n');
  expect(readFindings(path)).toMatchObject([{ verdict: 'infra', blame: 'protocol' }]);
});

test('without a file there is nobody to tell', () => {
  appendFinding(undefined, silence);
  expect(readFindings(join(tempFolder(), 'none'))).toEqual([]);
});

test('a file that cannot be written is not passed over', () => {
  const path = join(tempFolder(), 'folder');
  mkdirSync(path);
  chmodSync(path, 0o555);
  expect(() => appendFinding(path, silence)).toThrow(expect.objectContaining({ blame: 'config' }));
});

test('a FIFO that nobody reads is refused at once', () => {
  const path = join(tempFolder(), 'fifo');
  execFileSync('mkfifo', [path]);
  expect(() => appendFinding(path, silence)).toThrow(`${path}: cannot append a finding: ENXIO`);
});
