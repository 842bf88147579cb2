#!/usr/bin/env node
// Makes a machine ready: npm packages, Debian packages, the built commands. Does only what is still missing.
//
//   node scripts/setup.mjs            what the commands, the demo and most tests need
//   node scripts/setup.mjs --heavy    also what the last tests need (an AVR and a device tree compiler, systemd, libgpiod, boards in
//                                     QEMU, a guest with GPIO),
//                                     and what benchmarks compare with

import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from './build.mjs';
import { prepareGpioGuest } from './gpio-guest.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const OLDEST_NODE = [20, 19];
const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** A program that is looked for on the PATH, and the Debian package that brings it. */
const DEMO = [{ program: 'ctest', debianPackage: 'cmake' }];
const TESTS = [
  ...DEMO,
  { program: 'flock', debianPackage: 'util-linux' },
  { program: 'setpriv', debianPackage: 'util-linux' },
  { program: 'unshare', debianPackage: 'util-linux' },
  { program: 'nsenter', debianPackage: 'util-linux' },
  { program: 'mount', debianPackage: 'mount' },
  { program: 'strace', debianPackage: 'strace' },
  { program: 'socat', debianPackage: 'socat' },
  { program: 'python3', debianPackage: 'python3' },
  { program: 'curl', debianPackage: 'curl' },
  { program: 'script', debianPackage: 'bsdutils' },
  { program: 'tio', debianPackage: 'tio' },
  { program: 'picocom', debianPackage: 'picocom' },
  { program: 'avrdude', debianPackage: 'avrdude' },
  { file: '/usr/lib/python3/dist-packages/serial/__init__.py', debianPackage: 'python3-serial' },
  { program: 'openssl', debianPackage: 'openssl' },
];
const HEAVY = [
  ...TESTS,
  { program: 'avr-gcc', debianPackage: 'gcc-avr' },
  // One package: the standalone ones of tmpfiles and sysusers exclude it.
  { program: 'systemd-tmpfiles', debianPackage: 'systemd' },
  { program: 'systemd-sysusers', debianPackage: 'systemd' },
  { program: 'systemd-analyze', debianPackage: 'systemd' },
  { program: 'dtc', debianPackage: 'device-tree-compiler' },
  { file: '/usr/lib/avr/include/avr/io.h', debianPackage: 'avr-libc' },
  { program: 'sb', debianPackage: 'lrzsz' },
  { program: 'cpio', debianPackage: 'cpio' },
  { program: 'qemu-system-aarch64', debianPackage: 'qemu-system-arm' },
  { file: '/usr/lib/u-boot/qemu_arm64/u-boot.bin', debianPackage: 'u-boot-qemu' },
  {
    file: '/usr/share/firmware-microbit-micropython/firmware.hex',
    debianPackage: 'firmware-microbit-micropython',
  },
  // The guest with real GPIO: QEMU, and what its kernel is unpacked and its modules are built with.
  { program: 'qemu-system-x86_64', debianPackage: 'qemu-system-x86' },
  { file: '/usr/share/seabios/bios-256k.bin', debianPackage: 'seabios' },
  { file: '/bin/busybox', debianPackage: 'busybox-static' },
  { file: '/sbin/depmod', debianPackage: 'kmod' },
  { program: 'gcc', debianPackage: 'gcc' },
  { program: 'make', debianPackage: 'make' },
  { program: 'objcopy', debianPackage: 'binutils' },
  { program: 'xz', debianPackage: 'xz-utils' },
  { program: 'gpioinfo', debianPackage: 'gpiod' },
  // What node-libgpiod is built with; it needs libgpiod 1.x, and there is no such package since Debian 13.
  { file: '/usr/include/gpiod.h', debianPackage: 'libgpiod-dev' },
  { program: 'g++', debianPackage: 'g++' },
  // Those that bench/expect.ts compares with.
  { program: 'expect', debianPackage: 'expect' },
  { file: '/usr/lib/python3/dist-packages/pexpect/__init__.py', debianPackage: 'python3-pexpect' },
  { file: '/usr/lib/python3/dist-packages/labgrid/__init__.py', debianPackage: 'python3-labgrid' },
];

/** What could not be made ready, in one line for people. */
export class SetupError extends Error {}

/**
 * @param {'demo' | 'tests' | 'heavy'} purpose
 * @throws {SetupError}
 */
export async function setUp(purpose) {
  checkNode();
  await installNpmPackages();
  await installDebianPackages({ demo: DEMO, tests: TESTS, heavy: HEAVY }[purpose], purpose);
  if (await build()) say('built the commands into dist/');
  if (purpose !== 'heavy') return;
  buildLibgpiodBinding();
  prepareLinuxBoard();
  await prepareGpioGuest(say).catch((error) =>
    say(`the guest for GPIO tests could not be made: ${error.message}`),
  );
}

