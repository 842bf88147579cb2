'use strict';

const { existsSync, readFileSync } = require('node:fs');
const { createRequire, wrap } = require('node:module');
const { dirname, join } = require('node:path');
const { Script } = require('node:vm');

/** A bundle and its code cache both begin with the hash of the bundle: V8 itself compares no more than lengths. */
const STAMP_LENGTH = 20;

/** Runs a built command; a clone in which nothing is built yet says what to do, and ends with 69 (unavailable). */
module.exports = (command) => {
  const bundle = join(__dirname, '..', 'dist', `${command}.cjs`);
  if (!existsSync(bundle)) {
    process.stderr.write(
      `${command === 'cli' ? 'sai' : `sai-${command}`}: expected the built command ${bundle}, found none; run: npm run setup\n`,
    );
    process.exit(69);
  }
  runBundle(bundle);
};

module.exports.STAMP_LENGTH = STAMP_LENGTH;
module.exports.runBundle = runBundle;

/** V8 takes the cache of another architecture, and crashes: each has its own, and a package often that of one alone. */
const cacheFileOf = (bundle) => bundle.replace(/cjs$/, `${process.arch}.cache`);

/**
 * Runs a bundle in this process, as `require` would, but with what V8 compiled when the bundle was built: that is
 * a third of the start of a command. A cache of another Node.js, or of another build, is not used.
 */
function runBundle(bundle) {
  const source = readFileSync(bundle, 'latin1'); // esbuild writes ASCII
  const script = new Script(wrap(source), { filename: bundle, cachedData: cacheOf(bundle, source) });
  const main = { exports: {} };
  script.runInThisContext()(main.exports, createRequire(bundle), main, bundle, dirname(bundle));
  return script;
}

function cacheOf(bundle, source) {
  try {
    const cache = readFileSync(cacheFileOf(bundle));
    const isOfBundle = cache.latin1Slice(0, STAMP_LENGTH) === source.slice(0, STAMP_LENGTH);
    return isOfBundle ? cache.subarray(STAMP_LENGTH) : undefined;
  } catch {
    return undefined; // built without
  }
}
