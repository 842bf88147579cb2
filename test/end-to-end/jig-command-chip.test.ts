import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { RunningJig } from '../peers/running-jig.ts';
import { ROOT, runCommand } from '../peers/running-lab.ts';
import { tempFolder } from '../temp-folder.ts';
import { until } from '../until.ts';

interface Bench {
  readonly folder: string;
  readonly config: object;
  /** What each relay was told, in order. */
  told(): string[];
}

/** A relay board: `relay NAME LEVEL` remembers; `slow 1` takes for ever. */
function bench(): Bench {
  const folder = tempFolder();
  const relay = join(folder, 'relay');
  const log = join(folder, 'log');
  writeFileSync(
    relay,
    `#!/bin/sh\necho "$1=$2" >> ${log}\ncase $1$2 in slow1) echo $$ > ${folder}/slow.pid; exec sleep 1000 ;; bad1) exit 4 ;; esac\n`,
  );
  chmodSync(relay, 0o755);
  const line = (name: string): object => ({
    high: [relay, name, '1'],
    low: [relay, name, '0'],
    release: [relay, name, 'z'],
  });
  const names = ['power', 'slow', 'bad'];
  const config = {
    chips: {
      relays: {
        kind: 'command',
        within: '6s',
        lines: Object.fromEntries(names.map((name) => [name, line(name)])),
      },
    },
    targets: names.map((name) => ({
      name,
      gpios: [{ name: 'relay', chip: 'relays', line: name }],
      sequences: [{ name: 'on', seq: [{ gpio_name: 'relay', value: 1 }] }],
    })),
  };
  const told = (): string[] => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []);
  return { folder, config, told };
}

test('relays are safe at the start and let go of at the end, and their failures are those of the rig', async () => {
  const { folder, config, told } = bench();
  const jig = await RunningJig.start(folder, config);
  expect(told().sort()).toEqual(['bad=0', 'power=0', 'slow=0']);
  expect((await jig.ask('/power/on')).status).toBe(200);
  expect(told().at(-1)).toBe('power=1');
  expect(await jig.ask('/slow/on')).toMatchObject({ status: 503, body: { code: 'peer-unavailable' } });
  expect(told().at(-1)).toBe('slow=0');
  const relay = join(folder, 'relay');
  expect(await jig.ask('/bad/on')).toEqual({
    count: 1,
    status: 503,
    body: {
      error: `bad: chip relays: bad: ${relay} bad 1: expected status 0, got 4: it said nothing`,
      code: 'line-unavailable',
    },
  });
  expect((await jig.ask('/healthz')).status).toBe(200);
  const before = told().length;
  expect(await jig.stop('SIGTERM')).toBe(143);
  const names = ['power', 'slow', 'bad'];
  expect(told().slice(before).sort()).toEqual(names.flatMap((name) => [`${name}=0`, `${name}=z`]).sort());
});

test('relays keep what a killed jig told them until sai-jig --safe', async () => {
  const { folder, config, told } = bench();
  const jig = await RunningJig.start(folder, config);
  expect((await jig.ask('/power/on')).status).toBe(200);
  const held = jig.ask('/slow/on');
  const pidFile = join(folder, 'slow.pid');
  await until(() => existsSync(pidFile) && readFileSync(pidFile, 'utf8') !== '', 'a command runs');
  const before = told().length;
  await jig.stop('SIGKILL');
  expect((await held).count).toBe(0);
  // systemd ends what a killed service leaves, before ExecStopPost.
  process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGKILL');
  expect(told().slice(before)).toEqual([]);
  const args = ['--config', join(folder, 'jig.json'), '--safe'];
  expect(await runCommand(join(ROOT, 'bin/sai-jig'), args, { env: process.env })).toMatchObject({
    status: 0,
  });
  expect(told().slice(before)).toContain('power=0');
  expect(told().slice(before)).toContain('slow=0');
});

test.each([
  { why: 'a chip that is not there', args: ['--port', '0'], chip: { chip_index: 99, offset: 1 } },
  { why: 'a relay that refuses', args: ['run', 'power/on'], chip: undefined },
])('$why decides the status, also where a relay cannot be let go of', async ({ args, chip }) => {
  const folder = tempFolder();
  const lines = { power: { high: ['false'], low: ['true'], release: ['false', 'stuck'] } };
  const relay = { name: 'relay', chip: 'relays', line: 'power' };
  const config = join(folder, 'jig.json');
  const targets = [
    {
      name: 'power',
      gpios: [relay],
      sequences: [{ name: 'on', seq: [{ gpio_name: 'relay', value: 1 }] }],
    },
    ...(chip ? [{ name: 'other', gpios: [{ name: 'line', ...chip }], sequences: [] }] : []),
  ];
  writeFileSync(
    config,
    JSON.stringify({ schema: 'sai-jig', chips: { relays: { kind: 'command', lines } }, targets }),
  );
  const outcome = await runCommand(join(ROOT, 'bin/sai-jig'), ['--config', config, ...args], {
    env: process.env,
  });
  expect(outcome.status).toBe(69);
  expect(outcome.stderr).toContain(
    'sai-jig: cannot let go of a line: chip relays: power: false stuck: expected status 0, got 1: it said nothing\n',
  );
  expect(outcome.stderr).not.toContain('bug');
});
