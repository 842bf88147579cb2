// Runs in the guest for GPIO tests, with the guest's own kernel and the host's files: does what gpio-guest.ts asks.
//
// A line of JSON each way. Asked: {id, run, args, env, cwd}, {id, signal}; answered: {id, stdout} and {id, stderr} in
// base64 as they come, {id, status, signal} at the end. Files need no orders of their own: cat and tee do.

import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';

const [host, port] = process.argv[2].split(':');
const link = connect(Number(port), host);
const children = new Map();

createInterface(link).on('line', (line) => {
  const asked = JSON.parse(line);
  if (asked.signal) children.get(asked.id)?.kill(asked.signal);
  else if (asked.input !== undefined) children.get(asked.id)?.stdin.end(Buffer.from(asked.input, 'base64'));
  else run(asked);
});
// The test has gone: so does the machine.
link.on('close', () => process.exit(0));
link.on('error', (error) => process.stderr.write(`guest: ${error.message}\n`));

function run({ id, run: program, args, env, cwd }) {
  const child = spawn(program, args, { cwd, env: { ...process.env, ...env } });
  children.set(id, child);
  child.stdin.on('error', () => {}); // it did not want it
  for (const name of ['stdout', 'stderr']) {
    child[name].on('data', (chunk) => answer({ id, [name]: chunk.toString('base64') }));
  }
  child.on('error', (error) =>
    answer({ id, stderr: Buffer.from(error.message).toString('base64'), status: 127 }),
  );
  child.on('close', (status, signal) => {
    children.delete(id);
    answer({ id, status, signal });
  });
}

function answer(message) {
  link.write(`${JSON.stringify(message)}\n`);
}
