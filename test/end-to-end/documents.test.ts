import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { needsBoard, needsProgram } from '../peers/needs.ts';
import { ROOT, type RunningLab, runCommand, startLab } from '../peers/running-lab.ts';

/** Commands that these tests cannot start, and what does. */
const RUN_ELSEWHERE = new Map([
  ['npm run demo', 'test/end-to-end/demo.test.ts'],
  ['npm test', 'whoever runs this test'],
  ['npm run check', 'whoever checks a change; it would run this test again'],
]);

/** Documents whose reader has a jig that runs already. */
const NEEDS_JIG = new Set([
  'docs/expect.md',
  'examples/node-test-uno/README.md',
  'examples/uno-ctest/README.md',
  'examples/vitest-uno/README.md',
]);

/** The port that documents name; another test, or somebody else on this host, may be reading them too. */
const PORT_IN_DOCUMENTS = '44123';

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
  readonly fails: boolean;
}

/** Every fence marked `sh` (or `sh fails`, for a command that is meant to fail) in a document. */
function blocksOf(document: string): Block[] {
  const text = readFileSync(join(ROOT, document), 'utf8');
  return [...text.matchAll(/^```sh( fails)?\n(.*?)^```$/gms)].map((match) => {
    const line = text.slice(0, match.index).split('\n').length;
    const commands = (match[2] ?? '').split('\n').filter((command) => !RUN_ELSEWHERE.has(command));
    return {
      name: `${document}:${line}`,
      commands: commands.join('\n').trim(),
      fails: match[1] !== undefined,
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
  return EXTRA_BOARDS.find((board) => new RegExp(`\\b(?:sai-device|prepare) ${board}\\b`).test(commands));
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
    await runAll(blocks, await startLab(NEEDS_JIG.has(document) ? 'held by a jig' : 'free'));
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
    await runAll(blocks, await startLab('held by a jig', [board]));
  },
);

/** The reader stands in a clone; what the commands build there is built in a folder that goes away. */
async function runAll(blocks: readonly Block[], lab: RunningLab): Promise<void> {
  const clone = join(lab.folder, 'clone');
  await runCommand('mkdir', [clone], lab);
  for (const entry of readdirSync(ROOT)) {
    if (!entry.startsWith('.')) symlinkSync(join(ROOT, entry), join(clone, entry));
  }
  const port = await freePort();
  for (const block of blocks) {
    const commands = block.commands.replaceAll(PORT_IN_DOCUMENTS, port);
    const outcome = await runCommand('bash', ['-eu', '-c', commands], { env: lab.env, cwd: clone });
    const said = `${block.name}\n${outcome.stdout}${outcome.stderr}`;
    if (block.fails) expect([0, 126, 127], said).not.toContain(outcome.status);
    else expect(outcome.status, said).toBe(0);
  }
}
