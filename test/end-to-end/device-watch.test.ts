import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';
import { readProcessEnvironment, readProcessTable } from '../../src/base/process-table.ts';
import { Bench, commandLineOf, SAI_DEVICE } from '../peers/bench.ts';
import { needsProgram } from '../peers/needs.ts';
import { until } from '../until.ts';

/** Ends when its input does. */
const HOLD = ['sh', '-c', 'echo up; exec cat'];

const HELD = String.raw`uno1 is held by pid \d+ \(sh -c echo up; exec cat\) of \S+ since [\d:]+ \[uno\]`;

describe('on a pipe', () => {
  test('every change is a block that ends with an empty line', async () => {
    await using bench = new Bench({}, {});
    const watch = bench.start(['--watch']);
    await watch.prints(/^uno1 is free \[uno\]\nuno2 is free \[uno\]\n\n$/);
    const holder = bench.start(['uno', ...HOLD]); // makes the run folder, too
    await watch.prints(new RegExp(`\n\n${HELD}\nuno2 is free \\[uno\\]\n\n$`));
    const waiter = bench.start(['--name', 'uno1', 'uno', 'true']);
    await watch.prints(
      new RegExp(`${HELD}; next in queue: pid ${waiter.pid} \\(true\\) of \\S+ since [\\d:]+\n`),
    );
    holder.closeInput();
    expect((await waiter.ended).status).toBe(0);
    await watch.prints(/\n\nuno1 is free \[uno\]\nuno2 is free \[uno\]\n\n$/);
    watch.kill('SIGINT');
    const { status, stdout, stderr } = await watch.ended;
    expect({ status, stderr }).toEqual({ status: 130, stderr: '' });
    for (const block of stdout.split('\n\n').slice(0, -1)) {
      expect(block).toMatch(/^uno1 is .*\nuno2 is .*$/);
    }
  });

  test('--json is a line for each device at first, then for each one that changed', async () => {
    await using bench = new Bench({}, {});
    const watch = bench.start(['--watch', '--json']);
    await watch.prints(/\n.*\n/);
    await bench.run(['--quarantine', 'uno2', '--reason', 'burnt']);
    await watch.prints(/quarantined/);
    await bench.run(['--release', 'uno2']);
    await watch.prints(/quarantined.*\n.*\n/);
    watch.kill('SIGTERM');
    const { status, stdout } = await watch.ended;
    expect(status).toBe(143);
    const lines = stdout.trim().split('\n');
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      { name: 'uno1', type: 'uno', state: 'free', ttys: [bench.boards[0]?.ttyPath] },
      { name: 'uno2', type: 'uno', state: 'free', ttys: [bench.boards[1]?.ttyPath] },
      expect.objectContaining({
        name: 'uno2',
        state: 'quarantined',
        quarantine: { reason: 'burnt', by: expect.any(String), atMs: expect.any(Number) },
      }),
      { name: 'uno2', type: 'uno', state: 'free', ttys: [bench.boards[1]?.ttyPath] },
    ]);
  });

  test('what raises no event is seen all the same: a foreign lock, a board that is pulled', async () => {
    await using bench = new Bench();
    const link = bench.file('by-id'); // the pty's own name is given to somebody else at once
    symlinkSync(bench.board.ttyPath, link);
    bench.configure({ devices: [{ name: 'uno1', type: 'uno', ttys: [link] }] });
    const watch = bench.start(['--watch']);
    await watch.prints(/free/);
    const foreigner = spawn('flock', [link, 'sh', '-c', 'echo up; cat']);
    await watch.prints(new RegExp(`uno1 is locked by process ${foreigner.pid} `));
    foreigner.stdin.end();
    await watch.prints(/locked.*\n\nuno1 is free/);
    rmSync(link);
    await watch.prints(/uno1 is not usable: .*: no such tty;/);
    watch.kill('SIGINT');
    expect((await watch.ended).status).toBe(130);
  });

  test('it opens no tty, makes no folder, and makes nothing of a config that is wrong', async () => {
    await using bench = new Bench();
    const preload = bench.file('trace.cjs');
    writeFileSync(
      preload,
      `const fs = require('node:fs'); const out = fs.openSync(process.env.TRACE, 'a'); const open = fs.openSync;
       fs.openSync = (path, ...rest) => { fs.writeSync(out, path + '\\n'); return open(path, ...rest); };`,
    );
    const trace = bench.file('trace');
    const watch = bench.start(['--watch'], { NODE_OPTIONS: `--require ${preload}`, TRACE: trace });
    await watch.prints(/free/);
    watch.kill('SIGINT');
    await watch.ended;
    expect(readFileSync(trace, 'utf8')).not.toContain(bench.board.ttyPath);
    expect(existsSync(bench.runDir)).toBe(false);
    bench.configure('{"devices": [{}]}');
    expect(await bench.run(['--watch'])).toMatchObject({ status: 78, stdout: '' });
  });

  test('it ends with its reader', async () => {
    await using bench = new Bench();
    const command = '"$@" --watch | head -n 1'; // the shell waits for both
    const run = spawnSync('sh', ['-c', command, 'sh', process.execPath, SAI_DEVICE], {
      env: bench.env,
      encoding: 'utf8',
    });
    expect(run).toMatchObject({ status: 0, stdout: 'uno1 is free [uno]\n', stderr: '' });
  });

  test('a reader that reads nothing holds nothing up: Ctrl-C ends it', async () => {
    await using bench = new Bench();
    // More than any pipe takes.
    const names = Array.from({ length: 2000 }, (_, index) => `uno${index}`);
    bench.configure({
      devices: names.map((name) => ({ name, type: 'uno', ttys: [`/dev/no-such-${name}`] })),
    });
    const child = watchOnPipe(bench);
    await once(child.stdout ?? child, 'readable'); // some of it has been read: the rest waits in the pipe
    child.kill('SIGINT');
    expect(await once(child, 'exit')).toEqual([130, null]);
  });

  test('a list that is longer than a pipe takes is shown whole', async () => {
    await using bench = new Bench();
    const names = Array.from({ length: 2000 }, (_, index) => `uno${index}`);
    bench.configure({
      devices: names.map((name) => ({ name, type: 'uno', ttys: [`/dev/no-such-${name}`] })),
    });
    const watch = bench.start(['--watch', '--json']);
    await watch.prints(/"uno1999".*\n/);
    watch.kill('SIGINT');
    const lines = (await watch.ended).stdout.trim().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { name: string }).name)).toEqual(names);
  });
});

