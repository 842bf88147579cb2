/** The process of one emulated Uno: runs the firmware named by its argument at 16 MHz until the lab lets go. */

import { readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { runMain } from '../base/run-main.ts';
import { CHIP_LINK_FD, encodeMessage, type FromChip, messageReader, ToChip } from './chip-link.ts';
import { PacedChip } from './paced-chip.ts';

/** A lab that does not read for longer than this fills (20 s of output) loses what comes after. */
const MAX_UNREAD_BYTES = 512 * 1024;

const SLICE_MS = 1;

void runMain('sai-virtual-lab', async ({ args: [firmware = ''] }) => {
  const link = new Socket({ fd: CHIP_LINK_FD });
  const chip = new PacedChip(readFileSync(firmware, 'latin1'), monotonicMs, bounded(link));
  const read = messageReader(ToChip);
  const paced = pace(chip);
  link.write(encodeMessage({ event: 'ready' }));
  await new Promise<void>((resolve, reject) => {
    // The lab's end closes with the lab, however that ends. Signals to stop are for the lab.
    link.on('close', () => resolve());
    link.on('error', () => resolve());
    link.on('data', (chunk) => {
      try {
        for (const message of read(chunk)) chip.take(message);
        paced.wake();
      } catch (error) {
        reject(error);
      }
    });
  });
  return 0;
});

/** Calls `advance` again and again while the chip runs. `wake` after anything that may have started it. */
function pace(chip: PacedChip): { wake: () => void } {
  let isScheduled = false;
  const step = (): void => {
    isScheduled = false;
    const isBehind = chip.advance();
    if (!chip.isRunning) return;
    isScheduled = true;
    if (isBehind) setImmediate(step);
    else setTimeout(step, SLICE_MS);
  };
  const wake = (): void => {
    if (!isScheduled) step();
  };
  wake();
  return { wake };
}

/** What the lab does not read in time: bytes are lost and counted, of a line's changes the last one is kept. */
function bounded(link: Socket): (event: FromChip) => void {
  let lost = 0;
  const lastEdges = new Map<string, FromChip>();
  const catchUp = (): void => {
    for (const edge of lastEdges.values()) link.write(encodeMessage(edge));
    lastEdges.clear();
  };
  link.on('drain', catchUp);
  return (event) => {
    const isBehind = link.writableLength > MAX_UNREAD_BYTES;
    if (isBehind && event.event === 'usart') {
      lost += Buffer.byteLength(event.data, 'base64');
    } else if (isBehind && event.event === 'edge') {
      lastEdges.set(event.line, event);
    } else if (event.event === 'usart') {
      link.write(encodeMessage({ ...event, lost }));
      lost = 0;
    } else {
      link.write(encodeMessage(event));
    }
  };
}

function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
