import { spawnSync } from 'node:child_process';
import { onTestFinished } from 'vitest';
import { tempFolder } from '../temp-folder.ts';

/** Why this machine cannot give a disk of its own to a test; undefined when it can. */
export const NO_SMALL_DISK = whyNot();

/** A folder on a disk of `sizeBytes` of its own; gone when the test is. */
export function smallDisk(sizeBytes: number): string {
  const folder = tempFolder();
  const { status, stderr } = mount(folder, sizeBytes);
  if (status !== 0) throw new Error(`cannot mount a tmpfs: ${stderr}`);
  onTestFinished(() => {
    spawnSync('umount', ['-l', folder]); // at once, also when a test that failed has a file open
  });
  return folder;
}

/** Makes it read-only, or writable again. */
export function remount(folder: string, mode: 'ro' | 'rw'): void {
  spawnSync('mount', ['-o', `remount,${mode}`, folder]);
}

function mount(folder: string, sizeBytes: number): { status: number | null; stderr: string } {
  const args = ['-t', 'tmpfs', '-o', `size=${sizeBytes},mode=0755`, 'tmpfs', folder];
  return spawnSync('mount', args, { encoding: 'utf8' });
}

function whyNot(): string | undefined {
  if (process.getuid?.() !== 0) return 'mounting a small disk needs root';
  const trial = ['-m', 'sh', '-c', 'mount -t tmpfs -o size=65536 tmpfs /mnt'];
  const { status } = spawnSync('unshare', trial);
  return status === 0 ? undefined : 'this machine lets nobody mount a tmpfs';
}
