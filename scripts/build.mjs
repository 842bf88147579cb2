#!/usr/bin/env node
// Bundles every command into one file, because a test run starts them hundreds of times.
// Also writes the JSON Schemas of the configs, by which editors complete them, to dist/schema/.
// src/<folder>/main.ts becomes dist/<folder>.cjs; src/<folder>/<part>-main.ts, a process that the
// command starts for itself, becomes dist/<folder>-<part>.cjs; src/<folder>/library.ts, what users import,
// becomes dist/<folder>-library.mjs.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
const { STAMP_LENGTH } = createRequire(import.meta.url)('../bin/load.js');
const stampFile = join(dist, '.built-from');

/** Of each config, and of scripts: the source that has its valibot schema, the schema's name there, and what it is. */
const CONFIG_SCHEMAS = {
  devices: {
    source: 'src/wire/device.ts',
    name: 'DevicePool',
    title: 'Devices of a host, for sai-device',
  },
  script: {
    source: 'src/expect/script-json-schema.ts',
    name: 'PublishedScript',
    title: 'Steps on consoles, for sai-expect --script',
  },
  jig: {
    source: 'src/jig/config-json-schema.ts',
    name: 'PublishedJigConfig',
    title: 'Lines of a jig and its sequences, for sai-jig',
  },
};

