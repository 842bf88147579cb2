/** What `--doctor` looks at, and what it finds. */

import type { HostFiles } from './host-files.ts';
import type { Login } from './permission.ts';
import type { UsbDevice } from './sysfs-usb.ts';

/** One thing that is wrong. */
export interface Ailment {
  /** `config`: what was written down; `hardware`: the nodes and what is behind them; `unavailable`: the host around them. */
  readonly blame: 'config' | 'hardware' | 'unavailable';
  readonly problem: string;
  readonly cure: string;
}

export interface Patient {
  readonly config: string;
  /** `$SAI_RUN_DIR`. */
  readonly runDir: string | undefined;
  readonly login: Login;
  /** Whether this login may do there what sai-device does: read and write a tty or a folder, read a file. */
  readonly mayUse: (path: string, what: NodeKind) => boolean;
  readonly files: HostFiles;
}

/** What the config lists in `ttys`, and in `locks`. */
export type NodeKind = 'tty' | 'file';

/** A node of the config, or a tty that is plugged in. */
export interface ExaminedNode {
  readonly what: NodeKind;
  /** `uno1: /dev/ttyUSB0`. */
  readonly label: string;
  readonly path: string;
  /** Without links; undefined when it is not there. */
  readonly node: string | undefined;
  /** `major:minor`; undefined for what is no character device. */
  readonly number: string | undefined;
  readonly usb: UsbDevice | undefined;
}
