import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Standing } from '../../src/device/order.ts';
import { drawTicket, type OwnTicket, type TicketContent, TicketLine } from '../../src/device/ticket.ts';
import { wakeWaiters } from '../../src/device/wake.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ticket-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const content = (request: string): TicketContent => ({
  pid: process.pid,
  startTicks: 1,
  user: 'ann',
  request,
  wants: [[['inode-1-1']]],
  sinceMs: 1,
  command: 'true',
});

const draw = (of: TicketContent, priority = 5): OwnTicket => drawTicket(folder, priority, of);

const requests = (before?: Standing): string[] =>
  new TicketLine(folder).living(before).map((ticket) => ticket.content.request);

test('tickets stand in the order in which they were drawn, and each sees who is in front', () => {
  using _first = draw(content('first'));
  const second = draw(content('second'));
  using third = draw(content('third'));
  expect(requests()).toEqual(['first', 'second', 'third']);
  expect(requests(third.standing)).toEqual(['first', 'second']);
  second.withdraw();
  second.withdraw();
  expect(requests(third.standing)).toEqual(['first']);
  expect(second.isThere()).toBe(false);
});

test('who comes after the end of the queue left stands behind who is still there', () => {
  using _first = draw(content('first'));
  draw(content('second')).withdraw();
  using _third = draw(content('third'));
  expect(requests()).toEqual(['first', 'third']);
});

test('a ticket that nobody holds is removed; what is no ticket is left alone', () => {
  writeFileSync(join(folder, '0000000001-5-1-1-dead'), JSON.stringify(content('dead')));
  writeFileSync(join(folder, 'wake'), '');
  writeFileSync(join(folder, '0000000002-x'), '');
  expect(requests()).toEqual([]);
  expect(readdirSync(folder).sort()).toEqual(['0000000002-x', 'wake']);
});

test('what does not count is said once, by whoever finds it first; what was taken back is not', () => {
  writeFileSync(
    join(folder, '0000000001-5-1-1-dead'),
    JSON.stringify({ ...content('dead'), user: 'ann\n\u001b[31m' }),
  );
  writeFileSync(join(folder, '0000000002-5-1-1-cut'), JSON.stringify(content('cut')).slice(0, -1));
  const withdrawn = draw(content('withdrawn'));
  const said: string[] = [];
  const line = new TicketLine(folder, (text) => said.push(text));
  expect(line.living()).toHaveLength(1);
  withdrawn.withdraw();
  expect(line.isAlive(withdrawn.standing.name)).toBe(false);
  line.living();
  expect(said).toEqual([
    `queue: ignored ticket 0000000002-5-1-1-cut: it is not one of ours; remove ${folder}/0000000002-5-1-1-cut`,
    `queue: ignored ticket 0000000001-5-1-1-dead: its waiter (pid ${process.pid} of ann [31m, for dead) has ended`,
  ]);
});

test('a file with the last number pushes nobody out of the queue', () => {
  writeFileSync(join(folder, '9999999999-5-0-0-x'), '');
  using first = draw(content('first'));
  using second = draw(content('second'));
  expect(requests().sort()).toEqual(['first', 'second']);
  expect(
    requests([first.standing, second.standing].sort((a, b) => (a.name < b.name ? -1 : 1))[1]),
  ).toHaveLength(1);
});

test('a half-written ticket of a killed waiter is removed after a while, a fresh one is not', () => {
  for (const name of ['.0000000001-5-1-1-old', '.0000000001-5-1-1-new'])
    writeFileSync(join(folder, name), '');
  utimesSync(join(folder, '.0000000001-5-1-1-old'), 1, 1);
  using ticket = draw(content('any'));
  expect(readdirSync(folder).sort()).toEqual(['.0000000001-5-1-1-new', ticket.standing.name]);
});

test('a queue that cannot be written to is said in one line', () => {
  rmSync(folder, { recursive: true });
  const refused = expect.objectContaining({ blame: 'unavailable' });
  expect(() => draw(content('any'))).toThrow(refused);
  expect(() => new TicketLine(folder).living()).toThrow(refused);
  writeFileSync(folder, '');
  expect(() => draw(content('any'))).toThrow(refused);
});

describe('waking', () => {
  const wanting = (...claims: string[]): TicketContent => ({ ...content('any'), wants: [[claims]] });
  /** The names of those whose ticket was touched, which changes nothing in it. */
  const touchedBy = (wake: (line: TicketLine) => void, tickets: readonly OwnTicket[]): string[] => {
    const texts = tickets.map(({ path }) => readFileSync(path, 'utf8'));
    for (const { path } of tickets) utimesSync(path, 1, 1);
    wake(new TicketLine(folder));
    expect(tickets.map(({ path }) => readFileSync(path, 'utf8'))).toEqual(texts);
    return tickets.filter(({ path }) => statSync(path).mtimeMs > 1000).map(({ standing }) => standing.name);
  };

  test('reaches the first alone who wants one of the places', () => {
    using other = draw(wanting('z'));
    using first = draw(wanting('a', 'b'));
    using second = draw(wanting('b'));
    using urgent = draw(wanting('c', 'a'), 9);
    const all = [other, first, second, urgent];
    expect(touchedBy((line) => line.wakeFirst(['b']), all)).toEqual([first.standing.name]);
    expect(touchedBy((line) => line.wakeFirst(['a']), all)).toEqual([urgent.standing.name]);
    expect(touchedBy((line) => line.wakeFirst(['a', 'b'], first.standing), all)).toEqual([
      second.standing.name,
    ]);
    expect(touchedBy((line) => line.wakeFirst(['q']), all)).toEqual([]);
  });

  test('passes over a waiter that was killed, of which those who wait will tell', () => {
    const dead = '0000000000-5-1-1-dead';
    writeFileSync(join(folder, dead), JSON.stringify(wanting('a')));
    using living = draw(wanting('a'));
    expect(touchedBy((line) => line.wakeFirst(['a']), [living])).toEqual([living.standing.name]);
    expect(readdirSync(folder)).toContain(dead);
  });

  test('reaches everybody where nobody knows whom it concerns', () => {
    using one = draw(wanting('a'));
    using two = draw(wanting('b'));
    const runDir = { path: folder, leases: folder, queue: folder, state: folder };
    expect(touchedBy(() => wakeWaiters(runDir), [one, two])).toHaveLength(2);
    expect(() => wakeWaiters({ ...runDir, queue: join(folder, 'gone') })).not.toThrow();
  });
});
