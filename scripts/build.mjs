#!/usr/bin/env node
// Bundles every command into one file, because a test run starts them hundreds of times.
// Also writes the JSON Schemas of the configs, by which editors complete them, to dist/schema/.
// src/<folder>/main.ts becomes dist/<folder>.cjs; src/<folder>/<part>-main.ts, a process that the
// command starts for itself, becomes dist/<folder>-<part>.cjs.

import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
const stampFile = join(dist, '.built-from');

/** Of each config: the source that has its valibot schema, the schema's name there, and what it is. */
const CONFIG_SCHEMAS = {
  devices: {
    source: 'src/wire/device.ts',
    name: 'DevicePool',
    title: 'Devices of a host, for sai-device',
  },
  jig: {
    source: 'src/jig/config.ts',
    name: 'JigConfig',
    title: 'Lines of a jig and its sequences, for sai-jig',
  },
};

/** Builds what has changed; true when there was something to build. */
export async function build() {
  const stamp = hashOfSources();
  if (readStamp() === stamp) return false;
  const esbuild = await import('esbuild');
  const scratch = join(root, `.dist-${process.pid}`);
  try {
    await esbuild.build({
      absWorkingDir: root,
      entryPoints: entryPoints(),
      outdir: scratch,
      outExtension: { '.js': '.cjs' },
      bundle: true,
      platform: 'node',
      format: 'cjs',
      target: 'node20.19',
      // Native parts and what is loaded only when needed stay outside.
      external: ['koffi', 'serialport', 'yaml', 'bufferutil', 'utf-8-validate'],
      define: { 'import.meta.url': '__moduleUrl' },
      banner: { js: 'const __moduleUrl = require("node:url").pathToFileURL(__filename).href;' },
      sourcemap: false,
      keepNames: true,
      legalComments: 'eof',
      logLevel: 'warning',
    });
    mkdirSync(dist, { recursive: true });
    // Renamed one by one, so that a command started meanwhile sees a whole file, old or new.
    for (const name of readdirSync(scratch)) renameSync(join(scratch, name), join(dist, name));
    await writeSchemas(esbuild, scratch);
    writeFileSync(stampFile, stamp);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return true;
}

function entryPoints() {
  const entries = {};
  for (const folder of readdirSync(join(root, 'src'))) {
    for (const file of readdirSync(join(root, 'src', folder))) {
      const part = /^(?:(.+)-)?main\.ts$/.exec(file);
      if (part && folder !== 'base')
        entries[part[1] ? `${folder}-${part[1]}` : folder] = join('src', folder, file);
    }
  }
  return entries;
}

/** From the very schemas that the commands check a config with. */
async function writeSchemas(esbuild, scratch) {
  const { toJsonSchema } = await import('@valibot/to-json-schema');
  mkdirSync(join(dist, 'schema'), { recursive: true });
  for (const [config, { source, name, title }] of Object.entries(CONFIG_SCHEMAS)) {
    const module = join(scratch, `${config}-schema.mjs`);
    const file = `${config}.schema.json`;
    await esbuild.build({
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
  for (const file of [...files, join(root, 'package-lock.json'), fileURLToPath(import.meta.url)]) {
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
