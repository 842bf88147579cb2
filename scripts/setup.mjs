#!/usr/bin/env node
// Makes a machine ready: npm packages, Debian packages, the built commands. Does only what is still missing.
//
//   node scripts/setup.mjs            what the commands, the demo and most tests need
//   node scripts/setup.mjs --heavy    also what the last tests need (an AVR compiler)

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from './build.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const OLDEST_NODE = [20, 19];

/** A program that is looked for on the PATH, and the Debian package that brings it. */
const DEMO = [{ program: 'ctest', debianPackage: 'cmake' }];
const TESTS = [
  ...DEMO,
  { program: 'flock', debianPackage: 'util-linux' },
  { program: 'setpriv', debianPackage: 'util-linux' },
  { program: 'socat', debianPackage: 'socat' },
];
const HEAVY = [
  ...TESTS,
  { program: 'avr-gcc', debianPackage: 'gcc-avr' },
  { file: '/usr/lib/avr/include/avr/io.h', debianPackage: 'avr-libc' },
];

/** What could not be made ready, in one line for people. */
export class SetupError extends Error {}

/**
 * @param {'demo' | 'tests' | 'heavy'} purpose
 * @throws {SetupError}
 */
export async function setUp(purpose) {
  checkNode();
  installNpmPackages();
  installDebianPackages({ demo: DEMO, tests: TESTS, heavy: HEAVY }[purpose], purpose);
  if (await build()) say('built the commands into dist/');
}

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])) return;
  throw new SetupError(`expected Node.js ${OLDEST_NODE.join('.')} or newer, found ${process.versions.node}`);
}

/** `npm ci` empties node_modules first, so it runs only when the lockfile is not the one that filled it. */
function installNpmPackages() {
  const stampFile = join(root, 'node_modules', '.installed-from');
  const wanted = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === wanted) return;
  say('installing the npm packages (once, some ten seconds) ...');
  run(
    'npm',
    ['ci', '--no-audit', '--no-fund', '--loglevel=error'],
    'the npm packages could not be installed',
  );
  writeFileSync(stampFile, wanted);
}

/** Without root the tests skip what is missing, and say so; the demo cannot. */
function installDebianPackages(wanted, purpose) {
  const missing = [...new Set(wanted.filter((each) => !isThere(each)).map((each) => each.debianPackage))];
  if (missing.length === 0) return;
  const names = missing.join(' ');
  if (process.getuid?.() !== 0 || !onPath('apt-get')) {
    const line = `missing Debian packages: ${names}; install them with: sudo apt-get install ${names}`;
    if (purpose === 'tests') return say(line);
    throw new SetupError(line);
  }
  say(`installing Debian packages: ${names} ...`);
  const apt = ['-o', 'DPkg::Lock::Timeout=120', '-y', '-qq'];
  const failed = `could not be installed: ${names}`;
  run('apt-get', [...apt, 'update'], failed);
  run('apt-get', [...apt, 'install', '--no-install-recommends', ...missing], failed);
}

function isThere({ program, file }) {
  return program ? onPath(program) : existsSync(file);
}

function onPath(program) {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .some((folder) => folder && existsSync(join(folder, program)));
}

/** What installers print is of interest only when they fail. */
function run(command, args, failure) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const result = spawnSync(command, args, {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
  });
  if (result.status === 0) return;
  process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}`);
  throw new SetupError(
    `${failure}: ${command} ${args.join(' ')} ended with ${result.status ?? result.signal ?? result.error?.message}`,
  );
}

function say(text) {
  console.error(`setup: ${text}`);
}

/** For the scripts that begin with a set-up: one line and status 69 when it fails. */
export async function setUpOrExit(purpose) {
  try {
    await setUp(purpose);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say(error.message);
    process.exit(69);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await setUpOrExit(process.argv.includes('--heavy') ? 'heavy' : 'tests');
  say('ready');
}
