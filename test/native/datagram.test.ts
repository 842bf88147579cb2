import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { sendDatagram } from '../../src/native/datagram.ts';
import { needsProgram } from '../peers/needs.ts';
import { tempFolder } from '../temp-folder.ts';
import { until } from '../until.ts';

async function receiver(address: string): Promise<{ child: ChildProcess; text: () => string }> {
  const child = spawn('socat', ['-u', address, '-'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  onTestFinished(async () => {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'close');
  });
  return { child, text: () => text };
}

test('a datagram arrives at the socket of a path, and at an abstract one', async (context) => {
  needsProgram(context, 'socat');
  const path = join(tempFolder(), 'notify');
  const ofPath = await receiver(`UNIX-RECV:${path}`);
  await until(() => existsSync(path), 'it listens');
  sendDatagram(path, 'READY=1\n');
  const name = `sai-test-${process.pid}`;
  const abstract = await receiver(`ABSTRACT-RECV:${name}`);
  await until(() => readFileSync('/proc/net/unix', 'utf8').includes(`@${name}\n`), 'it listens');
  sendDatagram(`@${name}`, 'READY=2\n');
  await until(() => ofPath.text() === 'READY=1\n', 'the first arrives');
  await until(() => abstract.text() === 'READY=2\n', 'the second arrives');
});

test('a datagram for nobody, and an address that is too long, are errors', () => {
  const path = join(tempFolder(), 'none');
  expect(() => sendDatagram(path, 'x')).toThrow(expect.objectContaining({ code: 'ENOENT' }));
  expect(() => sendDatagram('@sai-test-nobody', 'x')).toThrow(
    expect.objectContaining({ code: 'ECONNREFUSED' }),
  );
  expect(() => sendDatagram(`/${'x'.repeat(107)}`, 'x')).toThrow(/expected at most 107 bytes/);
});
