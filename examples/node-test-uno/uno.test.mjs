import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ExpectationError, openConsole } from 'sai-rig/expect';

test('the board starts, answers, and says no more than it was asked', async (t) => {
  const console = await openConsole('0', { timeoutMs: 10_000 });
  t.after(() => console.release());
  await console.jig('reset');
  await console.expect('> ');

  await console.line('version');
  const { groups } = await console.expect(/^sai-uno (\d+)\.\d+\.\d+/);
  assert.equal(groups[1], '1');

  await console.expect('> ');
  await assert.rejects(console.expect('unasked', { timeoutMs: 200 }), ExpectationError);
});
