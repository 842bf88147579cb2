import { connect } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type RecordedDrive, RecordingBoard } from '../peers/recording-board.ts';
import { type AskOptions, RunningJig } from '../peers/running-jig.ts';
import { seededRandom } from '../peers/seeded-random.ts';
import { tempFolder } from '../temp-folder.ts';

const TARGETS = 16;
const REQUESTS = 5000;
const CLIENTS = 48;

const names = Array.from({ length: TARGETS }, (_, index) => `t${index}`);
const ends = ['a', 'b', 'kept'];

function config(chip: string): object {
  return {
    targets: names.map((name) => ({
      name,
      gpios: ends.map((end) => ({ name: end, chip, line: `${name}.${end}`, safe: 0 })),
      sequences: [
        { name: 'a', seq: [{ pulse: 'a', for: 1 }] },
        {
          name: 'b',
          seq: [{ gpio_name: 'b', value: 1 }, { value: 3 }, { gpio_name: 'b', value: 0 }, { value: 1 }],
        },
        { name: 'keep', seq: [{ gpio_name: 'kept', value: 1 }] },
      ],
    })),
  };
}

/** A request and the answers that are right for it. */
interface Wish {
  readonly path: string;
  readonly options: AskOptions;
  readonly right: readonly number[];
}

test('whoever asks gets one answer, and no two sequences of a target ever overlap', {
  timeout: 60_000,
}, async () => {
  const random = seededRandom();
  const folder = tempFolder();
  const chip = join(folder, 'rack.chip');
  const board = new RecordingBoard(
    names.flatMap((name) => ends.map((end) => `${name}.${end}`)),
    [],
  );
  await using _server = await board.serve(chip);
  const jig = await RunningJig.start(folder, config(chip), '--quiet');
  const slow = slowLoris(jig.port);
  const statuses = new Map<number, number>();
  let left = REQUESTS;

  function wish(): Wish {
    const target = random.pick(names);
    const sequence = random.pick(['a', 'b', 'keep']);
    const kind = random.pick([
      'run',
      'run',
      'run',
      'wait',
      'wait',
      'hang up',
      'hang up and abort',
      'abort',
      'offer',
      'wrong',
    ]);
    switch (kind) {
      case 'run':
        return { path: `/${target}/${sequence}`, options: {}, right: [200, 409, 410] };
      case 'wait':
        return { path: `/${target}/${sequence}?wait=30s`, options: {}, right: [200, 410] };
      case 'hang up':
        return {
          path: `/${target}/${sequence}?wait=1s`,
          options: { hangUp: random.pause(4) },
          right: [0, 200, 410],
        };
      case 'hang up and abort':
        return {
          path: `/${target}/${sequence}?wait=1s&on-disconnect=abort`,
          options: { hangUp: random.pause(4) },
          right: [0, 200, 410],
        };
      case 'abort':
        return { path: `/targets/${target}/abort`, options: { method: 'POST' }, right: [200] };
      case 'offer':
        return {
          path: `/${target}/${sequence}`,
          options: { headers: { connection: 'upgrade', upgrade: 'h2c' } },
          right: [200, 409, 410],
        };
      default:
        return { path: `/${target}/nothing`, options: {}, right: [400] };
    }
  }

  async function client(): Promise<void> {
    while (left-- > 0) {
      const { path, options, right } = wish();
      const { status, count } = await jig.ask(path, options);
      expect(right, path).toContain(status);
      expect(count, path).toBe(status === 0 ? 0 : 1);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
  }
  await Promise.all(Array.from({ length: CLIENTS }, client));

  // Of each kind there was enough for the test to mean something.
  for (const status of [0, 200, 400, 409, 410])
    expect(statuses.get(status), `status ${status}`).toBeGreaterThan(20);
  expect(await slow).toEqual(['HTTP/1.1 408 Request Timeout', 'HTTP/1.1 408 Request Timeout']);
  expect(await jig.stop('SIGTERM')).toBe(143);
  expect(jig.stderr).toBe('');
  for (const name of names) {
    const drives = board.lines.history.filter(({ line }) => line.startsWith(`${name}.`));
    expect(overlapIn(drives), name).toBeUndefined();
    expect(lastOf(drives), name).toEqual({ a: [0, 'released'], b: [0, 'released'], kept: [0, 'released'] });
  }
});

/** The first time that one of a sequence's lines went up while another was up. */
function overlapIn(drives: readonly RecordedDrive[]): string | undefined {
  const up = new Set<string>();
  for (const [index, { line, drive }] of drives.entries()) {
    const end = line.split('.')[1];
    if (end === 'kept') continue;
    if (drive === 1 && up.size > 0) return `${index}: ${line} while ${[...up].join(', ')}`;
    if (drive === 1) up.add(line);
    else up.delete(line);
  }
  return undefined;
}

/** The last two things that were done to each line. */
function lastOf(drives: readonly RecordedDrive[]): Record<string, unknown> {
  return Object.fromEntries(
    ends.map((end) => [
      end,
      drives
        .filter(({ line }) => line.endsWith(`.${end}`))
        .slice(-2)
        .map(({ drive }) => drive),
    ]),
  );
}

/** Two clients that never finish their request: one in its headers, one in its body. First lines of their answers. */
async function slowLoris(port: number): Promise<string[]> {
  const beginnings = [
    'GET /t0/a HTTP/1.1\r\nhost: jig\r\nx-slow',
    'POST /t0/a HTTP/1.1\r\nhost: jig\r\ncontent-length: 10\r\n\r\n123',
  ];
  return await Promise.all(
    beginnings.map(
      (beginning) =>
        new Promise<string>((resolve) => {
          const socket = connect(port, '127.0.0.1');
          let text = '';
          socket.write(beginning);
          socket.on('data', (chunk) => {
            text += chunk.toString();
          });
          socket.on('error', () => {}); // `close` follows
          socket.once('close', () => resolve(text.split('\r\n')[0] ?? ''));
        }),
    ),
  );
}
