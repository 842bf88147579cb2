#!/usr/bin/env node
// Draws NAME.svg from the lines of NAME.jig.json and the parts of NAME.wiring.json, and pin-map.svg from all of them.
// Refuses wiring whose level, once the jig is gone, is not the safe one; `--help` says how it is called.

import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { BOARD_LEFT, boardPin, CIRCUITS, PI_RIGHT } from './wiring-circuits.mjs';
import { Sheet } from './wiring-shapes.mjs';

const OUR_FOLDER = fileURLToPath(new URL('../hardware/wiring', import.meta.url));
const SAI_JIG = fileURLToPath(new URL('../bin/sai-jig', import.meta.url));

const HELP = `Usage: node scripts/draw-wiring.mjs [--check] [FOLDER]

Draws FOLDER (hardware/wiring when left out): for each NAME.jig.json, which sai-jig takes, and NAME.wiring.json, the
parts between the Pi and the board, NAME.svg; and pin-map.svg, the header with all of them. Each pin is used once.

Options:
  --check     write nothing; status 1 when a drawing is not what would be written
  -h, --help  this text

Exit status: 0; 1 a config, its parts or a drawing is wrong; 64 usage.
`;
const USAGE_STATUS = 64;

const TOP = 50;

/** Header pin of each GPIO. Source: Raspberry Pi documentation, GPIO and the 40-pin header. */
const HEADER_PIN = [
  27, 28, 3, 5, 7, 29, 31, 26, 24, 21, 19, 23, 32, 33, 8, 10, 36, 11, 12, 35, 38, 40, 15, 16, 18, 22, 37, 13,
];
const GROUND_PINS = [6, 9, 14, 20, 25, 30, 34, 39];
const SUPPLY_PINS = new Map([
  [1, '3.3 V'],
  [2, '5 V'],
  [4, '5 V'],
  [17, '3.3 V'],
]);
/** What a jig leaves alone: the EEPROM of a HAT, two pins with pull-ups of their own, the serial console. */
const LEFT_ALONE = new Map([
  [0, 'EEPROM'],
  [1, 'EEPROM'],
  [2, '1.8 kΩ to 3.3 V'],
  [3, '1.8 kΩ to 3.3 V'],
  [14, 'UART TX'],
  [15, 'UART RX'],
]);
/** As configs say what sai-jig calls so. */
const SAFE = { inactive: 0, active: 1, released: 'release' };
/** From here on a pin is pulled down until something drives it. Source: hardware/wiring/README.md, 3. */
const FIRST_PULLED_DOWN = 9;

/** The drawings by file name. @throws what is wrong with a wiring */
async function drawings(folder) {
  const names = namesIn(folder);
  const configs = await Promise.all(names.map((name) => linesOf(join(folder, `${name}.jig.json`))));
  const made = new Map();
  const uses = new Map();
  for (const [index, name] of names.entries()) {
    const wiring = readWiring(folder, name);
    const rows = configs[index] ?? [];
    for (const row of rows) {
      check(row, wiring, name);
      const use = `${row.target}/${row.line.name}`;
      const other = uses.get(row.line.offset);
      if (other) throw new Error(`${name}: expected GPIO${row.line.offset} once, found ${other} and ${use}`);
      uses.set(row.line.offset, use);
    }
    const spare = Object.keys(wiring.lines).filter((each) => !rows.some(({ line }) => line.name === each));
    if (spare.length > 0)
      throw new Error(`${name}: expected parts for lines of the config only, found ${spare}`);
    made.set(`${name}.svg`, drawBoard(wiring, rows));
  }
  made.set('pin-map.svg', drawPinMap(uses));
  return made;
}

function namesIn(folder) {
  const isFolder = statSync(folder, { throwIfNoEntry: false })?.isDirectory();
  const files = isFolder ? readdirSync(folder).sort() : [];
  const names = files.filter((file) => file.endsWith('.jig.json')).map((file) => file.slice(0, -9));
  if (names.length === 0)
    throw new Error(`${folder}: expected a folder with NAME.jig.json and NAME.wiring.json in it, found none`);
  const lone = files.find((file) => /\.wiring\.json$/.test(file) && !names.includes(file.slice(0, -12)));
  if (lone) throw new Error(`${lone}: expected ${lone.slice(0, -12)}.jig.json beside it, found none`);
  return names;
}

