import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { DutOnPty } from '../peers/dut-on-pty.ts';
import { Workplace } from '../peers/expect-command.ts';
import { needsProgram } from '../peers/needs.ts';

/** A certificate for 127.0.0.1 that nobody has signed but itself. */
function selfSigned(folder: string): { readonly key: string; readonly certificate: string } {
  const place = { key: join(folder, 'key.pem'), certificate: join(folder, 'certificate.pem') };
  const files = ['-keyout', place.key, '-out', place.certificate];
  const names = ['-subj', '/CN=lab', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  expect(spawnSync('openssl', ['req', ...kind, ...names, ...files]).status).toBe(0);
  return place;
}

test('a jig over https is trusted by the certificates that the start leaves aside', async (context) => {
  needsProgram(context, 'openssl');
  await using place = new Workplace();
  await using dut = new DutOnPty();
  const { key, certificate } = selfSigned(place.folder);
  const asked: string[] = [];
  const server = createServer(
    { key: readFileSync(key), cert: readFileSync(certificate) },
    (request, response) => {
      asked.push(request.url ?? '');
      response.end('{}');
    },
  );
  onTestFinished(() => void server.close());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  place.set('SAI_DEVICE_JIG', `https://127.0.0.1:${(server.address() as AddressInfo).port}/uno`);

  const step = ['--tty', dut.ttyPath, '--jig', 'reset'];
  const stranger = await place.run(...step);
  expect(stranger).toMatchObject({ status: 69 });
  expect(stranger.stderr[0]).toContain('self-signed certificate');
  place.set('SAI_CA', certificate); // what the start line makes of NODE_EXTRA_CA_CERTS
  expect(await place.run(...step)).toMatchObject({ status: 0, stderr: [] });
  expect(asked).toEqual(['/uno/reset?wait=30000ms&on-disconnect=abort']);
});
