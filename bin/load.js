'use strict';

const { existsSync } = require('node:fs');
const { join } = require('node:path');

/** Runs a built command; a clone in which nothing is built yet says what to do, and ends with 69 (unavailable). */
module.exports = (command) => {
  const bundle = join(__dirname, '..', 'dist', `${command}.cjs`);
  if (!existsSync(bundle)) {
    process.stderr.write(
      `${command === 'cli' ? 'sai' : `sai-${command}`}: expected the built command ${bundle}, found none; run: npm run setup\n`,
    );
    process.exit(69);
  }
  require(bundle);
};
