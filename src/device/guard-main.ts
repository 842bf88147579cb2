/**
 * The guard of one lease: a process that shares the lease's locks with the holder and outlives it. It waits for the
 * end of its standard input, which means that the holder vanished, ends what the command left, and lets go.
 * A holder that ends in order kills its guard first.
 *
 * The end of input comes only when no process has the other end any more: not even a child of the holder that was
 * killed between fork and exec. So every process of the command bears the lease's mark in its environment, or is
 * about to.
 */

import { closeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { ByteLines } from '../base/byte-lines.ts';
import type { ProcessInfo } from '../base/process-table.ts';
import { runMain } from '../base/run-main.ts';
import { NAMED_AFTER_MS, withoutDaemons } from './daemons.ts';
import { type GuardOrder, MAX_LINE_BYTES, parseKnownLine } from './guard-order.ts';
import { concludeLease } from './lease-record.ts';
import { endTree, markOf, ProcessTree } from './process-tree.ts';
import { wakeWaiters } from './wake.ts';

/**
 * A command whose holder was killed while it executed its program has no environment for a moment: the descriptors
 * are closed first. Far longer than that moment lasts, also where the program comes from a slow disk.
 */
const SETTLE_MS = 150;

const RETRY_AFTER_MS = 200;

void runMain('sai-device-guard', ({ args }) => guard(JSON.parse(args[0] ?? '') as GuardOrder), {
  signals: 'own',
});

async function guard(order: GuardOrder): Promise<number> {
  // Whoever stops the command must not stop its guard.
  for (const signal of ['SIGINT', 'SIGHUP', 'SIGTERM'] as const) process.on(signal, () => {});
  const { record, inheritedMark, runDir, leaseFileFds, otherFds, keepDaemons } = order;
  const tree = new ProcessTree(markOf(record.folder, inheritedMark), record.holderStartTicks);
  const commandPid = await learnUntilHolderVanishes(tree);
  if (keepDaemons.length > 0) await delay(NAMED_AFTER_MS);
  await endSurely(() => withoutDaemons(tree.scan(), keepDaemons, commandPid), order.graceMs);
  concludeLease(record, leaseFileFds);
  for (const fd of [...otherFds, ...leaseFileFds]) closeSync(fd);
  wakeWaiters(runDir);
  return 0;
}

/** An error of the system (no descriptor, no memory left) must not let go of a device whose command may live. */
async function endSurely(scan: () => readonly ProcessInfo[], graceMs: number): Promise<void> {
  for (;;) {
    try {
      return await endTree({ scan, graceMs, settleMs: SETTLE_MS });
    } catch {
      await delay(RETRY_AFTER_MS);
    }
  }
}

/** The pid of the command; undefined when its holder was killed before it could tell. */
function learnUntilHolderVanishes(tree: ProcessTree): Promise<number | undefined> {
  const lines = new ByteLines(MAX_LINE_BYTES);
  let commandPid: number | undefined;
  process.stdin.on('data', (chunk: Buffer) => {
    for (const known of lines.push(chunk).flatMap((line) => parseKnownLine(line))) {
      commandPid ??= known.pid;
      tree.know(known);
    }
  });
  return new Promise((resolve) => {
    process.stdin.once('close', () => resolve(commandPid));
    process.stdin.once('error', () => resolve(commandPid));
  });
}
