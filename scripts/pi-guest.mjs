// The kernel, the device tree, the modules and the first file system of an emulated Raspberry Pi 3, in which
// `npm run test:pi` meets the true driver of its header: Debian's arm64 kernel and libraries, fetched by apt, Node.js and
// koffi for arm64, fetched by npm, kept in the user's cache. Nothing of the host is installed or changed.

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PREFIX = 'pi-arm64-';
const ARCHITECTURE = 'arm64';
/** Depends on the kernel of the day: it names a package with the version in its name. */
const KERNEL_METAPACKAGE = 'linux-image-arm64';
/** What Node.js is linked with, and what starts it. */
const PACKAGES = ['busybox-static', 'libc6', 'libgcc-s1', 'libstdc++6'];
const DEVICE_TREE = 'broadcom/bcm2837-rpi-3-b.dtb';
/** The model has no PCI: its network card hangs on USB. */
const MODULES = ['phy-generic', 'dwc2', 'cdc_ether', 'rndis_host'];
const INIT = fileURLToPath(new URL('pi-guest-init.sh', import.meta.url));
const ROOT = fileURLToPath(new URL('..', import.meta.url));

/**
 * Paths of what QEMU loads, made unless they are there: about a minute and 100 MB. Our own commands are packed anew each
 * time, as they are built now. `scratch` is where.
 *
 * @param {string} scratch
 * @param {(text: string) => void} say
 * @throws {Error} with what could not be fetched
 */
export async function preparePiGuest(scratch, say) {
  const folder = cacheFolder();
  if (!existsSync(folder)) {
    mkdirSync(join(folder, '..'), { recursive: true });
    const making = mkdtempSync(join(folder, '..', `.new-${process.pid}-`));
    try {
      say('making the emulated Raspberry Pi (once, about a minute, 100 MB) ...');
      await make(making);
      removeOlder(folder);
      if (!existsSync(folder)) renameSync(join(making, 'guest'), folder);
    } finally {
      rmSync(making, { recursive: true, force: true });
    }
  }
  const initramfs = join(scratch, 'initramfs.cpio');
  await pack(productIn(join(scratch, 'root')), join(scratch, 'product.cpio'));
  // The kernel unpacks one archive after the other.
  await output('sh', [
    '-c',
    'cat "$0" "$1" > "$2"',
    join(folder, 'system.cpio'),
    join(scratch, 'product.cpio'),
    initramfs,
  ]);
  return { kernel: join(folder, 'kernel'), deviceTree: join(folder, 'device-tree.dtb'), initramfs };
}

/** A guest of another recipe, or of another Node.js, is another guest. */
function cacheFolder() {
  const cache = process.env.XDG_CACHE_HOME || join(process.env.HOME || homedir(), '.cache');
  const recipe = createHash('sha256').update(process.version).update(koffiVersion());
  for (const file of [fileURLToPath(import.meta.url), INIT]) recipe.update(readFileSync(file));
  return join(cache, 'sai-rig', 'guests', `${PREFIX}${recipe.digest('hex').slice(0, 12)}`);
}

/** One that still runs has it in its memory. */
function removeOlder(current) {
  const cache = join(current, '..');
  for (const name of readdirSync(cache)) {
    if (name.startsWith(PREFIX) && join(cache, name) !== current)
      rmSync(join(cache, name), { recursive: true, force: true });
  }
}

function koffiVersion() {
  return JSON.parse(readFileSync(join(ROOT, 'node_modules/koffi/package.json'), 'utf8')).version;
}

async function make(scratch) {
  const unpacked = join(scratch, 'unpacked');
  const [version] = await Promise.all([fetchPackages(scratch, unpacked), fetchNpm(scratch)]);
  const guest = join(scratch, 'guest');
  const root = join(scratch, 'root');
  for (const folder of ['bin', 'dev', 'proc', 'sys', 'modules', 'lib', 'sai-rig/node_modules/@koromix'])
    mkdirSync(join(root, folder), { recursive: true });
  mkdirSync(guest);
  copyFileSync(join(unpacked, 'boot', `vmlinuz-${version}`), join(guest, 'kernel'));
  copyFileSync(
    join(unpacked, 'usr/lib', `linux-image-${version}`, DEVICE_TREE),
    join(guest, 'device-tree.dtb'),
  );
  for (const path of await modulesOf(unpacked, version)) {
    copyFileSync(path, join(root, 'modules', basename(path)));
    appendFileSync(join(root, 'modules/order'), `${basename(path)}\n`);
  }
  const busybox = ['usr/bin/busybox', 'bin/busybox'].map((each) => join(unpacked, each)).find(existsSync);
  copyFileSync(busybox, join(root, 'bin/busybox'));
  for (const folder of ['lib/aarch64-linux-gnu', 'usr/lib/aarch64-linux-gnu']) {
    const from = join(unpacked, folder);
    if (existsSync(from))
      cpSync(from, join(root, 'lib/aarch64-linux-gnu'), { recursive: true, verbatimSymlinks: true });
  }
  rmSync(join(root, 'lib/aarch64-linux-gnu/gconv'), { recursive: true, force: true });
  copyFileSync(
    join(root, 'lib/aarch64-linux-gnu/ld-linux-aarch64.so.1'),
    join(root, 'lib/ld-linux-aarch64.so.1'),
  );
  copyFileSync(join(scratch, 'npm/node/bin/node'), join(root, 'bin/node'));
  cpSync(
    join(scratch, 'npm/koffi'),
    join(root, `sai-rig/node_modules/@koromix/koffi-linux-${ARCHITECTURE}`),
    {
      recursive: true,
    },
  );
  copyFileSync(INIT, join(root, 'init'));
  await output('chmod', ['755', 'init', 'bin/busybox', 'bin/node'], root);
  await pack(root, join(guest, 'system.cpio'));
}