/** Builds what has changed; true when there was something to build. */
export async function build() {
  const stamp = hashOfSources();
  if (readStamp() === stamp) return false;
  const { build: bundle } = await import('esbuild');
  const scratch = join(root, `.dist-${process.pid}`);
  try {
    const common = {
      absWorkingDir: root,
      outdir: scratch,
      bundle: true,
      platform: 'node',
      target: 'node20.19',
      // Native parts and what is loaded only when needed stay outside.
      external: [
        'koffi',
        'node-libgpiod',
        'serialport',
        '@serialport/parser-readline',
        'yaml',
        'bufferutil',
        'utf-8-validate',
      ],
      sourcemap: false,
      charset: 'ascii',
      legalComments: 'eof',
      logLevel: 'warning',
    };
    await bundle({
      ...common,
      entryPoints: entryPoints('main'),
      outExtension: { '.js': '.cjs' },
      format: 'cjs',
      define: { 'import.meta.url': '__moduleUrl' },
      banner: { js: 'const __moduleUrl = require("node:url").pathToFileURL(__filename).href;' },
      // Loaded when asked for, also where a script of the vm module cannot import.
      supported: { 'dynamic-import': false },
    });
    for (const name of readdirSync(scratch)) stampBundle(join(scratch, name));
    await bundle({
      ...common,
      entryPoints: entryPoints('library'),
      outExtension: { '.js': '.mjs' },
      format: 'esm',
    });
    declareTypes(scratch);
    for (const command of commands()) compileAhead(scratch, command);
    mkdirSync(dist, { recursive: true });
    // Renamed one by one, so that a command started meanwhile sees a whole file, old or new.
    const built = readdirSync(scratch, { recursive: true }).filter((name) =>
      /\.(?:[cm]js|cache|d\.ts)$/.test(name),
    );
    for (const name of built) {
      mkdirSync(join(dist, dirname(name)), { recursive: true });
      renameSync(join(scratch, name), join(dist, name));
    }
    await writeSchemas(bundle, scratch);
    writeFileSync(stampFile, stamp);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return true;
}

/** The first line says which cache belongs to it. */
function stampBundle(path) {
  const bundle = readFileSync(path);
  const hash = createHash('sha256').update(bundle).digest('hex');
  writeFileSync(
    path,
    Buffer.concat([Buffer.from(`//${hash}`.slice(0, STAMP_LENGTH - 1)), Buffer.from('\n'), bundle]),
  );
}

/**
 * Has V8 compile what a start of the command needs, by starting it. A run that ends otherwise leaves no cache, and a
 * command that is as right, only slower to start.
 */
function compileAhead(folder, command) {
  const bundle = join(folder, `${command}.cjs`);
  const run = TYPICAL_RUNS[command]?.(folder) ?? { args: ['--help'] };
  const args = [
    join(root, 'scripts/code-cache.cjs'),
    bundle,
    join(folder, `${command}.${process.arch}.cache`),
    ...run.args,
  ];
  const { status } = spawnSync(process.execPath, args, {
    env: { PATH: process.env.PATH, ...run.env },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (status !== 0) console.warn(`build: ${command}: expected its trial run to end with 0, found ${status}`);
}

const TYPICAL_RUNS = {
  /** A device that is a file. */
  device(folder) {
    const config = join(folder, 'trial.json');
    writeFileSync(config, JSON.stringify({ devices: [{ name: 'a', type: 'file', locks: [config] }] }));
    const runDir = join(folder, 'trial');
    return {
      args: ['--config', config, 'file', 'true'],
      env: { SAI_RUN_DIR: runDir },
    };
  },
  /** The master of a pty is a tty too, a silent one; what is expected is what the last call of the lease has left. */
  expect(folder) {
    const lease = join(folder, 'trial-lease');
    mkdirSync(lease);
    writeFileSync(join(lease, 'console-0.unread'), '\n> ready\n> ');
    return {
      args: ['--expect', 'ready', '--regex', '^> $', '--line', 'version'],
      env: { SAI_DEVICE_LEASE: lease, SAI_DEVICE_TTY0: '/dev/ptmx', SAI_RUN_DIR: folder },
    };
  },
};

/** Folders of src/ that are commands. */
function commands() {
  return Object.keys(entryPoints('main')).filter((name) => !name.includes('-') || name === 'virtual-lab');
}

/** What users of TypeScript see of a library: its own declarations and those that they mention. */
function declareTypes(folder) {
  const args = ['-p', join(root, 'tsconfig.library.json'), '--outDir', join(folder, 'types')];
  const { status } = spawnSync(join(root, 'node_modules/.bin/tsc'), args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) throw new Error(`build: expected tsc to declare the types, its status is ${status}`);
}

/** `main`: every command and what it starts for itself; `library`: what others import. */
function entryPoints(kind) {
  const entries = {};
  for (const folder of readdirSync(join(root, 'src'))) {
    for (const file of readdirSync(join(root, 'src', folder))) {
      const [isEntry, part] = new RegExp(`^(?:(.+)-)?${kind}\\.ts$`).exec(file) ?? [];
      if (!isEntry || folder === 'base') continue;
      const name = kind === 'main' ? part : kind;
      entries[name ? `${folder}-${name}` : folder] = join('src', folder, file);
    }
  }
  return entries;
}

/** From the very schemas that the commands check a config with. */
async function writeSchemas(bundle, scratch) {
  const { toJsonSchema } = await import('@valibot/to-json-schema');
  mkdirSync(join(dist, 'schema'), { recursive: true });
  for (const [config, { source, name, title }] of Object.entries(CONFIG_SCHEMAS)) {
    const module = join(scratch, `${config}-schema.mjs`);
    const file = `${config}.schema.json`;
    await bundle({
      absWorkingDir: root,
      entryPoints: [source],
      outfile: module,
      bundle: true,
      platform: 'node',
      format: 'esm',
      logLevel: 'warning',
    });
    const { [name]: schema } = await import(pathToFileURL(module).href);
    // What only code can check is left out: the command says it.
    const json = { title, ...toJsonSchema(schema, { ignoreActions: ['check'] }) };
    writeFileSync(join(scratch, file), `${JSON.stringify(json, null, 2)}\n`);
    renameSync(join(scratch, file), join(dist, 'schema', file));
  }
}

function hashOfSources() {
  const hash = createHash('sha256').update(process.version);
  const files = readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  const makers = ['package-lock.json', 'scripts/build.mjs', 'scripts/code-cache.cjs', 'bin/load.js'];
  for (const file of [...files, ...makers.map((name) => join(root, name))]) {
    hash.update(file.slice(root.length)).update('\0').update(readFileSync(file)).update('\0');
  }
  return hash.digest('hex');
}

function readStamp() {
  try {
    return readFileSync(stampFile, 'utf8');
  } catch {
    return undefined; // never built
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log((await build()) ? 'Built dist/.' : 'dist/ is up to date.');
}
