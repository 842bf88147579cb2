#!/usr/bin/env node
// The main job without hardware: a virtual Arduino Uno with real firmware behind a real tty, a jig that holds its reset
// and button, and a ctest project that `sai-device` runs on it while `sai-logproxy` keeps the log.
//
//   npm run demo               brings all up, runs the tests, takes all down; the status is that of the tests
//   npm run demo -- --keep     leaves the board up and prints what to try; Ctrl-C ends it

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { constants, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { setUpOrExit } from './setup.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const project = join(root, 'examples/uno-ctest');

// npm keeps `npm run demo --keep`, without the lone --, for itself.
const keep = process.argv.includes('--keep') || process.env.npm_config_keep === 'true';
const unknown = process.argv.slice(2).find((argument) => argument !== '--keep');
if (unknown) {
  console.error(`demo: expected --keep or nothing, got ${unknown}`);
  process.exit(64);
}

await setUpOrExit('demo');
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => stop.abort(signal));

const folder = mkdtempSync(join(tmpdir(), 'sai-'));
/** Stays, to be looked at. */
const log = mkdtempSync(join(tmpdir(), 'sai-demo-log-'));
let status = 0;
try {
  status = await demo();
} finally {
  rmSync(folder, { recursive: true, force: true });
  if (hasNoLog()) rmSync(log, { recursive: true });
}
process.exit(stop.signal.aborted ? 128 + constants.signals[stop.signal.reason] : status);

async function demo() {
  const startedAt = Date.now();
  const port = await freePort();
  const lab = await startLab(port);
  try {
    if (!lab.board) return lab.status;
    const env = {
      ...process.env,
      PATH: `${join(root, 'bin')}${delimiter}${process.env.PATH}`,
      SAI_DEVICES_CONF: lab.board.devices,
      SAI_RUN_DIR: join(folder, 'run'),
    };
    mkdirSync(env.SAI_RUN_DIR);
    say(`a virtual Uno runs behind ${lab.board.ttys[0]}, and its jig on 127.0.0.1:${port}`);
    const build = join(folder, 'build');
    const configured = await run('cmake', ['-S', project, '-B', build], env, 'quiet');
    if (configured.status !== 0) return configured.status;
    const ctest = ['ctest', '--test-dir', build, '--output-on-failure'];
    const line = ['sai-logproxy', '--dir', log, '--', 'sai-device', 'uno', ...ctest];
    say(`$ ${line.join(' ')}`);
    const tested = await run(line[0], line.slice(1), env, 'shown');
    if (!stop.signal.aborted) summarise(tested, Date.now() - startedAt);
    if (keep && !stop.signal.aborted) await stayUp({ ...lab.board, jigPort: port }, env, build);
    return tested.status;
  } finally {
    await lab.end();
  }
}

/** Stopped before a channel said anything: there is at most the line that every run begins with. */
function hasNoLog() {
  return readdirSync(log).every((name) => name === 'run.json');
}

/** A moment later another program may have it; then the jig says so. */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

/** The board and its jig live in a process each, which end by themselves should this one be killed. */
async function startLab(jigPort) {
  const child = spawn(
    join(root, 'bin/sai-virtual-lab'),
    [
      'up',
      '--json',
      '--with-parent',
      '--dir',
      join(folder, 'lab'),
      '--with-jig',
      '--jig-port',
      String(jigPort),
      'uno:uno-1',
    ],
    { stdio: ['pipe', 'pipe', 'inherit'], detached: true },
  );
  const ended = once(child, 'exit');
  const [line] = await Promise.race([
    once(createInterface(child.stdout), 'line'),
    ended.then(() => [undefined]),
  ]);
  return {
    board: typeof line === 'string' ? JSON.parse(line) : undefined,
    status: child.exitCode ?? 1,
    async end() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** Ends with this process's Ctrl-C: the command cleans up after itself, and is waited for. */
async function run(command, args, env, output) {
  const stdio = ['ignore', 'pipe', 'pipe'];
  const child = spawn(command, args, { env, cwd: folder, stdio, detached: true });
  // cmake leaves the compilers that it runs to whoever ends it; sai-logproxy ends what it runs itself.
  const passOn = () => (output === 'quiet' ? endGroup(child) : child.kill('SIGTERM'));
  stop.signal.addEventListener('abort', passOn);
  if (stop.signal.aborted) passOn();
  let text = '';
  const take = (stream) => (chunk) => {
    text += chunk;
    if (output === 'shown') stream.write(chunk);
  };
  child.stdout.on('data', take(process.stdout));
  child.stderr.on('data', take(process.stderr));
  const [code, signal] = await once(child, 'close');
  stop.signal.removeEventListener('abort', passOn);
  if (output === 'quiet' && code !== 0 && !stop.signal.aborted) process.stderr.write(text);
  return { status: code ?? 128 + constants.signals[signal], text };
}

function endGroup({ pid }) {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGTERM');
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

function summarise({ status, text }, tookMs) {
  const counts = /(\d+)% tests passed, (\d+) tests failed out of (\d+)/.exec(text);
  const seconds = (tookMs / 1000).toFixed(1);
  const passed = counts
    ? `${Number(counts[3]) - Number(counts[2])} of ${counts[3]} tests passed`
    : 'no test ran';
  const files = readdirSync(log).filter((name) => name.endsWith('.log'));
  say(`the log of the run is in ${log}: ${files.join(' ')}`);
  say(`${passed} on the virtual Uno, in ${seconds} s; status ${status}`);
}

async function stayUp(board, env, build) {
  console.log(`
The board stays up until Ctrl-C. In another terminal:

  export PATH=${join(root, 'bin')}:$PATH
  export SAI_DEVICES_CONF=${board.devices} SAI_RUN_DIR=${env.SAI_RUN_DIR} SIM_CHIP=${board.chip}
  sai-device --list                                            # who has which board
  sai-device uno sai-expect --fresh --echo --line version --expect gcc   # ask the firmware its version
  sai jig list --url http://127.0.0.1:${board.jigPort}                    # what the jig can do
  curl http://127.0.0.1:${board.jigPort}/uno-1/reset                      # press reset
  sai-logproxy show ${log}                                     # the log of the run, by time
  sai-device uno ctest --test-dir ${build}                     # the tests once more
  sai-device uno ctest --test-dir ${build} -C broken -R wrong_text --output-on-failure
`);
  if (!stop.signal.aborted) await once(stop.signal, 'abort');
}

function say(text) {
  console.log(`demo: ${text}`);
}
