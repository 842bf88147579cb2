import { spawnSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { tempFolder } from '../temp-folder.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const WIRING = join(ROOT, 'hardware/wiring');
const NAMES = readdirSync(WIRING)
  .filter((file) => file.endsWith('.jig.json'))
  .map((file) => file.replace('.jig.json', ''));

/** Source: Raspberry Pi documentation, GPIO, voltage specifications: the worst of BCM2711 and BCM2835/2837. */
const PI = { supplyVolts: 3.3, pullOhmsMin: 33_000, lowOhmsMax: 0.4 / 0.004, inputHighMinVolts: 2.0 };
/** Source: the same page: the greatest drive strength of BCM2711. */
const GREATEST_MILLIAMPERES = 8;
/** What hardware/wiring/README.md says of a line in normal use. */
const USUAL_MILLIAMPERES = 1;
/** Source: what hardware/wiring/README.md says of R4; the LED of a photo relay is an infrared one. */
const LED_VOLTS = 1.2;
/** Of the resistors, as its list of parts has them. */
const MOST = 1.05;
const LEAST = 0.95;

interface Parts {
  readonly circuit: string;
  readonly seriesOhms: number;
  readonly pullOhms: number;
  readonly ledOhms?: number;
  readonly boardPullOhms?: number;
  readonly lowMaxVolts?: number;
  readonly highMinVolts?: number;
  readonly source?: string;
}

function linesOf(name: string): [string, Parts][] {
  const { lines } = JSON.parse(readFileSync(join(WIRING, `${name}.wiring.json`), 'utf8')) as {
    lines: Record<string, Parts>;
  };
  return Object.entries(lines);
}

const allLines = NAMES.flatMap((name) => linesOf(name).map(([line, parts]) => ({ name, line, parts })));

/** Volts of a node between resistors to a source each. */
function node(...branches: readonly { readonly volts: number; readonly ohms: number }[]): number {
  const current = branches.reduce((sum, { volts, ohms }) => sum + volts / ohms, 0);
  return current / branches.reduce((sum, { ohms }) => sum + 1 / ohms, 0);
}

/** R2, and what the board has beside it, as strong as they come. */
function pullUps({ pullOhms, boardPullOhms }: Parts): { volts: number; ohms: number }[] {
  const board = boardPullOhms === undefined ? [] : [boardPullOhms];
  return [pullOhms, ...board].map((ohms) => ({ volts: PI.supplyVolts, ohms: ohms * LEAST }));
}

function run(program: string, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  return { status, stdout, stderr };
}

function draw(...args: string[]) {
  return run(process.execPath, join(ROOT, 'scripts/draw-wiring.mjs'), ...args);
}

/** A folder with a copy of one wiring, in which one text of one file is another. */
function folderWith(file: string, text: string, other: string): string {
  const folder = tempFolder();
  const [name] = file.split('.');
  for (const each of [`${name}.jig.json`, `${name}.wiring.json`, `${name}.svg`])
    cpSync(join(WIRING, each), join(folder, each));
  const path = join(folder, file);
  const before = readFileSync(path, 'utf8');
  expect(before).toContain(text);
  writeFileSync(path, before.replace(text, other));
  return folder;
}

test.each(NAMES)('sai-jig takes the config of %s', (name) => {
  const config = join(WIRING, `${name}.jig.json`);
  const { status, stdout, stderr } = run(join(ROOT, 'bin/sai-jig'), '--config', config, '--check', '--json');
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const { targets } = JSON.parse(stdout) as { targets: { lines: { name: string }[] }[] };
  const lines = targets.flatMap((target) => target.lines.map((line) => line.name));
  expect(lines.sort()).toEqual(
    linesOf(name)
      .map(([line]) => line)
      .sort(),
  );
});

test('every config has its parts and its drawing, and nothing else is there', () => {
  const expected = NAMES.flatMap((name) => [`${name}.jig.json`, `${name}.svg`, `${name}.wiring.json`]);
  expect(readdirSync(WIRING).sort()).toEqual([...expected, 'README.md', 'pin-map.svg'].sort());
});

test('the committed drawings are what is drawn', () => {
  const { status, stdout, stderr } = draw('--check');
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).toMatch(
    new RegExp(`^\\S*hardware/wiring: ${NAMES.length + 1} drawings, all up to date\\n$`),
  );
});

