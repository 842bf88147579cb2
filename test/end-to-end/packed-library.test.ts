/** The package as npm hands it out, in a project of somebody else. */

import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { startRegistry } from '../peers/loopback-registry.ts';
import { ROOT, runCommand } from '../peers/running-lab.ts';
import { typedBlocks } from '../peers/typed-commands.ts';
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

const EXAMPLE = join(ROOT, 'hardware/wiring/esp32.jig.json');

/** What a project is set to that trusts nothing: also the declarations that it is given are checked. */
const COMPILER_OPTIONS = {
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noPropertyAccessFromIndexSignature: true,
  skipLibCheck: false,
  target: 'es2022',
};

let tarball: string;

beforeAll(() => {
  const folder = mkdtempSync(join(tmpdir(), 'sai-packed-'));
  expect(run('npm', ['pack', '--silent', '--pack-destination', folder], ROOT).status).toBe(0);
  tarball = join(folder, readdirSync(folder)[0] ?? '');
  return () => rmSync(folder, { recursive: true });
});

test('is installed for everybody as hardware/README.md says, with every command', {
  timeout: 60_000,
}, async () => {
  const folder = tempFolder();
  // What is not there without its headers.
  const registry = await startRegistry(['node-libgpiod']);
  const env = {
    ...process.env,
    npm_config_registry: registry,
    npm_config_cache: join(folder, 'cache'),
    npm_config_audit: 'false',
  };
  const command = typedBlocks('hardware/README.md')
    .flatMap(({ commands }) => commands)
    .find((each) => each.includes('npm install'));
  const typed = (command ?? '')
    .replace('sudo ', '')
    .replace('/usr/local', join(folder, 'local'))
    .replace('./sai-rig-*.tgz', tarball);
  const installed = await runCommand('sh', ['-ec', typed], { env, cwd: folder });
  expect(installed.status, installed.stderr).toBe(0);
  const { bin } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { bin: object };
  for (const name of Object.keys(bin)) {
    const { status, stdout } = run(join(folder, 'local/bin', name), ['--help'], folder);
    expect({ name, status }).toEqual({ name, status: 0 });
    expect(stdout).toContain(`Usage: ${name}`);
  }
  const jig = run(join(folder, 'local/bin/sai-jig'), ['--config', EXAMPLE, '--check'], folder);
  expect(jig.status, jig.stderr).toBe(0);
});

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
  const unpack = ['-xzf', tarball, '--strip-components=1', '-C', join(modules, 'sai-rig')];
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