/** With lists of its own, apart from those of the host. Answers with the kernel's own version. */
async function fetchPackages(scratch, unpacked) {
  for (const folder of ['lists/partial', 'cache/archives/partial', 'packages', 'unpacked'])
    mkdirSync(join(scratch, folder), { recursive: true });
  writeFileSync(join(scratch, 'status'), '');
  const options = [
    `APT::Architecture=${ARCHITECTURE}`,
    `APT::Architectures=${ARCHITECTURE}`,
    `Dir::State::lists=${join(scratch, 'lists')}`,
    `Dir::State::status=${join(scratch, 'status')}`,
    `Dir::Cache=${join(scratch, 'cache')}`,
    'Acquire::Languages=none',
    'APT::Sandbox::User=root',
  ].flatMap((option) => ['-o', option]);
  const packages = join(scratch, 'packages');
  const apt = (program, ...args) => output(program, [...options, ...args], packages);
  await apt('apt-get', '-q', 'update');
  const image = /Depends: linux-image-(\S+)/.exec(await apt('apt-cache', 'depends', KERNEL_METAPACKAGE));
  if (!image) throw new Error(`${KERNEL_METAPACKAGE}: expected it to depend on a kernel`);
  await apt('apt-get', '-q', 'download', `linux-image-${image[1]}`, ...PACKAGES);
  for (const file of readdirSync(packages)) await output('dpkg-deb', ['--extract', file, unpacked], packages);
  return image[1];
}

/** Of the host's own version, into `npm/node` and `npm/koffi`. */
async function fetchNpm(scratch) {
  const wanted = {
    node: `node-linux-${ARCHITECTURE}@${process.versions.node}`,
    koffi: `@koromix/koffi-linux-${ARCHITECTURE}@${koffiVersion()}`,
  };
  for (const [name, spec] of Object.entries(wanted)) {
    const folder = join(scratch, 'npm', name);
    mkdirSync(folder, { recursive: true });
    const file = (await output('npm', ['pack', '--silent', spec], folder)).trim().split('\n').at(-1);
    await output('tar', ['-xzf', file, '--strip-components=1'], folder);
    rmSync(join(folder, file));
  }
}

/** In the order in which they must be loaded. */
async function modulesOf(unpacked, version) {
  await output('depmod', ['-b', unpacked, version], unpacked);
  const listing = ['-d', unpacked, '-S', version, '--show-depends', '-a', ...MODULES];
  return [...new Set((await output('modprobe', listing, unpacked)).match(/\S+\.ko\S*/g) ?? [])];
}

/** The built commands, and what the test talks to. */
function productIn(root) {
  for (const path of ['bin', 'dist', 'package.json', 'test/peers/gpio-guest-agent.mjs'])
    cpSync(join(ROOT, path), join(root, 'sai-rig', path), { recursive: true });
  return root;
}

async function pack(root, archive) {
  await output('sh', ['-c', 'find . | cpio --quiet -o -H newc -R 0:0 > "$0"', archive], root);
}

/** What a program prints. @throws {Error} with its last words, when it fails */
function output(program, args, cwd) {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, LC_ALL: 'C', PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
    const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    let complaint = '';
    child.stdout.on('data', (chunk) => {
      text += chunk;
    });
    child.stderr.on('data', (chunk) => {
      complaint += chunk;
    });
    child.once('error', reject);
    child.once('close', (status) => {
      if (status === 0) return resolve(text);
      const why = complaint.trim().split('\n').at(-1) || `status ${status}`;
      reject(new Error(`${program} ${args.slice(-3).join(' ')}: ${why}`));
    });
  });
}
