// Writes its pid to stdout, and numbered lines to $SAI_LOGPROXY_TTY0 until nobody takes them.

import { writeSync } from 'node:fs';
import { connect } from 'node:net';

const LINES_A_WRITE = 200;

writeSync(1, `${process.pid}\n`);
const socket = connect(process.env.SAI_LOGPROXY_TTY0);
let line = 0;

function goOn() {
  const lines = Array.from({ length: LINES_A_WRITE }, (_, index) => String(line + index).padStart(9, '0'));
  line += LINES_A_WRITE;
  // Each write waits for the one before: fast, and not so fast that a test drowns in it.
  socket.write(`${lines.join('\n')}\n`, () => setImmediate(goOn));
}

socket.on('error', () => {}); // `close` follows
socket.on('close', () => process.exit(0));
socket.on('connect', goOn);
