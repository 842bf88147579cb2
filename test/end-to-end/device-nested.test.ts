import { spawnSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Bench, SAI_DEVICE } from '../peers/bench.ts';
import { needsProgram, needsRoot } from '../peers/needs.ts';
import { reachableSaiDevice } from '../peers/reachable-commands.ts';

const NESTED = `${process.execPath} ${SAI_DEVICE}`;

const inside = (script: string): string[] => ['sh', '-c', script];

test('under a lease that would do, a sai-device runs its command at once in that lease', async () => {
  await using bench = new Bench({ compatible: 'arduino' });
  const script = `echo $SAI_DEVICE_LEASE; ${NESTED} arduino PORT=0 sh -c 'echo $SAI_DEVICE_LEASE; echo $PORT; exit 9'`;
  const { status, stdout, stderr } = await bench.run(['uno', ...inside(script)]);
  const [outer, inner, port] = stdout.split('\n');
  expect({ status, stderr, inner, port }).toEqual({
    status: 9,
    stderr: '',
    inner: outer,
    port: bench.board.ttyPath,
  });
});

test('a lease joins itself without a config, as in a container that has none', async () => {
  await using bench = new Bench();
  const script = `SAI_DEVICES_CONF=/no/such/file ${NESTED} uno echo joined`;
  expect(await bench.run(['uno', ...inside(script)])).toMatchObject({ status: 0, stdout: 'joined\n' });
});

test('a command that became another user joins its lease too, though its folder is closed to that user', async (context) => {
  needsRoot(context, 'to become another user');
  needsProgram(context, 'setpriv');
  await using bench = new Bench();
  chmodSync(bench.folder, 0o755);
  const nobody = 'setpriv --reuid=65534 --regid=65534 --clear-groups';
  const script = `${nobody} ${process.execPath} ${reachableSaiDevice()} --wait 1s uno id -u`;
  expect(await bench.run(['uno', ...inside(script)])).toMatchObject({ status: 0, stdout: '65534\n' });
});

test('--new takes another device of the type', async () => {
  await using bench = new Bench({}, {});
  const script = `echo $SAI_DEVICE_NAME; ${NESTED} --new uno sh -c 'echo $SAI_DEVICE_NAME'; echo $SAI_DEVICE_NAME`;
  const { status, stdout } = await bench.run(['uno', ...inside(script)]);
  expect({ status, stdout }).toEqual({ status: 0, stdout: 'uno1\nuno2\nuno1\n' });
  expect(bench.leftBehind()).toEqual([]);
});

test('a device that only a lease of its own ancestors has is refused at once, for it cannot come free', async () => {
  await using bench = new Bench({}, { name: 'esp1', type: 'esp32' });
  const deepest = `${NESTED} uno echo ran`;
  const { status, stderr } = await bench.run(['uno', ...inside(`${NESTED} esp32 ${deepest}`)]);
  expect(status).toBe(75);
  expect(stderr).toMatch(
    /^sai-device: every device of type uno is held by a sai-device that this command runs under: uno1 by pid \d+ \(.*\); it cannot come free while this command runs\n/,
  );
  const own = await bench.run(['uno', ...inside(`${NESTED} --new uno echo ran`)]);
  expect(own.status).toBe(75);
});

test('the mark of a lease that is over is no lease', async () => {
  await using bench = new Bench();
  const { stdout } = await bench.run(['uno', ...inside('echo $SAI_DEVICE_LEASE')]);
  const again = await bench.run(['uno', ...inside('echo $SAI_DEVICE_LEASE')], {
    SAI_DEVICE_LEASE: stdout.trim(),
  });
  expect(again.status).toBe(0);
  expect(again.stdout).not.toBe(stdout);
});

test('the end of an outer lease ends the inner one, and both devices are free', async () => {
  await using bench = new Bench({}, { name: 'esp1', type: 'esp32' });
  const outer = bench.start(['uno', ...inside(`${NESTED} esp32 sh -c 'echo up; sleep 1000'`)]);
  await outer.prints(/up/);
  outer.kill('SIGTERM');
  expect((await outer.ended).status).toBe(143);
  const listed = (await bench.run(['--list', '--json'])).stdout.trim().split('\n');
  expect(listed.map((line) => (JSON.parse(line) as { state: string }).state)).toEqual(['free', 'free']);
  expect(bench.leftBehind()).toEqual([]);
});

test('a signal to the outermost sai-device reaches the innermost command once', async () => {
  await using bench = new Bench({}, { name: 'esp1', type: 'esp32' });
  const program = bench.file('program.cjs');
  // Two deliveries that come together would be one: so it counts for a while, and is told to end by a file.
  const script = `
    for (const name of ['SIGUSR1', 'SIGTERM']) process.on(name, () => console.log(name));
    setInterval(() => require('node:fs').existsSync('${bench.file('end')}') && process.exit(0), 20);
    console.log('up');`;
  writeFileSync(program, script);
  const joined = `exec ${NESTED} esp32 ${process.execPath} ${program}`;
  const outer = bench.start(['uno', ...inside(`exec ${NESTED} esp32 sh -c '${joined}'`)]);
  await outer.prints(/up/);
  outer.kill('SIGUSR1');
  await outer.prints(/SIGUSR1/);
  outer.kill('SIGTERM');
  await outer.prints(/SIGTERM/);
  spawnSync('sleep', ['0.5']); // the time in which a second one would come
  writeFileSync(bench.file('end'), '');
  expect(await outer.ended).toMatchObject({ status: 143, stdout: 'up\nSIGUSR1\nSIGTERM\n' });
});
