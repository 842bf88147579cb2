import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { tempFolder } from '../temp-folder.ts';

const ROOT = new URL('../..', import.meta.url).pathname;

/** Whether the linter takes `import … from target` in a file planted at `path` of a tree under our rules. */
function isAllowed(path: string, target: string): boolean {
  const tree = tempFolder();
  copyFileSync(join(ROOT, 'biome.json'), join(tree, 'biome.json'));
  mkdirSync(dirname(join(tree, path)), { recursive: true });
  writeFileSync(join(tree, path), `import { thing } from '${target}';\n\nthing();\n`);
  const biome = join(ROOT, 'node_modules/.bin/biome');
  const only = ['--only=style/noRestrictedImports', '--vcs-enabled=false'];
  const { status, stdout, stderr } = spawnSync(biome, ['lint', ...only, path], {
    cwd: tree,
    encoding: 'utf8',
  });
  const refused = stderr.includes('noRestrictedImports');
  expect(status, stdout + stderr).toBe(refused ? 1 : 0);
  return !refused;
}

test.each([
  ['src/device/lease.ts', '../base/errors.ts'],
  ['src/device/lease.ts', '../native/flock.ts'],
  ['src/device/lease.ts', '../findings/findings-file.ts'],
  ['src/expect/session.ts', '../tty/console.ts'],
  ['src/expect/session-results.ts', '../results/results-report.ts'],
  ['src/tty/tty-console.ts', '../native/termios.ts'],
  ['src/findings/findings-file.ts', '../wire/finding.ts'],
  ['src/expect/session.ts', '../logproxy/sender.ts'],
  ['src/logproxy/run-under-proxy.ts', '../findings/findings-file.ts'],
  ['src/logproxy/cli.ts', 'commander'],
  ['src/native/libc.ts', 'koffi'],
  ['src/tty/serial-console.ts', 'serialport'],
  ['src/device/cli.ts', 'commander'],
  ['src/virtual-lab/avr8js-chip.ts', 'avr8js'],
  ['src/jig/socket-chip.ts', '../sim-chip/sim-chip-client.ts'],
  ['src/expect/session.ts', '../jig-client/run-sequence.ts'],
  ['src/jig-client/run-sequence.ts', '../wire/jig.ts'],
  ['src/jig/event-socket.ts', 'ws'],
  ['src/device/state-lock.ts', 'proper-lockfile'],
  ['src/expect/lines-view.ts', '@serialport/parser-readline'],
])('%s may import %s', (path, target) => {
  expect(isAllowed(path, target)).toBe(true);
});

test.each([
  ['src/device/lease.ts', '../expect/session.ts', 'commands do not import each other'],
  ['src/expect/session.ts', '../virtual-lab/board.ts', 'commands do not import each other'],
  ['src/tty/tty-console.ts', '../expect/session.ts', 'shared parts know no command'],
  ['src/tty/tty-console.ts', '../findings/findings-file.ts', 'shared parts do not know each other'],
  ['src/results/results-report.ts', '../expect/session.ts', 'shared parts know no command'],
  ['src/logproxy/receiver.ts', '../expect/session.ts', 'shared parts know no command'],
  ['src/logproxy/sender.ts', '../tty/console.ts', 'it knows no tty'],
  ['src/logproxy/sender.ts', 'commander', 'only a cli.ts knows commander'],
  ['src/native/flock.ts', '../wire/env.ts', 'native knows only base'],
  ['src/jig/libgpiod-chip.ts', 'node-libgpiod', 'only its binding loads it'],
  ['src/wire/env.ts', '../base/errors.ts', 'the leaves do not know each other'],
  ['src/base/errors.ts', '../wire/env.ts', 'the leaves do not know each other'],
  ['src/native/flock.ts', 'koffi', 'one file calls C'],
  ['src/tty/tty-console.ts', 'serialport', 'one file per outside dependency'],
  ['src/expect/session.ts', '@serialport/parser-readline', 'one file per outside dependency'],
  ['src/device/lease.ts', 'commander', 'only a cli.ts knows commander'],
  ['src/base/validate.ts', 'yaml', 'one file per outside dependency'],
  ['src/jig/http-server.ts', 'ws', 'one file per outside dependency'],
  ['src/device/state.ts', 'proper-lockfile', 'one file per outside dependency'],
  ['src/jig/target.ts', '../virtual-lab/board.ts', 'commands do not import each other'],
  ['src/cli/jig.ts', '../jig/target.ts', 'commands do not import each other'],
  ['src/jig-client/run-sequence.ts', '../sim-chip/sim-chip-client.ts', 'shared parts do not know each other'],
])('%s may not import %s: %s', (path, target) => {
  expect(isAllowed(path, target)).toBe(false);
});
