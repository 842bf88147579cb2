import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { beforeEach, expect, test } from 'vitest';
import { linuxGuest, prepareLinuxGuest } from '../../src/virtual-lab/linux-guest.ts';
import { needsProgram } from '../peers/needs.ts';
import { tempFolder } from '../temp-folder.ts';

const never = new AbortController().signal;

let folder: string;
let env: NodeJS.ProcessEnv;
beforeEach(() => {
  folder = tempFolder();
  mkdirSync(join(folder, 'bin'));
  env = { PATH: `${join(folder, 'bin')}:${process.env['PATH']}`, XDG_CACHE_HOME: join(folder, 'cache') };
  program('apt-cache', 'echo "linux-image-cloud-arm64"; echo "  Depends: linux-image-9.9-cloud-arm64"');
});

/** Stands for apt, and for what it fetches. */
function program(name: string, script: string): void {
  const path = join(folder, 'bin', name);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
}

function makePackage(name: string, path: string, content: string): void {
  const root = join(folder, name);
  mkdirSync(join(root, 'DEBIAN'), { recursive: true });
  mkdirSync(join(root, path, '..'), { recursive: true });
  writeFileSync(join(root, path), content);
  const control = [
    'Version: 1',
    'Architecture: arm64',
    'Maintainer: nobody <nobody@example.com>',
    'Description: none',
  ];
  writeFileSync(join(root, 'DEBIAN/control'), [`Package: ${name}`, ...control, ''].join('\n'));
  execFileSync('dpkg-deb', ['--build', root, join(folder, `${name}.deb`)], { stdio: 'ignore' });
}

function cached(): string[] {
  const cache = join(folder, 'cache/sai-rig/guests');
  return existsSync(cache) ? readdirSync(cache) : [];
}

test('the guest is made once, from the packages that apt fetches, and takes the place of an older one and of what was killed', async (context) => {
  needsProgram(context, 'dpkg-deb');
  makePackage('kernel', 'boot/vmlinuz-9.9-cloud-arm64', 'the kernel');
  makePackage('busybox', 'bin/busybox', 'the program');
  program(
    'apt-get',
    `echo "$*" >> ${folder}/asked; case "$*" in *download*linux-image-9.9-cloud-arm64*) cp ${folder}/*.deb .;; esac`,
  );
  for (const left of ['linux-arm64-of-old', '.new-4194305-killed']) {
    mkdirSync(join(folder, 'cache/sai-rig/guests', left), { recursive: true }); // no pid is that high
  }
  const both = await Promise.all([prepareLinuxGuest(env, never), prepareLinuxGuest(env, never)]);
  expect(both).toEqual([linuxGuest(env), linuxGuest(env)]);
  expect(readFileSync(linuxGuest(env).kernel, 'utf8')).toBe('the kernel');
  const initramfs = gunzipSync(readFileSync(linuxGuest(env).initramfs));
  expect(initramfs.subarray(0, 6).toString()).toBe('070701');
  expect(initramfs.includes('the program')).toBe(true);
  expect(cached()).toEqual([expect.stringMatching(/^linux-arm64-[0-9a-f]{12}$/)]);

  const asked = readFileSync(join(folder, 'asked'), 'utf8');
  expect(asked.match(/ APT::Architectures=arm64 .* update$/gm)).toHaveLength(2);
  await prepareLinuxGuest(env, never);
  expect(readFileSync(join(folder, 'asked'), 'utf8')).toBe(asked);
});

test('what apt cannot fetch is told in its words, and nothing is left', async () => {
  program('apt-get', 'echo "E: Unable to locate package" >&2; exit 100');
  await expect(prepareLinuxGuest(env, never)).rejects.toMatchObject({
    blame: 'unavailable',
    message: 'linux: apt-get update: expected it to fetch the guest: E: Unable to locate package',
  });
  expect(cached()).toEqual([]);
  expect(() => linuxGuest(env)).toThrow(expect.objectContaining({ blame: 'unavailable' }));
});

test('told to stop, it leaves nothing', async () => {
  program('apt-get', `echo > ${folder}/began; exec sleep 60`);
  const stop = new AbortController();
  const prepared = prepareLinuxGuest(env, stop.signal);
  stop.abort(new Error('told to stop'));
  await expect(prepared).rejects.toThrow('told to stop');
  expect(cached()).toEqual([]);
});

test('without apt or a cache that can be written it says so', async () => {
  await expect(prepareLinuxGuest({ ...env, PATH: folder }, never)).rejects.toMatchObject({
    blame: 'unavailable',
    message: 'linux: expected a Debian host that fetches it: apt-get: command not found',
  });
  program('apt-get', 'exit 0');
  const file = join(folder, 'file');
  writeFileSync(file, '');
  await expect(prepareLinuxGuest({ ...env, XDG_CACHE_HOME: file }, never)).rejects.toMatchObject({
    blame: 'config',
    message: expect.stringMatching(/^.*\/file\/sai-rig\/guests: cannot make this folder: ENOTDIR/),
  });
});