/** Whose stdout nobody reads until it is asked for. */
function watchOnPipe(bench: Bench): ChildProcess {
  const child = spawn(process.execPath, [SAI_DEVICE, '--watch'], {
    env: bench.env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

/** Pids of the processes that watch a bench. */
function watchersOf(bench: Bench): number[] {
  return readProcessTable()
    .filter(({ pid }) => commandLineOf(pid).startsWith(`${process.execPath}\0${SAI_DEVICE}\0--watch`))
    .filter(({ pid }) => readProcessEnvironment(pid).includes(`SAI_RUN_DIR=${bench.runDir}`))
    .map(({ pid }) => pid);
}

describe('on a terminal', () => {
  /** Runs `--watch` by a shell, as people do; `tty` is where the terminal is. */
  function onTerminal(bench: Bench, size: string) {
    const program = bench.file('program');
    const ttyFile = bench.file('tty');
    writeFileSync(
      program,
      `trap : INT; stty ${size}; tty > ${ttyFile}; stty -g; ${process.execPath} ${SAI_DEVICE} --watch; ` +
        'echo "status $?"; stty -g',
    );
    const terminal = spawn('script', ['-qefc', `sh ${program}`, '/dev/null'], { env: bench.env });
    onTestFinished(() => void terminal.kill('SIGKILL'));
    let output = '';
    terminal.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    return {
      shown: (): string => output.replaceAll('\r\n', '\n').replaceAll('\u001b', 'ESC'),
      tty: (): string => readFileSync(ttyFile, 'utf8').trim(),
      ctrlC: (): void => void terminal.stdin.write('\x03'),
      hangUp: (): void => void terminal.kill('SIGKILL'),
      closed: once(terminal, 'close'),
    };
  }

  test('it is repainted when something changes, and Ctrl-C leaves the terminal as it was', async (context) => {
    needsProgram(context, 'script');
    await using bench = new Bench({}, {});
    const terminal = onTerminal(bench, 'rows 10 cols 200');
    const first = 'ESC[Juno1 is free [uno]\nuno2 is free [uno]\n';
    await until(() => terminal.shown().endsWith(first), 'the list is shown');
    const holder = bench.start(['uno', ...HOLD]);
    const second = new RegExp(`ESC\\[2FESC\\[J${HELD}\nuno2 is free \\[uno\\]\n$`);
    await until(() => second.test(terminal.shown()), 'the list is repainted');
    terminal.ctrlC();
    await terminal.closed;
    const shown = terminal.shown();
    expect(shown).toMatch(/\n\^Cstatus 130\n[0-9a-f:]+\n$/);
    const settings = shown.match(/^[0-9a-f]+(?::[0-9a-f]+)+$/gm);
    expect(settings).toHaveLength(2);
    expect(settings?.[1]).toBe(settings?.[0]);
    expect(shown).not.toMatch(/ESC\[\?/); // no mode was changed that would have to be changed back
    holder.closeInput();
  });

  test('it keeps to the size of the terminal, also when that changes', async (context) => {
    needsProgram(context, 'script');
    await using bench = new Bench({}, {}, {}, {});
    const terminal = onTerminal(bench, 'rows 4 cols 12');
    await until(
      () => terminal.shown().endsWith('ESC[Juno1 is fr…\nuno2 is fr…\n… and 2 mo…\n'),
      'the list is shown',
    );
    const bigger = ['uno1', 'uno2', 'uno3', 'uno4'].map((name) => `${name} is free [uno]\n`).join('');
    spawnSync('stty', ['-F', terminal.tty(), 'rows', '20', 'cols', '100']);
    await until(() => terminal.shown().endsWith(`ESC[HESC[2J${bigger}`), 'the list is repainted');
    for (const pid of watchersOf(bench)) process.kill(pid, 'SIGCONT'); // as after Ctrl-Z and fg
    const again = `${bigger}ESC[HESC[2J${bigger}`;
    await until(() => terminal.shown().endsWith(again), 'the list is repainted once more');
    terminal.ctrlC();
    await terminal.closed;
    expect(terminal.shown()).toContain('status 130');
  });

  test('it ends with its terminal', async (context) => {
    needsProgram(context, 'script');
    await using bench = new Bench();
    const terminal = onTerminal(bench, 'rows 10 cols 80');
    await until(() => terminal.shown().includes('uno1 is free'), 'the list is shown');
    expect(watchersOf(bench)).toHaveLength(1);
    terminal.hangUp();
    await until(() => watchersOf(bench).length === 0, 'nobody watches any more');
  });
});
