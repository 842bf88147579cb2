#!/usr/bin/env node
// Runs a bundle with the arguments given, and writes what V8 compiled for it: code-cache.cjs BUNDLE CACHE [ARG...]

'use strict';

const { readFileSync, writeFileSync } = require('node:fs');
const { setFlagsFromString } = require('node:v8');
const { runBundle, STAMP_LENGTH } = require('../bin/load.js');

const [, , bundle, cache, ...args] = process.argv;
process.argv = [process.argv[0], bundle, ...args];
let script;
process.on('exit', () => {
  // V8 takes a cache only under the flags that it was made with, and a bundle may set these later (byte-regex.ts).
  setFlagsFromString('--no-enable-experimental-regexp-engine-on-excessive-backtracks');
  setFlagsFromString('--no-enable-experimental-regexp-engine');
  const stamp = readFileSync(bundle).subarray(0, STAMP_LENGTH);
  writeFileSync(cache, Buffer.concat([stamp, script.createCachedData()]));
});
script = runBundle(bundle);