/** npm runs no scripts of packages here, so that nothing else is built. Without it the tests skip what needs it. */
function buildLibgpiodBinding() {
  const loads = () =>
    spawnSync(process.execPath, ['-e', "require('node-libgpiod')"], { cwd: root }).status === 0;
  if (loads()) return;
  say('building node-libgpiod (once, some fifteen seconds) ...');
  const args = ['rebuild', 'node-libgpiod', '--ignore-scripts=false', '--foreground-scripts'];
  // The headers that come with this Node.js, where they do: else they are downloaded.
  const prefix = join(dirname(realpathSync(process.execPath)), '..');
  const hasHeaders = existsSync(join(prefix, 'include/node/node.h'));
  const env = { ...(hasHeaders ? { npm_config_nodedir: prefix } : {}), ...process.env };
  const { stderr } = spawnSync('npm', args, { cwd: root, env, encoding: 'utf8' });
  if (loads()) return;
  const why = /^.*(?:fatal error:|gyp ERR! stack Error:).*$/m.exec(stderr ?? '')?.[0] ?? 'its build failed';
  say(`node-libgpiod could not be built: ${why.trim()}`);
}

/** Without it the tests skip what needs it, and say so. */
function prepareLinuxBoard() {
  const command = join(root, 'bin/sai-virtual-lab');
  const { status } = spawnSync(process.execPath, [command, 'prepare', 'linux'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (status !== 0) say(`the Linux board could not be prepared: status ${status}`);
}

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])) return;
  throw new SetupError(`expected Node.js ${OLDEST_NODE.join('.')} or newer, found ${process.versions.node}`);
}

/** Two that start at the same moment install once: the second waits, and finds it done. */
async function installNpmPackages() {
  if (hasNpmPackages()) return;
  if (!onPath('flock')) return await installNpmPackagesAlone();
  const cache = join(root, '.cache');
  mkdirSync(cache, { recursive: true });
  const self = [process.execPath, fileURLToPath(import.meta.url), '--npm-packages-only'];
  await run(
    'flock',
    [join(cache, 'setup.lock'), ...self],
    'the npm packages could not be installed',
    'shown',
  );
}

/** `npm ci` empties node_modules first, so it runs only when the lockfile is not the one that filled it. */
async function installNpmPackagesAlone() {
  if (hasNpmPackages()) return;
  say('installing the npm packages (once, some ten seconds) ...');
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
  await run('npm', args, 'the npm packages could not be installed', 'only on failure');
  writeFileSync(installedFrom(), hashOfLockfile());
}

function hasNpmPackages() {
  return existsSync(installedFrom()) && readFileSync(installedFrom(), 'utf8') === hashOfLockfile();
}

function installedFrom() {
  return join(root, 'node_modules', '.installed-from');
}

function hashOfLockfile() {
  return createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
}

/** Without root the tests skip what is missing, and say so; the demo cannot. */
async function installDebianPackages(wanted, purpose) {
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
  await run('apt-get', [...apt, 'update'], failed, 'only on failure');
  await run('apt-get', [...apt, 'install', '--no-install-recommends', ...missing], failed, 'only on failure');
}

function isThere({ program, file }) {
  return program ? onPath(program) : existsSync(file);
}

function onPath(program) {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .some((folder) => folder && existsSync(join(folder, program)));
}

/** Ended by Ctrl-C, which has reached the child too: no failure to explain. */
async function run(command, args, failure, output) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const stdio = output === 'shown' ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'pipe', 'pipe'];
  const child = spawn(command, args, { cwd: root, env, stdio });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk) => {
      text += chunk;
    });
  }
  let stoppedBy;
  const stop = (signal) => {
    stoppedBy = signal;
    child.kill(signal);
  };
  for (const signal of STOP_SIGNALS) process.on(signal, stop);
  const [code, signal] = await once(child, 'close');
  for (const each of STOP_SIGNALS) process.off(each, stop);
  if (stoppedBy) process.exit(128 + constants.signals[stoppedBy]);
  if (code === 0) return;
  if (output === 'shown') process.exit(code ?? 69); // it has said why
  process.stderr.write(text);
  throw new SetupError(`${failure}: ${command} ${args.join(' ')} ended with ${code ?? signal}`);
}

function say(text) {
  console.error(`setup: ${text}`);
}

/** For the scripts that begin with a set-up: one line and status 69 when it fails. */
export async function setUpOrExit(purpose) {
  await orExit(setUp(purpose));
}

async function orExit(work) {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say(error.message);
    process.exit(69);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv.includes('--npm-packages-only')) {
    await orExit(installNpmPackagesAlone());
  } else {
    await setUpOrExit(process.argv.includes('--heavy') ? 'heavy' : 'tests');
    say('ready');
  }
}
