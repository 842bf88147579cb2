import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readFindings } from '../../src/findings/findings-file.ts';
import { type Outcome, ROOT, type RunningLab, runCommand, startLab } from '../peers/running-lab.ts';

const SAMPLE = join(ROOT, 'examples/uno-ctest');

/** Configures a ctest project and runs it under a lease; also gives the findings that its commands left. */
async function ctestUnderLease(
  lab: RunningLab,
  project: string,
  ...args: string[]
): Promise<Outcome & { readonly findings: ReturnType<typeof readFindings> }> {
  const build = join(lab.folder, 'build');
  const configured = await runCommand('cmake', ['-S', project, '-B', build], lab);
  expect(configured).toMatchObject({ status: 0 });
  // sai-device makes the findings file, and removes it with the lease: the command keeps a copy.
  const findingsFile = join(lab.folder, 'findings');
  const ctest = 'ctest "$@"; status=$?; cp "$SAI_FINDINGS" "$COPY" 2>/dev/null || true; exit $status';
  const outcome = await runCommand(
    'sai-device',
    ['uno', 'sh', '-c', ctest, 'sh', '--test-dir', build, '--output-on-failure', ...args],
    { env: { ...lab.env, COPY: findingsFile } },
  );
  return { ...outcome, findings: readFindings(findingsFile) };
}

/** A project with one test: a script that uses the board. */
function projectOf(lab: RunningLab, script: string): string {
  const project = join(lab.folder, 'project');
  mkdirSync(project);
  writeFileSync(
    join(project, 'CMakeLists.txt'),
    [
      'cmake_minimum_required(VERSION 3.21)',
      'project(one LANGUAGES NONE)',
      'enable_testing()',
      `add_test(NAME one COMMAND "${project}/one.sh")`,
    ].join('\n'),
  );
  writeFileSync(join(project, 'one.sh'), `#!/bin/sh\nset -eu\n${script}\n`);
  chmodSync(join(project, 'one.sh'), 0o755);
  return project;
}

test('the sample project passes under one lease, also with ctest -j4', { timeout: 60_000 }, async () => {
  const lab = await startLab('held by a jig');
  const serial = await ctestUnderLease(lab, SAMPLE);
  expect(serial).toMatchObject({ status: 0, findings: [] });
  expect(serial.stdout).toMatch(/100% tests passed, 0 tests failed out of 5/);
  const parallel = await ctestUnderLease(lab, SAMPLE, '-j4');
  expect(parallel).toMatchObject({ status: 0, findings: [] });
  expect(parallel.stdout).toMatch(/100% tests passed, 0 tests failed out of 5/);
});

test("a wrong text is the firmware's or the test's: verdict fail, and ctest's own status", async () => {
  const lab = await startLab('held by a jig');
  const outcome = await ctestUnderLease(lab, SAMPLE, '-C', 'broken', '-R', 'wrong_text');
  expect(outcome.status).toBe(8);
  expect(outcome.findings).toMatchObject([
    { tool: 'sai-expect', verdict: 'fail', blame: 'verdict', step: expect.stringContaining('sai-uno 9.9.9') },
  ]);
  expect(outcome.stderr).toMatch(/^sai-device: verdict fail: sai-expect: .*sai-uno 9\.9\.9/m);
});

test('a tty pulled in the middle of a test is the rig: verdict infra, and status 74', async () => {
  const lab = await startLab('held by a jig');
  const project = projectOf(
    lab,
    `sai-expect --timeout 10s --line 'echo here' --regex '^here'
     sai-virtual-lab unplug
     sai-expect --timeout 2s --line 'echo there' --regex '^there'`,
  );
  const outcome = await ctestUnderLease(lab, project);
  expect(outcome.status).toBe(74);
  expect(outcome.findings[0]).toMatchObject({ tool: 'sai-expect', verdict: 'infra', blame: 'hardware' });
  expect(outcome.findings.map((each) => each.verdict)).not.toContain('fail');
  expect(outcome.stderr).toMatch(/^sai-device: verdict infra: /m);
});

test('under a lease, a tty is found by the name that the devices config gives it', async () => {
  const lab = await startLab('held by a jig');
  const line = ['uno', 'sai-expect', '--tty', 'console', '--line', 'echo here', '--regex', '^here'];
  expect(await runCommand('sai-device', line, lab)).toMatchObject({ status: 0, stdout: '' });
  const wrong = await runCommand(
    'sai-device',
    ['uno', 'sai-expect', '--tty', 'consle', '--expect', 'x'],
    lab,
  );
  expect(wrong.status).toBe(64);
  expect(wrong.stderr).toContain(
    'sai-expect: --tty consle: expected one of 0, console, or a path (did you mean "console"?)\n',
  );
});
