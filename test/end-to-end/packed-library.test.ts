/** The package as npm hands it out, in a project of somebody else. */

import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '../peers/running-lab.ts';
import { tempFolder } from '../temp-folder.ts';

const PROGRAM = `
import { acquire } from 'sai-rig/device';
import {
  type Blame, type Console, type ConsoleOptions, type DrivenLines, ExpectationError, type FlowControl,
  type LineFormat, type LineOptions, type Match, openConsole, type Pattern, RigError, type WaitOptions,
} from 'sai-rig/expect';

const flow: FlowControl = 'none';
const format: LineFormat = '8N1';
const options: ConsoleOptions = { timeoutMs: 1000, fail: ['x', /y/], format, flow, crash: 'auto' };
const wait: WaitOptions = { signal: AbortSignal.timeout(1000) };
const lineOptions: LineOptions = { ...wait, maxBytes: 80 };
const lines: DrivenLines = { dtr: 'on' };
const patterns: readonly Pattern[] = ['a', /b(?<digit>\\d)/, new Uint8Array([1])];

export async function talk(): Promise<string | undefined> {
  await using console: Console = await openConsole('0', options);
  await console.drive(lines);
  const { named, groups, bytes }: Match = await console.expect(patterns, wait);
  for await (const line of console.lines(lineOptions)) if (line.length === bytes.length) return groups[0];
  // @ts-expect-error: no such option
  await console.expect('a', { timeout: 5 });
  return named['digit'];
}

try {
  await openConsole('/dev/null', { env: {} });
} catch (error) {
  if (!(error instanceof RigError) || error instanceof ExpectationError) throw error;
  const blame: Blame = error.blame;
  process.stdout.write(\`\${blame} \${typeof acquire}\\n\`);
}
`;

/** What a project is set to that trusts nothing: also the declarations that it is given are checked. */
const COMPILER_OPTIONS = {
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noPropertyAccessFromIndexSignature: true,
  skipLibCheck: false,
  target: 'es2022',
};

test('compiles strictly, its declarations too, and runs', { timeout: 60_000 }, () => {
  const project = tempFolder();
  const modules = join(project, 'node_modules');
  unpackInto(modules);
  writeFileSync(join(project, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  writeFileSync(join(project, 'main.ts'), PROGRAM);
  for (const [kind, resolution] of [
    ['nodenext', { module: 'nodenext' }],
    ['bundler', { module: 'esnext', moduleResolution: 'bundler' }],
  ] as const) {
    const compilerOptions = { ...COMPILER_OPTIONS, ...resolution, outDir: kind };
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['main.ts'] }));
    expect({ kind, ...run(join(ROOT, 'node_modules/.bin/tsc'), ['-p', project], project) }).toEqual({
      kind,
      status: 0,
      stdout: '',
      stderr: '',
    });
  }
  expect(run(process.execPath, ['nodenext/main.js'], project)).toEqual({
    status: 0,
    stdout: 'hardware function\n',
    stderr: '',
  });
});

/** As npm installs it; what it depends on is what this checkout has. */
function unpackInto(modules: string): void {
  mkdirSync(join(modules, 'sai-rig'), { recursive: true });
  expect(run('npm', ['pack', '--silent', '--pack-destination', modules], ROOT).status).toBe(0);
  const [tarball = ''] = readdirSync(modules).filter((name) => name.endsWith('.tgz'));
  const unpack = ['-xzf', join(modules, tarball), '--strip-components=1', '-C', join(modules, 'sai-rig')];
  expect(run('tar', unpack, modules).status).toBe(0);
  const { dependencies } = JSON.parse(readFileSync(join(modules, 'sai-rig/package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  for (const name of [...Object.keys(dependencies), '@types/node', 'undici-types']) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules', name), join(modules, name));
  }
}

function run(
  program: string,
  args: readonly string[],
  cwd: string,
): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd, encoding: 'utf8' });
  return { status, stdout, stderr };
}
