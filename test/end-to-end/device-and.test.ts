import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Bench, type BenchDevice, guardsOf, SAI_DEVICE, type Started } from '../peers/bench.ts';
import { until } from '../until.ts';

const NESTED = `${process.execPath} ${SAI_DEVICE}`;

/** Ends when its input does. */
const HOLD = ['sh', '-c', 'echo up; exec cat'];

const NRF: BenchDevice = { name: 'nrf1', type: 'nrf52' };

/** Status of a command that found another one of its kind alive. */
const OVERLAP = 99;

const CROWD = 8;

/** Of the commands of a crowd, one after the other, on a busy machine. */
const PATIENCE_MS = 120_000;

function flockStatus(path: string | undefined): number | null {
  return spawnSync('flock', ['-n', path ?? '', 'true']).status;
}

async function hold(bench: Bench, ...args: string[]): Promise<Started> {
  const holder = bench.start([...args, ...HOLD]);
  await holder.prints(/up/);
  return holder;
}

describe('--and', () => {
  test('takes both, exports the second by its role, and frees both', async () => {
    await using bench = new Bench({}, { ...NRF, jig: { url: 'http://pi:44000', target: 'nrf' } });
    const [uno, nrf] = bench.boards;
    const script =
      'env | grep -E "^SAI_(DEVICE_(NAME|TTY)|PEER)" | sort; flock -n $SAI_PEER_TTY0 true; echo $?';
    const { status, stdout, stderr } = await bench.run(['--and', 'peer=nrf52', 'uno', 'sh', '-c', script], {
      SAI_PEER_TTY1: '/of/an/outer/lease',
    });
    expect({ status, stderr, lines: stdout.trim().split('\n') }).toEqual({
      status: 0,
      stderr: '',
      lines: [
        'SAI_DEVICE_NAME=uno1',
        `SAI_DEVICE_TTY0=${uno?.ttyPath}`,
        'SAI_PEER_JIG=http://pi:44000/nrf',
        'SAI_PEER_NAME=nrf1',
        `SAI_PEER_TTY0=${nrf?.ttyPath}`,
        'SAI_PEER_TYPE=nrf52',
        '1',
      ],
    });
    expect([uno, nrf].map((board) => flockStatus(board?.ttyPath))).toEqual([0, 0]);
    expect(bench.leftBehind()).toEqual([]);
  });

  test('gives two of one type to one request, and each its own', async () => {
    await using bench = new Bench({}, {});
    const script = 'echo $SAI_DEVICE_NAME $SAI_PEER_NAME $SAI_PEER_TTY0';
    const { stdout } = await bench.run(['--name', 'uno2', '--and', 'peer=uno', 'uno', 'sh', '-c', script]);
    expect(stdout).toBe(`uno2 uno1 ${bench.board.ttyPath}\n`);
  });

  test('says at once what is missing, and holds nothing of the rest', async () => {
    await using bench = new Bench({}, NRF, { name: 'esp1', type: 'esp32' });
    const nrf = await hold(bench, 'nrf52');
    const esp = await hold(bench, 'esp32');
    const all = ['--no-wait', '--and', 'peer=nrf52', '--and', 'AUX_2=esp32', 'uno', 'true'];
    const { status, stderr } = await bench.run(all);
    expect(status).toBe(75);
    expect(stderr).toMatch(
      new RegExp(
        `^sai-device: no free devices of type uno and peer=nrf52 and AUX_2=esp32: nrf1 is held by pid ${nrf.pid} .*; esp1 is held by pid ${esp.pid} .*\n$`,
      ),
    );
    const late = await bench.run(['-q', '--wait', '200ms', '--and', 'peer=nrf52', 'uno', 'true']);
    expect(late.stderr).toMatch(
      /^sai-device: no free devices of type uno and peer=nrf52 after 200 ms: nrf1 is held by pid \d+ .*\n$/,
    );
    expect(bench.leftBehind()).toHaveLength(2); // the leases of the two holders
    for (const each of [nrf, esp]) each.closeInput();
  });

  test('holds nothing while it waits, and has kept for it what comes free', async () => {
    await using bench = new Bench({}, NRF);
    const nrf = await hold(bench, 'nrf52');
    const both = bench.start(['--and', 'peer=nrf52', 'uno', ...HOLD]);
    await both.says(/waiting for devices of type uno and peer=nrf52, position 1: nrf1 is held by pid/);
    expect(flockStatus(bench.board.ttyPath)).toBe(0);
    expect(await bench.run(['--no-wait', 'uno', 'true'])).toMatchObject({
      status: 75,
      stderr: 'sai-device: no free device of type uno: uno1 is free, for those who came before\n',
    });
    const behind = bench.start(['uno', 'echo', 'ran']);
    await behind.says(/position 2: uno1 is free, for those who came before/);
    const urgent = await bench.run(['--no-wait', '--priority', '9', 'uno', 'echo', 'urgent']);
    expect(urgent).toMatchObject({ status: 0, stdout: 'urgent\n' });
    nrf.closeInput();
    await both.prints(/up/);
    await behind.says(new RegExp(`position 1: uno1 is held by pid ${both.pid} `));
    both.closeInput();
    expect((await behind.ended).stdout).toBe('ran\n');
    expect(bench.leftBehind()).toEqual([]);
  });

  test('keeps only as many as it needs', async () => {
    await using bench = new Bench({}, {}, NRF);
    const nrf = await hold(bench, 'nrf52');
    const both = bench.start(['--and', 'peer=nrf52', 'uno', 'true']);
    await both.says(/position 1/);
    expect((await bench.run(['--no-wait', 'uno', 'true'])).status).toBe(0);
    const other = await hold(bench, 'uno');
    expect((await bench.run(['--no-wait', 'uno', 'true'])).status).toBe(75);
    for (const each of [nrf, other]) each.closeInput();
    expect((await both.ended).status).toBe(0);
  });

  test('has nothing kept for it while the rest is not there to be had', async () => {
    await using bench = new Bench({}, {}, NRF);
    const nrf = await hold(bench, 'nrf52');
    const both = bench.start(['--and', 'peer=nrf52', '--name', 'uno1', 'uno', 'true']);
    await both.says(/position 1/);
    expect((await bench.run(['--quarantine', 'nrf1', '--reason', 'flashes badly'])).status).toBe(0);
    nrf.closeInput();
    await nrf.ended;
    expect(await bench.run(['--name', 'uno1', 'uno', 'echo', 'ran'])).toMatchObject({
      status: 0,
      stdout: 'ran\n',
    });
    expect((await bench.run(['--release', 'nrf1'])).status).toBe(0);
    expect((await both.ended).status).toBe(0);
  });

  test('says of what is free, and kept for it, only that', async () => {
    await using bench = new Bench({}, {});
    expect((await bench.run(['--quarantine', 'uno1', '--reason', 'flashes badly'])).status).toBe(0);
    const request = ['--and', 'peer=uno', 'uno', 'true'];
    const atOnce = await bench.run(['--no-wait', ...request]);
    expect(atOnce.stderr).toMatch(/: uno1 is quarantined by [^;]*; uno2 is free\n$/);
    const waiter = bench.start(request);
    await waiter.says(/position 1: uno1 is quarantined by [^;]*; uno2 is free\n/);
    expect((await bench.run(['--release', 'uno1'])).status).toBe(0);
    expect((await waiter.ended).status).toBe(0);
  });

  test('gives back what it got when a foreigner has the rest, and waits for that', async () => {
    await using bench = new Bench({}, NRF);
    const nrfPath = bench.boards[1]?.ttyPath ?? '';
    const foreigner = spawn('flock', [nrfPath, 'sh', '-c', 'echo up; cat'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    await once(foreigner.stdout, 'data');
    const both = bench.start(['--and', 'peer=nrf52', 'uno', 'true']);
    await both.says(/position 1: nrf1 is locked by process \d+/);
    expect(flockStatus(bench.board.ttyPath)).toBe(0);
    foreigner.stdin.end();
    expect((await both.ended).status).toBe(0);
  });

  test('lets the shortest maxLease count', async () => {
    await using bench = new Bench({}, { ...NRF, maxLease: '200ms' });
    const { status, stderr } = await bench.run(['--and', 'peer=nrf52', 'uno', 'sleep', '1000']);
    expect({ status, stderr }).toEqual({
      status: 75,
      stderr: 'sai-device: uno1: lease ended after 200 ms; allow more with --max-lease\n',
    });
  });

  test('names the one of them that goes away', async () => {
    await using bench = new Bench({}, NRF);
    const [, nrf] = bench.boards;
    const read = 'exec < $SAI_PEER_TTY0; echo up; cat';
    const both = bench.start(['--and', 'peer=nrf52', 'uno', 'sh', '-c', read]);
    await both.prints(/up/);
    bench.unplug(nrf);
    const { status, stderr } = await both.ended;
    expect(status).toBe(74);
    expect(stderr).toContain(
      `sai-device: nrf1: ${nrf?.ttyPath} went away during the lease; check cable and power\n`,
    );
  });

  test('takes a board that is reached through a probe alone', async () => {
    await using bench = new Bench();
    const probe = bench.file('probe');
    writeFileSync(probe, '');
    const uno = { name: 'uno1', type: 'uno', ttys: [bench.board.ttyPath] };
    bench.configure({ devices: [uno, { name: 'nrf1', type: 'nrf52', locks: [probe] }] });
    const script = `echo $SAI_PEER_NAME; flock -n ${probe} true; echo $?`;
    const { stdout } = await bench.run(['--and', 'peer=nrf52', 'uno', 'sh', '-c', script]);
    expect(stdout).toBe('nrf1\n1\n');
  });
});

describe('opposite wishes', () => {
  test(`of ${CROWD} at once are all served, one after the other`, { timeout: PATIENCE_MS }, async () => {
    await using bench = new Bench({}, NRF);
    const witness = bench.file('witness');
    const command = ['flock', '-n', '-E', String(OVERLAP), witness, 'sleep', '0.02'];
    const runs = Array.from({ length: CROWD }, (_, index) => {
      const wish = index % 2 === 0 ? ['--and', 'peer=nrf52', 'uno'] : ['--and', 'peer=uno', 'nrf52'];
      return bench.start(['-q', ...wish, ...command]);
    });
    const ended = await Promise.all(runs.map((run) => run.ended));
    expect(ended.map(({ status, stderr }) => ({ status, stderr }))).toEqual(
      runs.map(() => ({ status: 0, stderr: '' })),
    );
    expect(bench.leftBehind()).toEqual([]);
  });

  test('that overlap in a ring are all served, also with those who want one', {
    timeout: PATIENCE_MS,
  }, async () => {
    await using bench = new Bench({}, NRF, { name: 'esp1', type: 'esp32' });
    const types = ['uno', 'nrf52', 'esp32'];
    const wishes = types.flatMap((type, index) => [
      ['--and', `peer=${types[(index + 1) % types.length]}`, type],
      [type],
    ]);
    const runs = [...wishes, ...wishes].map((wish) => bench.start(['-q', ...wish, 'sleep', '0.02']));
    const ended = await Promise.all(runs.map((run) => run.ended));
    expect(ended.map(({ status }) => status)).toEqual(runs.map(() => 0));
    expect(bench.leftBehind()).toEqual([]);
  });
});

describe('SIGKILL', () => {
  test('to who waits for both frees what was kept for it', async () => {
    await using bench = new Bench({}, NRF);
    const nrf = await hold(bench, 'nrf52');
    const both = bench.start(['--and', 'peer=nrf52', 'uno', 'true']);
    await both.says(/position 1/);
    const behind = bench.start(['uno', 'echo', 'ran']);
    await behind.says(/position 2/);
    both.kill('SIGKILL');
    expect((await behind.ended).stdout).toBe('ran\n');
    nrf.closeInput();
  });

  test('to who has both ends the command, and both go to the next', async () => {
    await using bench = new Bench({}, NRF);
    const witness = bench.file('witness');
    const command = ['flock', '-n', '-E', String(OVERLAP), witness];
    const holder = bench.start(['--and', 'peer=nrf52', 'uno', ...command, 'sh', '-c', 'echo up; sleep 1000']);
    await holder.prints(/up/);
    await until(() => guardsOf(holder.pid).length === 1, 'the holder has a guard');
    const next = bench.start(['--and', 'peer=uno', 'nrf52', ...command, 'echo', 'ran']);
    await next.says(/position 1: nrf1 is held by pid \d+ .*; uno1 is held by pid \d+ /);
    holder.kill('SIGKILL');
    expect(await next.ended).toMatchObject({ status: 0, stdout: 'ran\n' });
    expect(bench.leftBehind()).toEqual([]);
  });
});

describe('under a lease', () => {
  test('of both, the same request joins, and so does one for either', async () => {
    await using bench = new Bench({}, NRF);
    const script = `${NESTED} --and peer=nrf52 uno sh -c 'echo $SAI_DEVICE_NAME $SAI_PEER_NAME'; ${NESTED} nrf52 sh -c 'echo $SAI_DEVICE_NAME'`;
    const { status, stdout, stderr } = await bench.run(['--and', 'peer=nrf52', 'uno', 'sh', '-c', script]);
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: 'uno1 nrf1\nnrf1\n', stderr: '' });
  });

  test('of one, a request for both is refused at once, for it would wait for itself', async () => {
    await using bench = new Bench({}, NRF);
    const { status, stderr } = await bench.run([
      'uno',
      'sh',
      '-c',
      `${NESTED} --and peer=nrf52 uno echo ran`,
    ]);
    expect(status).toBe(75);
    expect(stderr).toMatch(
      /^sai-device: devices of type uno and peer=nrf52: too few are left beside those held by a sai-device that this command runs under: uno1 by pid \d+ \(.*\); none of these can come free while this command runs\n/,
    );
  });

  test('nobody waits for a device that is kept for who waits for the lease itself', async () => {
    await using bench = new Bench({}, NRF);
    const script = `echo up; read go; exec ${NESTED} -q uno echo ran`;
    const outer = bench.start(['nrf52', 'sh', '-c', script]);
    await outer.prints(/up/);
    const both = bench.start(['--and', 'peer=nrf52', 'uno', 'echo', 'both']);
    await both.says(/position 1/);
    outer.type('go\n');
    expect((await outer.ended).stdout).toBe('up\nran\n');
    expect((await both.ended).stdout).toBe('both\n');
  });
});