test('a folder of one drawing is drawn, with a map of the header of its own', () => {
  const folder = tempFolder();
  // With a comment and a default left out, as sai-jig takes it.
  const config = readFileSync(join(WIRING, 'esp32.jig.json'), 'utf8');
  writeFileSync(join(folder, 'mine.jig.json'), `# mine\n${config.replace('"drive": "push-pull",', '')}`);
  cpSync(join(WIRING, 'esp32.wiring.json'), join(folder, 'mine.wiring.json'));
  const stdout = `${folder}: 2 drawings, all written\n`;
  expect(draw(folder)).toEqual({ status: 0, stdout, stderr: '' });
  const drawn = readFileSync(join(folder, 'mine.svg'), 'utf8');
  expect(drawn).toBe(readFileSync(join(WIRING, 'esp32.svg'), 'utf8'));
  expect(readFileSync(join(folder, 'pin-map.svg'), 'utf8')).not.toContain('stm32-1');
});

test.each([
  [['--help'], 0, /^Usage: node scripts\/draw-wiring\.mjs \[--check\] \[FOLDER\]\n/],
  [['--chekc'], 64, /'--chekc'.*--help/],
  [['one', 'two'], 64, /expected one FOLDER, found one two/],
  [['/no/such/folder'], 1, /^draw-wiring: \/no\/such\/folder: expected a folder with NAME\.jig\.json/],
])('draw-wiring %j ends with %i, and says so', (args, wanted, said) => {
  const { status, stdout, stderr } = draw(...args);
  expect({ status, said: `${stdout}${stderr}` }).toEqual({
    status: wanted,
    said: expect.stringMatching(said),
  });
});

test.each([
  ['stale', 'esp32.wiring.json', '"seriesOhms": 470', '"seriesOhms": 471', /esp32\.svg: not what/],
  ['that is unsafe let go', 'stm32.jig.json', '"safe": 0', '"safe": 1', /reset\.safe: expected 0, found 1/],
  ['whose pin starts pulled up', 'imx.jig.json', '"offset": 16', '"offset": 7', /reset\.offset: expected/],
  ['of the serial console', 'power.jig.json', '"offset": 11', '"offset": 14', /expected a free GPIO/],
  [
    'that sai-jig refuses',
    'esp32.jig.json',
    '"pull-down"',
    '"pulldown"',
    /esp32\.jig\.json: .*\.bias: .*"pulldown"/,
  ],
  [
    'with a part missing',
    'esp32.wiring.json',
    '"rail"',
    '"rial"',
    /esp32-1\/reset: expected rail of its parts/,
  ],
  [
    'with a part too many',
    'imx.wiring.json',
    '"ledOhms"',
    '"ledohms"',
    /expected nothing else .* found ledohms/,
  ],
  ['without a resistor', 'rp2040.wiring.json', '"pullOhms": 10000', '"pullOhms": 0', /expected a resistor/],
  [
    'with texts on each other',
    'imx.wiring.json',
    '"title": "i.MX 6',
    `"title": "${'wide '.repeat(50)}`,
    /text/,
  ],
])('a drawing %s is refused', (_what, file, text, other, said) => {
  const { status, stderr } = draw('--check', folderWith(file, text, other));
  expect(status).toBe(1);
  expect(stderr).toMatch(said);
});

test('two configs of a folder that use the same pin are refused', () => {
  const folder = folderWith('nrf52.jig.json', '"offset": 13', '"offset": 22');
  for (const file of ['esp32.jig.json', 'esp32.wiring.json']) cpSync(join(WIRING, file), join(folder, file));
  const { status, stderr } = draw('--check', folder);
  expect(status).toBe(1);
  expect(stderr).toMatch(
    /^draw-wiring: nrf52: expected GPIO22 once, found esp32-1\/power and nrf52-1\/power\n$/,
  );
});