/** What sai-jig makes of a config: defaults filled in, mistakes told as it tells them. */
async function linesOf(config) {
  const args = [SAI_JIG, '--config', config, '--backend', 'simulated', '--check', '--json'];
  const { targets } = JSON.parse(await outputOf(process.execPath, args));
  return targets.flatMap(({ name: target, lines }) =>
    lines.map(({ name, at, activeLow, output }) => {
      const direction = output ? 'out' : 'in';
      const line = { name, offset: at, direction, activeLow, drive: output?.mode, safe: SAFE[output?.safe] };
      return { target, line };
    }),
  );
}

function outputOf(program, args) {
  return new Promise((resolve, reject) => {
    execFile(program, args, (error, stdout, stderr) => {
      if (error) reject(new Error(stderr.trim().replaceAll(/^sai-jig: /gm, '') || error.message));
      else resolve(stdout);
    });
  });
}

function readWiring(folder, name) {
  const file = `${name}.wiring.json`;
  if (!existsSync(join(folder, file)))
    throw new Error(`${file}: expected the parts of ${name}.jig.json, found no such file`);
  let wiring;
  try {
    wiring = JSON.parse(readFileSync(join(folder, file), 'utf8'));
  } catch (error) {
    throw new Error(`${file}: ${error.message}`);
  }
  for (const key of ['title', 'board', 'lines'])
    if (!wiring[key]) throw new Error(`${file}: expected a ${key}, found none`);
  if (!GROUND_PINS.includes(wiring.ground))
    throw new Error(`${file}: ground: expected a ground pin, found ${wiring.ground}`);
  return wiring;
}

function check({ target, line }, { lines }, name) {
  const where = `${name}: ${target}/${line.name}`;
  const parts = lines[line.name];
  const circuit = parts && CIRCUITS[parts.circuit];
  if (!circuit) throw new Error(`${where}: expected a circuit, one of ${Object.keys(CIRCUITS).join(', ')}`);
  for (const [key, wanted] of Object.entries(circuit.wants)) {
    if (line[key] !== wanted) throw new Error(`${where}.${key}: expected ${wanted}, found ${line[key]}`);
  }
  if (HEADER_PIN[line.offset] === undefined || LEFT_ALONE.has(line.offset))
    throw new Error(
      `${where}.offset: expected a free GPIO of the header, by its number, found ${line.offset}`,
    );
  if (circuit.pulledDown && line.offset < FIRST_PULLED_DOWN)
    throw new Error(`${where}.offset: expected a pin that is pulled down at power-on, found ${line.offset}`);
  if (!(parts.pullOhms > 0)) throw new Error(`${where}: expected a resistor to the safe level`);
  const needed = ['circuit', ...circuit.needs, 'alone'];
  const missing = needed.filter((key) => !parts[key]);
  if (missing.length > 0)
    throw new Error(`${where}: expected ${missing.join(', ')} of its parts, found none`);
  const unknown = Object.keys(parts).filter((key) => ![...needed, ...circuit.takes].includes(key));
  if (unknown.length > 0) throw new Error(`${where}: expected nothing else of its parts, found ${unknown}`);
}

