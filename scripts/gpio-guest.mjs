// The kernel, the modules and the first file system of the x86 guest in which tests meet real GPIO and real serial
// drivers: Debian's own, fetched by apt, unpacked and built in the user's cache. Nothing of the host is installed.
//
// Debian builds neither gpio-sim nor irq_sim. Both are built here, out of tree, from Debian's kernel source (GPL-2), so
// neither they nor their sources are in this repository.

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
  statSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Depends on the kernel of the day: it names a package with the version in its name. */
const KERNEL_METAPACKAGE = 'linux-image-amd64';
/** What the guest loads, besides what these need. The transport comes first: nothing is found without it. */
const MODULES = [
  'configfs',
  'virtio_pci',
  'virtio_rng',
  'virtio_net',
  '9pnet_virtio',
  '9p',
  'xhci_pci',
  'ftdi_sio',
];
const BUILT_MODULES = ['irq_sim', 'gpio-sim'];
const SOURCES = ['drivers/gpio/gpio-sim.c', 'drivers/gpio/gpiolib.h', 'kernel/irq/irq_sim.c'];
/** A guest that nobody made anew for so long is of a version that nobody runs. */
const FORGOTTEN_MS = 30 * 86_400_000;
const BUSYBOX = '/bin/busybox';
const INIT = fileURLToPath(new URL('gpio-guest-init.sh', import.meta.url));

/** Paths of what QEMU loads, or undefined where {@link prepareGpioGuest} has not made them. */
export function gpioGuest() {
  const guest = guestIn(cacheFolder());
  return existsSync(guest.initramfs) ? guest : undefined;
}

/**
 * Makes the guest unless it is there; about half a minute and 220 MB of downloads. Two at the same time both end well.
 *
 * @param {(text: string) => void} say
 * @throws {Error} with what could not be fetched or built
 */
