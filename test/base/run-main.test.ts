import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { tempFolder } from '../temp-folder.ts';

/** Starts a command whose body is `body`; it may use RigError, Stopped and everything in its invocation. */
async function command(body: string): Promise<{
  child: ReturnType<typeof spawn>;
  ended: Promise<{ status: number | null; stdout: string; stderr: string }>;
}> {
  const outfile = join(tempFolder(), 'command.cjs');
  const contents = `
    import { RigError } from './errors.ts';
    import { runMain } from './run-main.ts';
    void runMain('sai-test', async ({ args, env, diagnostics, stop, print }) => { ${body} });`;
  await build({
    stdin: { contents, resolveDir: new URL('../../src/base', import.meta.url).pathname, loader: 'ts' },
    bundle: true,
    platform: 'node',
    target: 'node20.19',
    format: 'cjs',
    outfile,
  });
  const child = spawn(process.execPath, [outfile, 'one', 'two'], { stdio: ['ignore', 'pipe', 'pipe'] });
  const text = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => {
    text.stdout += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    text.stderr += chunk.toString();
  });
  const ended = once(child, 'close').then(([status]) => ({ status: status as number | null, ...text }));
  return { child, ended };
}

test('a command ends with the status that its body returns', async () => {
  const { ended } = await command("print(args.join(' ')); diagnostics.say('done'); return 3;");
  expect(await ended).toEqual({ status: 3, stdout: 'one two', stderr: 'sai-test: done\n' });
});

test.each([
  ['usage', 64],
  ['hardware', 74],
  ['busy', 75],
  ['config', 78],
  ['verdict', 1],
] as const)('a failure that %s is to blame for ends with %d and one line', async (blame, status) => {
  const { ended } = await command(`throw new RigError('${blame}', 'thing: expected a, found b');`);
  expect(await ended).toEqual({ status, stdout: '', stderr: 'sai-test: thing: expected a, found b\n' });
});

test('a body that fails, and cannot let go of what it held, tells both and ends with the status of its own failure', async () => {
  const { ended } = await command(`
    await using held = { [Symbol.asyncDispose]: async () => { throw new RigError('hardware', 'stuck') } };
    throw new RigError('verdict', 'thing: expected a, found b');`);
  const stderr = 'sai-test: thing: expected a, found b\nsai-test: stuck\n';
  expect(await ended).toEqual({ status: 1, stdout: '', stderr });
});

test.each(['body', 'letting go'])('a bug of the %s is one, whatever else failed', async (where) => {
  const [own, other] = ["new TypeError('oops')", "new RigError('busy', 'taken')"];
  const [first, second] = where === 'body' ? [own, other] : [other, own];
  const { ended } = await command(`
    await using held = { [Symbol.asyncDispose]: async () => { throw ${second} } };
    throw ${first};`);
  const { status, stderr } = await ended;
  expect(status).toBe(70);
  expect(stderr).toContain('please report it: TypeError: oops\n');
  expect(stderr).toContain('sai-test: taken\n');
});

test('anything else is our bug: status 70, with the stack', async () => {
  const { ended } = await command("throw new TypeError('oops');");
  const { status, stderr } = await ended;
  expect(status).toBe(70);
  expect(stderr).toMatch(/^sai-test: this is a bug in sai-rig, please report it: TypeError: oops\n\s+at /);
});

test.each([
  ['timer', "setTimeout(() => { throw new TypeError('oops'); }, 1);"],
  ['promise that nobody awaits', "void Promise.reject(new TypeError('oops'));"],
])('so is what is thrown in a %s: never status 1, which blames the firmware', async (_where, statement) => {
  const { ended } = await command(`${statement} setInterval(() => {}, 1000); await new Promise(() => {});`);
  const { status, stderr } = await ended;
  expect(status).toBe(70);
  expect(stderr).toMatch(/^sai-test: this is a bug in sai-rig, please report it: TypeError: oops\n\s+at /);
});

test('so is a body that waits for what cannot come: never status 0, which is a pass', async () => {
  const { ended } = await command('await new Promise(() => {}); return 0;');
  const { status, stderr } = await ended;
  expect(status).toBe(70);
  expect(stderr).toContain('please report it: Error: nothing is left to wait for\n');
});

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const)('told to stop by %s, a command cleans up first and then ends with %d', async (signal, status) => {
  const { child, ended } = await command(`
    const stopped = new Promise((resolve) => stop.addEventListener('abort', resolve));
    const busy = setInterval(() => {}, 1000);
    print('up');
    await stopped;
    clearInterval(busy);
    print(', cleaned up');
    stop.throwIfAborted();
    return 0;`);
  await once(child.stdout ?? child, 'data');
  child.kill(signal);
  expect(await ended).toEqual({ status, stdout: 'up, cleaned up', stderr: '' });
});

test('much output through a slow pipe arrives whole', async () => {
  const { ended } = await command("print('x'.repeat(1_000_000)); return 0;");
  const { status, stdout } = await ended;
  expect(status).toBe(0);
  expect(stdout.length).toBe(1_000_000);
});

test('a reader that went away is no failure', async () => {
  const { child, ended } = await command(
    "for (let i = 0; i < 1000; i++) print('x'.repeat(10_000)); return 0;",
  );
  child.stdout?.destroy();
  expect((await ended).status).toBe(0);
});
