import { closeSync, constants, openSync, readdirSync, readFileSync, readlinkSync, readSync } from 'node:fs';
import { expect, test } from 'vitest';
import { errnoCode } from '../../src/base/errors.ts';
import { PatientOutput } from '../../src/expect/patient-output.ts';
import { openPipe } from '../../src/native/pipe.ts';
import { openPty } from '../../src/native/pty.ts';

/** A terminal that shows nothing until it is looked at, as after Ctrl-S; its program's end blocks. */
class Terminal implements Disposable {
  readonly #pty = openPty();
  readonly fd = openSync(this.#pty.ttyPath, constants.O_WRONLY | constants.O_NOCTTY);

  look(): string {
    const buffer = Buffer.alloc(65_536);
    let text = '';
    try {
      for (;;) text += buffer.toString('latin1', 0, readSync(this.#pty.masterFd, buffer));
    } catch (error) {
      if (errnoCode(error) !== 'EAGAIN') throw error;
    }
    return text;
  }

  hangUp(): void {
    closeSync(this.#pty.masterFd);
  }

  [Symbol.dispose](): void {
    closeSync(this.fd);
    closeSync(this.#pty.ttyFd);
  }
}

test('a terminal that goes on after a stop is shown everything, in order', async () => {
  using terminal = new Terminal();
  const losses: number[] = [];
  const output = new PatientOutput(terminal.fd, (lostBytes) => losses.push(lostBytes));
  const text = Array.from({ length: 10_000 }, (_, line) => `line ${line}\r\n`).join('');
  for (let from = 0; from < text.length; from += 1000)
    output.write(Buffer.from(text.slice(from, from + 1000)));
  let shown = '';
  const ended = output[Symbol.asyncDispose]();
  const look = (): number => {
    shown += terminal.look();
    return shown.length;
  };
  await expect.poll(look, { interval: 1 }).toBe(text.length);
  await ended;
  expect(shown).toBe(text);
  expect(losses).toEqual([]);
  terminal.hangUp();
});

test('what a stopped terminal has not taken by the end is counted', async () => {
  using terminal = new Terminal();
  const losses: number[] = [];
  const output = new PatientOutput(terminal.fd, (lostBytes) => losses.push(lostBytes));
  for (let count = 0; count < 3000; count++) output.write(Buffer.alloc(1000, 'x'));
  await output[Symbol.asyncDispose]();
  expect(losses).toEqual([3_000_000 - terminal.look().length]);
  terminal.hangUp();
});

test('a terminal that was closed is no loss, and no failure', async () => {
  using terminal = new Terminal();
  const losses: number[] = [];
  const output = new PatientOutput(terminal.fd, (lostBytes) => losses.push(lostBytes));
  terminal.hangUp();
  output.write(Buffer.from('x'));
  await output[Symbol.asyncDispose]();
  expect(losses).toEqual([]);
});

test('a pipe is written without blocking, however its description, which others share, was opened', async () => {
  const { readFd, writeFd } = openPipe();
  const output = new PatientOutput(writeFd, () => {});
  expect(writersOf(writeFd).map((each) => each.isBlocking)).toEqual([true, false]);
  output.write(Buffer.from('x'));
  await output[Symbol.asyncDispose]();
  expect(writersOf(writeFd).map((each) => each.isBlocking)).toEqual([true]);
  closeSync(writeFd);
  expect(readFileSync(readFd, 'latin1')).toBe('x');
  closeSync(readFd);
});

/** The descriptors of this process that write to a pipe, by number. */
function writersOf(pipeFd: number): { fd: number; isBlocking: boolean }[] {
  const pipe = readlinkSync(`/proc/self/fd/${pipeFd}`);
  const fds = readdirSync('/proc/self/fd').map(Number);
  return fds
    .filter((fd) => linkOf(fd) === pipe)
    .map((fd) => ({ fd, flags: flagsOf(fd) }))
    .filter(({ flags }) => (flags & constants.O_WRONLY) !== 0)
    .map(({ fd, flags }) => ({ fd, isBlocking: (flags & constants.O_NONBLOCK) === 0 }))
    .toSorted((a, b) => a.fd - b.fd);
}

/** Undefined for the descriptor that listed the folder. */
function linkOf(fd: number): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return undefined;
  }
}

function flagsOf(fd: number): number {
  return Number.parseInt(
    /^flags:\s+(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '',
    8,
  );
}
