/** On which file system a path is, as far as the mount table of this process tells. */

import type { HostFiles } from './host-files.ts';

/** `devtmpfs`, `tmpfs`, `nfs4`; undefined where there is no table. The path is one without links. */
export function fileSystemOf(path: string, files: HostFiles): string | undefined {
  const table = files.text('/proc/self/mountinfo');
  if (table === undefined) return undefined;
  let best: { readonly point: string; readonly type: string } | undefined;
  for (const line of table.split('\n')) {
    // `24 27 0:6 / /dev rw,relatime shared:2 - devtmpfs udev rw`. Source: proc_pid_mountinfo(5).
    const match = /^\d+ \d+ \d+:\d+ \S+ (\S+) .*? - (\S+) /.exec(`${line} `);
    if (!match?.[1] || !match[2]) continue;
    const point = match[1].replaceAll(/\\(\d{3})/g, (_text, code: string) =>
      String.fromCharCode(Number.parseInt(code, 8)),
    );
    const isAbove = path === point || path.startsWith(point === '/' ? '/' : `${point}/`);
    // The later of two mounts at one place covers the other.
    if (isAbove && point.length >= (best?.point.length ?? 0)) best = { point, type: match[2] };
  }
  return best?.type;
}