describe('what can never be had ends at once', () => {
  test.each([
    [['--and', 'peer=esp32', 'uno'], 78, /unknown device type "esp32"; types: uno/],
    [
      ['--and', 'peer=uno', '--and', 'third=uno', 'uno'],
      78,
      /conf: expected devices of type uno and peer=uno and third=uno, each one of its own, found none left for uno: there are uno1, uno2; ask for fewer, or add a device\n/,
    ],
    [['--and', 'uno', 'uno'], 64, /--and: expected ROLE=TYPE, such as peer=nrf52/],
    [['--and', '9=uno', 'uno'], 64, /--and: expected ROLE=TYPE/],
    [['--and', 'peer=uno', '--and', 'PEER=uno', 'uno'], 64, /expected each role once, got PEER again/],
    [['--and', 'device=uno', 'uno'], 64, /expected a role of your own, got device: SAI_DEVICE_… means/],
    [['--and', 'jig=uno', 'uno'], 64, /expected a role of your own, got jig/],
    [['--and', 'logproxy_x=uno', 'uno'], 64, /expected a role of your own, got logproxy_x/],
    [['--priority', '10', 'uno'], 64, /--priority: expected a digit from 0 to 9, got "10"/],
    [['--priority', '-1', 'uno'], 64, /--priority/],
  ])('%j', async (args, status, line) => {
    await using bench = new Bench({}, {});
    const ended = await bench.run([...args, 'true']);
    expect(ended.status).toBe(status);
    expect(ended.stderr).toMatch(line);
    expect(ended.stderr.split('\n')).toHaveLength(2);
  });
});
