/** A file, folder, link or device node of an archive. */
export interface ArchiveEntry {
  /** Without a leading slash; folders come before what is in them. */
  readonly path: string;
  /** Type and permissions, as in `st_mode`. */
  readonly mode: number;
  /** A file's bytes, or where a link leads. */
  readonly data?: Buffer;
  /** Of a device node: major, minor. */
  readonly device?: readonly [number, number];
}

/**
 * A cpio archive in the `newc` format, which is what an initramfs is. Everything in it belongs to root, so that making
 * it takes no rights.
 *
 * Source: Linux, Documentation/driver-api/early-userspace/buffer-format.rst.
 */
export function newcArchive(entries: readonly ArchiveEntry[]): Buffer {
  const all = [...entries, { path: 'TRAILER!!!', mode: 0 }];
  return Buffer.concat(all.flatMap((entry, index) => record(entry, index + 1)));
}

function record(
  { path, mode, data = Buffer.alloc(0), device = [0, 0] }: ArchiveEntry,
  inode: number,
): Buffer[] {
  const name = Buffer.from(`${path}\0`);
  const [owner, group, links, modified, deviceMajor, deviceMinor, checksum] = [0, 0, 1, 0, 0, 0, 0];
  const fields = [
    ...[inode, mode, owner, group, links, modified, data.length, deviceMajor, deviceMinor, ...device],
    ...[name.length, checksum],
  ];
  const header = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`);
  return [padded(Buffer.concat([header, name])), padded(data)];
}

/** To a multiple of four. */
function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
}
