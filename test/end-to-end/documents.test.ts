import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, onTestFinished, test } from 'vitest';
import { needsBoard, needsProgram } from '../peers/needs.ts';
import { ROOT, runCommand, startLab } from '../peers/running-lab.ts';
import { tempFolder } from '../temp-folder.ts';

/** Commands that these tests cannot start, and what does. */
const RUN_ELSEWHERE = new Map([
  ['npm run setup', 'whoever runs this test'],
  ['npm run demo', 'test/end-to-end/demo.test.ts'],
  ['npm test', 'whoever runs this test'],
  ['npm run check', 'whoever checks a change; it would run this test again'],
]);

/** Documents whose reader has boards and a jig already, and is not told how to get them. */
const NEEDS_JIG = new Set([
  'examples/node-test-uno/README.md',
  'examples/uno-ctest/README.md',
  'examples/vitest-uno/README.md',
]);

/** The ports that documents name; another test, or somebody else on this host, may be reading them too. */
const PORTS_IN_DOCUMENTS = ['44123', '44124'];

/** What a block that failed left running would hold up the test. */
const END_ALL = "trap 'kill $(jobs -p) 2>/dev/null || :' EXIT";

async function freePort(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return `${port}`;
}

interface Block {
  readonly name: string;
  readonly commands: string;
  /** `shell`: starts the shell in which the reader types all that follows. */
  readonly kind: 'passes' | 'fails' | 'shell';
}

/** Every fence marked `sh` in a document: also `sh fails`, for what is meant to fail, and `sh shell`. */
function blocksOf(document: string): Block[] {
  const text = readFileSync(join(ROOT, document), 'utf8');
  return [...text.matchAll(/^```sh(?: (fails|shell))?\n(.*?)^```$/gms)].map((match) => {
    const line = text.slice(0, match.index).split('\n').length;
    const commands = (match[2] ?? '').split('\n').filter((command) => !RUN_ELSEWHERE.has(command));
    return {
      name: `${document}:${line}`,
      commands: commands.join('\n').trim(),
      kind: (match[1] ?? 'passes') as Block['kind'],
    };
  });
}

/** Markdown at the top, and everywhere below these folders. */
const documents = [
  ...readdirSync(ROOT),
  ...['docs', 'examples', 'hardware']
    .filter((folder) => existsSync(join(ROOT, folder)))
    .flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true }).map((name) => join(folder, String(name))),
    ),
].filter((path) => path.endsWith('.md'));

/** Boards of the virtual lab that run only where QEMU is, and the blocks that are about them. */
const EXTRA_BOARDS = ['u-boot', 'microbit', 'linux'];

function boardOf({ commands }: Block): string | undefined {
  return EXTRA_BOARDS.find((board) =>
    new RegExp(`\\b(?:sai-device|prepare|up --with-jig) ${board}\\b`).test(commands),
  );
}

test.for(documents)(
  'every command in %s does what the document says',
  { timeout: 60_000 },
  async (document, context) => {
    const blocks = blocksOf(document).filter((block) => !boardOf(block) && block.commands !== '');
    if (blocks.length === 0) return;
    for (const program of ['cmake', 'curl', 'dtc']) {
      if (blocks.some(({ commands }) => commands.includes(program))) needsProgram(context, program);
    }
    await runAll(blocks, () => startLab(NEEDS_JIG.has(document) ? 'held by a jig' : 'free'));
  },
);

test.for(
  documents.flatMap((document) =>
    EXTRA_BOARDS.map((board) => ({
      document,
      board,
      blocks: blocksOf(document).filter((block) => boardOf(block) === board),
    })).filter(({ blocks }) => blocks.length > 0),
  ),
)(
  'every command on $board in $document does what the document says',
  { timeout: 180_000 },
  async ({ board, blocks }, context) => {
    needsBoard(context, board);
    await runAll(blocks, () => startLab('held by a jig', [board]));
  },
);

/**
 * The reader stands in a clone; what the commands build there is built in a folder that goes away. What the document says
 * of boards is what the reader does, and has; else they have a lab.
 */
async function runAll(
  blocks: readonly Block[],
  startTheirLab: () => Promise<{ readonly env: NodeJS.ProcessEnv }>,
): Promise<void> {
  const folder = tempFolder();
  const clone = join(folder, 'clone');
  mkdirSync(clone);
  for (const entry of readdirSync(ROOT)) {
    if (!entry.startsWith('.')) symlinkSync(join(ROOT, entry), join(clone, entry));
  }
  const shell = blocks.find(({ kind }) => kind === 'shell');
  const { env } = shell ? await startShell(shell, clone, folder) : await startTheirLab();
  const ports = new Map<string, string>();
  for (const port of PORTS_IN_DOCUMENTS) ports.set(port, await freePort());
  for (const block of blocks.filter(({ kind }) => kind !== 'shell')) {
    const commands = [...ports].reduce((text, [port, free]) => text.replaceAll(port, free), block.commands);
    const outcome = await runCommand('bash', ['-eu', '-c', `${END_ALL}\n${commands}`], {
      env: { ...env, XDG_RUNTIME_DIR: folder, TMPDIR: folder },
      cwd: clone,
    });
    const said = `${block.name}\n${outcome.stdout}${outcome.stderr}`;
    if (block.kind === 'fails') expect([0, 126, 127], said).not.toContain(outcome.status);
    else expect(outcome.status, said).toBe(0);
  }
}

/** Does what the block says, and tells the environment of the shell that this ends in; it ends with the test. */
async function startShell(
  { name, commands }: Block,
  clone: string,
  folder: string,
): Promise<{ readonly env: NodeJS.ProcessEnv }> {
  const runDir = join(folder, 'run');
  mkdirSync(runDir);
  const inherited = Object.entries(process.env).filter(([variable]) => !/^(?:SAI|SIM)_/.test(variable));
  const shell = spawn('bash', ['-eu', '-c', commands], {
    cwd: clone,
    env: { ...Object.fromEntries(inherited), SAI_RUN_DIR: runDir, XDG_RUNTIME_DIR: folder },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = once(shell, 'exit');
  onTestFinished(async () => {
    shell.stdin.end();
    await ended;
  });
  const file = join(folder, 'environment');
  shell.stdin.write(`env -0 > '${file}' && echo typed && cat\n`);
  const [line] = (await Promise.race([once(createInterface(shell.stdout), 'line'), ended])) as unknown[];
  expect(line, `${name} starts a shell`).toBe('typed');
  const variables = readFileSync(file, 'utf8').split('\0').filter(Boolean);
  return { env: Object.fromEntries(variables.map((each) => each.split(/=(.*)/s, 2))) as NodeJS.ProcessEnv };
}