function drawBoard({ title, board, ground, lines }, rows) {
  const heights = rows.map(({ line }) => CIRCUITS[lines[line.name].circuit].height);
  const height = heights.reduce((sum, each) => sum + each, TOP + 70);
  const sheet = new Sheet(960, height);
  sheet.text(20, 30, title, { size: 18, weight: 'bold' });
  sheet.box(20, TOP, PI_RIGHT - 20, height - TOP - 20, '#eef3e8');
  sheet.box(BOARD_LEFT, TOP, 150, height - TOP - 20, '#e8eef5');
  sheet.text(30, TOP + 22, 'Raspberry Pi', { weight: 'bold' });
  sheet.text(BOARD_LEFT + 10, TOP + 22, board, { weight: 'bold' });
  let top = TOP;
  for (const { target, line } of rows) {
    const y = top + 105;
    const parts = lines[line.name];
    const { says, height: rowHeight, draw } = CIRCUITS[parts.circuit];
    sheet.text(PI_RIGHT + 14, top + 22, `${target}/${line.name}: ${says}`, { weight: 'bold' });
    sheet.text(PI_RIGHT + 14, top + rowHeight - 16, `Without the jig: ${parts.alone}.`, {
      fill: '#5a3b00',
    });
    piPin(sheet, y, `GPIO${line.offset}`, HEADER_PIN[line.offset]);
    draw(sheet, y, parts);
    top += rowHeight;
  }
  const y = height - 45;
  sheet.wire([PI_RIGHT, y], [BOARD_LEFT, y]);
  piPin(sheet, y, 'GND', ground);
  sheet.text((PI_RIGHT + BOARD_LEFT) / 2, y - 8, 'ground: connected first, taken off last', {
    anchor: 'middle',
  });
  boardPin(sheet, y, 'GND');
  return sheet.svg(title);
}

function piPin(sheet, y, name, pin) {
  sheet.text(PI_RIGHT - 8, y + 4, name, { weight: 'bold', anchor: 'end' });
  sheet.text(30, y + 4, `pin ${pin}`);
}

function drawPinMap(uses) {
  const sheet = new Sheet(820, 600);
  const title = "The Pi's header, with all of these lines on it";
  sheet.text(20, 30, title, { size: 18, weight: 'bold' });
  const names = new Map([...SUPPLY_PINS, ...GROUND_PINS.map((pin) => [pin, 'GND'])]);
  for (const [gpio, pin] of HEADER_PIN.entries()) {
    const use = uses.get(gpio) ?? LEFT_ALONE.get(gpio) ?? 'free';
    names.set(pin, `GPIO${gpio}: ${use}`);
  }
  sheet.box(372, 46, 76, 20 * 26 + 8, '#eef3e8');
  for (let pin = 1; pin <= 40; pin++) {
    const y = 68 + Math.floor((pin - 1) / 2) * 26;
    const isLeft = pin % 2 === 1;
    const name = names.get(pin) ?? '';
    const weight = name.includes('/') ? 'bold' : 'normal';
    sheet.text(isLeft ? 404 : 416, y, `${pin}`, { anchor: isLeft ? 'end' : 'start' });
    sheet.text(isLeft ? 360 : 460, y, name, { anchor: isLeft ? 'end' : 'start', weight });
  }
  return sheet.svg(title);
}

async function main(args) {
  const options = { check: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } };
  let values;
  let positionals;
  try {
    ({ values, positionals } = parseArgs({ args, options, allowPositionals: true }));
    if (positionals.length > 1) throw new Error(`expected one FOLDER, found ${positionals.join(' ')}`);
  } catch (error) {
    complain(`${error.message}; --help says what there is`);
    return USAGE_STATUS;
  }
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  return await draw(positionals[0] ?? (relative('', OUR_FOLDER) || '.'), values.check === true);
}

async function draw(folder, isCheck) {
  const made = await drawings(folder);
  const known = readdirSync(folder).filter((file) => file.endsWith('.svg'));
  const wrong = known.filter((file) => !made.has(file)).map((file) => `${file}: no config is drawn so`);
  for (const [file, svg] of made) {
    if (!isCheck) writeFileSync(join(folder, file), svg);
    else if (!known.includes(file) || readFileSync(join(folder, file), 'utf8') !== svg)
      wrong.push(`${file}: not what node scripts/draw-wiring.mjs draws`);
  }
  if (wrong.length > 0) {
    complain(wrong.join('\n'));
    return 1;
  }
  console.log(`${folder}: ${made.size} drawings, ${isCheck ? 'all up to date' : 'all written'}`);
  return 0;
}

function complain(text) {
  for (const line of text.split('\n')) console.error(`draw-wiring: ${line}`);
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  complain(error.message);
  process.exitCode = 1;
}
