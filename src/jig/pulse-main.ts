/** The thread that makes short pulses; started by `PulseThread`. */

import { parentPort } from 'node:worker_threads';
import { giveOrder, type LineOrder } from '../native/gpio-chardev.ts';
import { callLibc, SystemError } from '../native/libc.ts';
import { openPipe } from '../native/pipe.ts';
import { sleepExactly, sleepUntilNs } from '../native/precise-sleep.ts';
import { type Pulse, type PulseAnswer, READY } from './pulse-thread.ts';

const NS_PER_MS = 1e6;

/** Of code that has not run yet a pulse is some tenths of a millisecond longer. */
const WARM_UP_PULSES = 50;
const WARM_UP_MS = 0.02;

/** Source: <asm-generic/ioctls.h>. How much there is to read in a pipe: as an order, one that changes nothing. */
const FIONREAD = 0x541b;

sleepExactly();
warmUp();
parentPort?.on('message', (pulse: Pulse) => parentPort?.postMessage(answerTo(pulse)));
parentPort?.postMessage(READY);

function answerTo(pulse: Pulse): PulseAnswer {
  try {
    return makePulse(pulse);
  } catch (error) {
    if (error instanceof SystemError) return { syscall: error.syscall, errno: error.errno };
    throw error;
  }
}

function makePulse({ linesFd, begin, end, forMs }: Pulse): PulseAnswer {
  giveOrder(linesFd, begin);
  // The level changed before this: from here on it is never too short.
  const beganNs = process.hrtime.bigint();
  sleepUntilNs(beganNs + BigInt(Math.ceil(forMs * NS_PER_MS)));
  giveOrder(linesFd, end);
  const endedNs = process.hrtime.bigint();
  return { beganMs: Number(beganNs) / NS_PER_MS, endedMs: Number(endedNs) / NS_PER_MS };
}

function warmUp(): void {
  const { readFd, writeFd } = openPipe();
  const order: LineOrder = { request: FIONREAD, argument: new Uint8Array(4) };
  for (let pulse = 0; pulse < WARM_UP_PULSES; pulse += 1) {
    makePulse({ linesFd: readFd, begin: order, end: order, forMs: WARM_UP_MS });
  }
  callLibc('close', readFd);
  callLibc('close', writeFd);
}