test.each(allLines.filter(({ parts }) => parts.circuit === 'open-drain'))(
  'pulled low, $name/$line is low, and let go it is high, whatever the Pi pulls',
  ({ parts }) => {
    const { supplyVolts, pullOhmsMin, lowOhmsMax } = PI;
    const low = node({ volts: 0, ohms: parts.seriesOhms * MOST + lowOhmsMax }, ...pullUps(parts));
    // Without the board's own: not every board has it.
    const high = node(
      { volts: 0, ohms: parts.seriesOhms * LEAST + pullOhmsMin },
      { volts: supplyVolts, ohms: parts.pullOhms * MOST },
    );
    expect(low).toBeLessThanOrEqual(parts.lowMaxVolts ?? 0);
    expect(high).toBeGreaterThanOrEqual(Math.max(parts.highMinVolts ?? 0, 0.8 * supplyVolts));
  },
);

test.each(allLines.filter(({ parts }) => parts.circuit === 'open-source'))(
  'driven, $name/$line is high, against a resistor of the board as well',
  ({ parts: { seriesOhms, pullOhms, boardPullOhms = Number.POSITIVE_INFINITY } }) => {
    const driven = node(
      { volts: PI.supplyVolts, ohms: seriesOhms * MOST + PI.lowOhmsMax },
      { volts: 0, ohms: pullOhms * LEAST },
      { volts: 0, ohms: boardPullOhms * LEAST },
    );
    expect(driven).toBeGreaterThanOrEqual(0.7 * PI.supplyVolts);
  },
);

test.each(allLines.filter(({ parts }) => parts.circuit === 'input'))(
  'the board, on, makes $name/$line high, with what protects the pin in the way',
  ({ parts: { seriesOhms, pullOhms } }) => {
    const seen = node(
      { volts: PI.supplyVolts, ohms: seriesOhms * MOST },
      { volts: 0, ohms: pullOhms * LEAST },
      { volts: 0, ohms: PI.pullOhmsMin },
    );
    expect(seen).toBeGreaterThanOrEqual(PI.inputHighMinVolts);
  },
);

test.each(allLines.filter(({ parts }) => /^(?:open-|input)/.test(parts.circuit)))(
  'a pin of the Pi that fights the board over $name/$line survives it',
  ({ parts: { seriesOhms } }) => {
    expect((1000 * PI.supplyVolts) / (seriesOhms * LEAST)).toBeLessThan(GREATEST_MILLIAMPERES);
  },
);

test.each(allLines)(
  'less than a milliampere flows between $name/$line and its pin, at work and when the Pi is off',
  ({ parts }) => {
    const series = parts.seriesOhms * LEAST;
    const ups = pullUps(parts).reduce((sum, { ohms }) => sum + 1 / ohms, 0);
    // A gate has its R2 alone, and an input is fed by the board through R1.
    const gate = parts.pullOhms * LEAST;
    const ohms = { 'open-drain': series + 1 / ups, 'open-source': series + 1 / ups, input: series };
    const least = ohms[parts.circuit as keyof typeof ohms] ?? gate;
    expect((1000 * PI.supplyVolts) / least).toBeLessThan(USUAL_MILLIAMPERES);
  },
);

test.each(allLines.filter(({ parts }) => parts.ledOhms !== undefined))(
  'the LED of the photo relay of $name/$line gets what hardware/wiring/README.md says of R4',
  ({ parts: { ledOhms = 0 } }) => {
    const milliamperes = (1000 * (5 - LED_VOLTS)) / ledOhms;
    expect(milliamperes).toBeGreaterThan(5);
    expect(milliamperes).toBeLessThan(10);
  },
);

test('what pulls low says how low the board wants it, and a limit of a board says where it comes from', () => {
  for (const { parts } of allLines) {
    const hasLimit = parts.lowMaxVolts !== undefined || parts.highMinVolts !== undefined;
    expect(hasLimit).toBe(parts.source !== undefined);
    if (parts.circuit === 'open-drain') expect(parts.lowMaxVolts).toBeDefined();
  }
});