export async function prepareGpioGuest(say) {
  const folder = cacheFolder();
  const guest = guestIn(folder);
  if (existsSync(guest.initramfs)) return guest;
  const cache = join(folder, '..');
  mkdirSync(cache, { recursive: true });
  removeAbandoned(cache);
  const scratch = mkdtempSync(join(cache, `.new-${process.pid}-`));
  try {
    if (!existsSync(folder)) {
      say('making the guest for GPIO tests (once, about half a minute, 220 MB) ...');
      await makeKernel(scratch);
      removeForgotten(cache);
      if (!existsSync(folder)) renameSync(join(scratch, 'guest'), folder);
    }
    await packInitramfs(scratch, guest);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return guest;
}

/** A kernel of another recipe is another one. */
function cacheFolder() {
  const cache = process.env.XDG_CACHE_HOME || join(process.env.HOME || homedir(), '.cache');
  return join(cache, 'sai-rig', 'guests', `gpio-x86-${hashOf(fileURLToPath(import.meta.url))}`);
}

/** The first file system costs nothing to make anew, the kernel does. */
function guestIn(folder) {
  return {
    kernel: join(folder, 'vmlinux'),
    modules: join(folder, 'modules'),
    initramfs: join(folder, `initramfs-${hashOf(INIT)}.cpio`),
  };
}

function hashOf(file) {
  return createHash('sha256').update(readFileSync(file)).digest('hex').slice(0, 12);
}

/** What was killed while it made a guest leaves it half made. */
function removeAbandoned(cache) {
  for (const name of readdirSync(cache)) {
    const pid = /^\.new-(\d+)-/.exec(name)?.[1];
    if (pid && !existsSync(`/proc/${pid}`)) rmSync(join(cache, name), { recursive: true, force: true });
  }
}

/** Checkouts of other versions have guests of their own. */
function removeForgotten(cache) {
  for (const name of readdirSync(cache)) {
    const isForgotten =
      name.startsWith('gpio-x86-') && Date.now() - statSync(join(cache, name)).mtimeMs > FORGOTTEN_MS;
    if (isForgotten) rmSync(join(cache, name), { recursive: true, force: true });
  }
}

async function makeKernel(scratch) {
  const unpacked = join(scratch, 'unpacked');
  const version = await fetchKernel(scratch, unpacked);
  const built = await buildModules(scratch, unpacked, version);
  const { kernel, modules } = guestIn(join(scratch, 'guest'));
  mkdirSync(modules, { recursive: true });
  await unpackKernel(join(unpacked, 'boot', `vmlinuz-${version}`), kernel, scratch);
  for (const path of [...(await modulesOf(unpacked, version)), ...built]) {
    copyFileSync(path, join(modules, basename(path)));
    appendFileSync(join(modules, 'order'), `${basename(path)}\n`);
  }
}

/** Downloads and unpacks image, headers and source, all of one version. Answers with the kernel's own version. */
async function fetchKernel(scratch, unpacked) {
  const packages = join(scratch, 'packages');
  mkdirSync(packages);
  const run = (program, ...args) => output(program, args, packages);
  const image = /Depends: linux-image-(\S+)/.exec(await run('apt-cache', 'depends', KERNEL_METAPACKAGE));
  if (!image) throw new Error(`${KERNEL_METAPACKAGE}: expected it to depend on a kernel`);
  const version = image[1];
  const series = /^\d+\.\d+/.exec(version)[0];
  await run(
    'apt-get',
    ...['-q', '-o', 'APT::Sandbox::User=root', 'download', `linux-image-${version}`],
    ...[`linux-headers-${version}`, `linux-headers-${version.replace(/amd64$/, 'common')}`],
    ...[`linux-kbuild-${series}`, `linux-source-${series}`],
  );
  for (const file of readdirSync(packages)) await run('dpkg-deb', '--extract', file, unpacked);
  return version;
}

/** `irq_sim` calls one function that the kernel does not export to modules, for which there is one that it does. */
async function buildModules(scratch, unpacked, version) {
  const series = /^\d+\.\d+/.exec(version)[0];
  const archive = join(unpacked, 'usr/src', `linux-source-${series}.tar.xz`);
  const wanted = SOURCES.map((path) => `linux-source-${series}/${path}`);
  const folder = join(scratch, 'modules');
  mkdirSync(folder);
  // tar ends at the last of them, long before the end of the archive, which xz takes for a failure.
  const unpack = `xz -dc -T0 "$0" 2>/dev/null | tar -x --strip-components=3 --occurrence=1 "$@"`;
  await output('sh', ['-c', unpack, archive, ...wanted], folder);
  const source = readFileSync(join(folder, 'irq_sim.c'), 'utf8');
  const exported = source.replace('irq_to_desc(irqnum)', 'irq_data_to_desc(irq_get_irq_data(irqnum))');
  writeFileSync(
    join(folder, 'irq_sim.c'),
    `${exported}\n#include <linux/module.h>\nMODULE_LICENSE("GPL");\n`,
  );
  writeFileSync(join(folder, 'Makefile'), 'obj-m := irq_sim.o gpio-sim.o\n');
  const headers = join(unpacked, 'usr/src', `linux-headers-${version}`);
  const common = join(unpacked, 'usr/src', `linux-headers-${version.replace(/amd64$/, 'common')}`);
  // As shipped it names a place under /usr.
  writeFileSync(join(headers, 'Makefile'), `include ${common}/Makefile\n`);
  await output('make', ['-C', headers, `M=${folder}`, 'CC=gcc', 'modules'], folder);
  const files = BUILT_MODULES.map((name) => join(folder, `${name}.ko`));
  for (const file of files) await output('objcopy', ['--strip-debug', file], folder);
  return files;
}

/** QEMU starts an ELF through PVH in a quarter of the time in which a compressed kernel unpacks itself. */
async function unpackKernel(bzImage, elf, scratch) {
  const image = readFileSync(bzImage);
  // Source: Linux, Documentation/x86/boot.rst: setup_sects, payload_offset, payload_length.
  const protectedMode = (image.readUInt8(0x1f1) + 1) * 512;
  const start = protectedMode + image.readUInt32LE(0x248);
  const length = image.readUInt32LE(0x24c);
  const payload = image.subarray(start, start + length);
  const unpack = payload.readUInt32BE(0) === 0x28b5_2ffd ? 'zstd -dc' : 'xz -dc --single-stream';
  const file = join(scratch, 'payload');
  // Its last four bytes are the unpacked size, for the kernel's own loader.
  writeFileSync(file, payload.subarray(0, -4));
  await output('sh', ['-c', `${unpack} "$0" > "$1"`, file, elf], scratch);
}

/** In the order in which they must be loaded. */
async function modulesOf(unpacked, version) {
  await output('depmod', ['-b', unpacked, version], unpacked);
  const listing = ['-d', unpacked, '-S', version, '--show-depends', '-a', ...MODULES];
  const text = await output('modprobe', listing, unpacked);
  return [...new Set(text.match(/\S+\.ko\S*/g) ?? [])];
}

/** Moved into its place in one step. */
async function packInitramfs(scratch, { modules, initramfs }) {
  const root = join(scratch, 'root');
  for (const folder of ['bin', 'dev', 'host', 'proc', 'sys'])
    mkdirSync(join(root, folder), { recursive: true });
  cpSync(modules, join(root, 'modules'), { recursive: true });
  copyFileSync(BUSYBOX, join(root, 'bin/busybox'));
  copyFileSync(INIT, join(root, 'init'));
  const archive = join(scratch, 'initramfs.cpio');
  const pack = 'chmod 755 init bin/busybox && find . | cpio --quiet -o -H newc -R 0:0 > "$0"';
  await output('sh', ['-c', pack, archive], root);
  renameSync(archive, initramfs);
}

/** What a program prints. @throws {Error} with its last words, when it fails */
function output(program, args, cwd) {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, LC_ALL: 'C' };
    const path = `${env.PATH}:/usr/sbin:/sbin`; // depmod and modprobe, for people who are not root
    const child = spawn(program, args, {
      cwd,
      env: { ...env, PATH: path },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
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
      if (status === 0) resolve(text);
      else {
        const why = complaint.trim().split('\n').at(-1) || `status ${status}`;
        reject(new Error(`${program} ${args.slice(0, 3).join(' ')}: ${why}`));
      }
    });
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { kernel, initramfs } = await prepareGpioGuest((text) => console.error(text));
  console.log(`${kernel}\n${initramfs}`);
}
