import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { drawTicket, type TicketContent, TicketLine } from '../../src/device/ticket.ts';

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
  places: ['inode-1-1'],
  sinceMs: 1,
  command: 'true',
});

const requests = (before?: string): string[] =>
  new TicketLine(folder).living(before).map((ticket) => ticket.content.request);

test('tickets stand in the order in which they were drawn, and each sees who is in front', () => {
  using _first = drawTicket(folder, content('first'));
  const second = drawTicket(folder, content('second'));
  using third = drawTicket(folder, content('third'));
  expect(requests()).toEqual(['first', 'second', 'third']);
  expect(requests(third.name)).toEqual(['first', 'second']);
  second.withdraw();
  second.withdraw();
  expect(requests(third.name)).toEqual(['first']);
  expect(second.isThere()).toBe(false);
});

test('who comes after the end of the queue left stands behind who is still there', () => {
  using _first = drawTicket(folder, content('first'));
  drawTicket(folder, content('second')).withdraw();
  using _third = drawTicket(folder, content('third'));
  expect(requests()).toEqual(['first', 'third']);
});

test('a ticket that nobody holds is removed; what is no ticket is left alone', () => {
  writeFileSync(join(folder, '0000000001-1-dead'), JSON.stringify(content('dead')));
  writeFileSync(join(folder, 'wake'), '');
  writeFileSync(join(folder, '0000000002-x'), '');
  expect(requests()).toEqual([]);
  expect(readdirSync(folder).sort()).toEqual(['0000000002-x', 'wake']);
});

test('what does not count is said once, by whoever finds it first; what was taken back is not', () => {
  writeFileSync(
    join(folder, '0000000001-1-dead'),
    JSON.stringify({ ...content('dead'), user: 'ann\n\u001b[31m' }),
  );
  writeFileSync(join(folder, '0000000002-1-cut'), JSON.stringify(content('cut')).slice(0, -1));
  const withdrawn = drawTicket(folder, content('withdrawn'));
  const said: string[] = [];
  const line = new TicketLine(folder, (text) => said.push(text));
  expect(line.living()).toHaveLength(1);
  withdrawn.withdraw();
  expect(line.isAlive(withdrawn.name)).toBe(false);
  line.living();
  expect(said).toEqual([
    `queue: ignored ticket 0000000002-1-cut: it is not one of ours; remove ${folder}/0000000002-1-cut`,
    `queue: ignored ticket 0000000001-1-dead: its waiter (pid ${process.pid} of ann [31m, for dead) has ended`,
  ]);
});

test('a file with the last number pushes nobody out of the queue', () => {
  writeFileSync(join(folder, '9999999999-0-x'), '');
  using first = drawTicket(folder, content('first'));
  using second = drawTicket(folder, content('second'));
  expect(requests().sort()).toEqual(['first', 'second']);
  expect(requests([first.name, second.name].sort()[1])).toHaveLength(1);
});

test('a half-written ticket of a killed waiter is removed after a while, a fresh one is not', () => {
  for (const name of ['.0000000001-1-old', '.0000000001-1-new']) writeFileSync(join(folder, name), '');
  utimesSync(join(folder, '.0000000001-1-old'), 1, 1);
  using ticket = drawTicket(folder, content('any'));
  expect(readdirSync(folder).sort()).toEqual(['.0000000001-1-new', ticket.name]);
});

test('a queue that cannot be written to is said in one line', () => {
  rmSync(folder, { recursive: true });
  const refused = expect.objectContaining({ blame: 'unavailable' });
  expect(() => drawTicket(folder, content('any'))).toThrow(refused);
  expect(() => new TicketLine(folder).living()).toThrow(refused);
  writeFileSync(folder, '');
  expect(() => drawTicket(folder, content('any'))).toThrow(refused);
});
