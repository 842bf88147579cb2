#!/usr/bin/env node
// Draws hardware/wiring/NAME.svg from the lines of NAME.jig.json and the parts of NAME.wiring.json, and pin-map.svg
// from all of them. Refuses wiring whose level, once the jig is gone, is not the safe one.
//
//   node scripts/draw-wiring.mjs [FOLDER]          writes them
//   node scripts/draw-wiring.mjs --check [FOLDER]  status 1 when a drawing is not what would be written

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Sheet } from './wiring-shapes.mjs';

const OUR_FOLDER = fileURLToPath(new URL('../hardware/wiring', import.meta.url));

const PI_RIGHT = 170;
const BOARD_LEFT = 790;
const TOP = 50;
const ROW = 200;

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
/** From here on a pin is pulled down until something drives it. Source: hardware/wiring/README.md, 3. */
const FIRST_PULLED_DOWN = 9;

/** For each circuit: what the jig has to do with its line, so that a line that nobody drives is safe. */
const CIRCUITS = {
  'open-drain': {
    says: 'open drain, low when active',
    wants: { drive: 'open-drain', activeLow: true, safe: 0 },
    height: 160,
    draw: drawOpenDrain,
  },
  'open-source': {
    says: 'open source, high when active',
    wants: { drive: 'open-source', safe: 0 },
    pulledDown: true,
    draw: drawOpenSource,
  },
  transistor: {
    says: 'transistor, pulls low when active',
    wants: { drive: 'push-pull', safe: 0 },
    pulledDown: true,
    draw: drawTransistor,
  },
  'load-switch': {
    says: 'load switch, on when active',
    wants: { drive: 'push-pull', safe: 0 },
    pulledDown: true,
    draw: drawLoadSwitch,
  },
  relay: {
    says: 'contact, closed when active',
    wants: { drive: 'push-pull', safe: 0 },
    pulledDown: true,
    draw: drawRelay,
  },
  input: { says: 'input', wants: { direction: 'in' }, draw: drawInput },
};

/** The drawings by file name. @throws what is wrong with a wiring */
export function drawings(folder) {
  const names = readdirSync(folder)
    .filter((file) => file.endsWith('.wiring.json'))
    .map((file) => file.replace('.wiring.json', ''))
    .sort();
  const made = new Map();
  const uses = new Map();
  for (const name of names) {
    const wiring = JSON.parse(readFileSync(join(folder, `${name}.wiring.json`), 'utf8'));
    const { targets } = JSON.parse(readFileSync(join(folder, `${name}.jig.json`), 'utf8'));
    const rows = targets.flatMap((target) => target.gpios.map((gpio) => ({ target: target.name, gpio })));
    for (const row of rows) {
      check(row, wiring, name);
      const use = `${row.target}/${row.gpio.name}`;
      const other = uses.get(row.gpio.offset);
      if (other) throw new Error(`${name}: expected GPIO${row.gpio.offset} once, found ${other} and ${use}`);
      uses.set(row.gpio.offset, use);
    }
    const spare = Object.keys(wiring.lines).filter((line) => !rows.some(({ gpio }) => gpio.name === line));
    if (spare.length > 0)
      throw new Error(`${name}: expected parts for lines of the config only, found ${spare}`);
    made.set(`${name}.svg`, drawBoard(wiring, rows));
  }
  made.set('pin-map.svg', drawPinMap(uses));
  return made;
}

function check({ target, gpio }, { lines, ground }, name) {
  const where = `${name}: ${target}/${gpio.name}`;
  const parts = lines[gpio.name];
  const circuit = parts && CIRCUITS[parts.circuit];
  if (!circuit) throw new Error(`${where}: expected a circuit, one of ${Object.keys(CIRCUITS).join(', ')}`);
  for (const key of ['drive', 'activeLow', 'safe', 'direction']) {
    if (gpio[key] !== circuit.wants[key])
      throw new Error(`${where}.${key}: expected ${circuit.wants[key]}, found ${gpio[key]}`);
  }
  if (HEADER_PIN[gpio.offset] === undefined || LEFT_ALONE.has(gpio.offset))
    throw new Error(`${where}.offset: expected a free GPIO of the header, found ${gpio.offset}`);
  if (circuit.pulledDown && gpio.offset < FIRST_PULLED_DOWN)
    throw new Error(`${where}.offset: expected a pin that is pulled down at power-on, found ${gpio.offset}`);
  if (!(parts.pullOhms > 0)) throw new Error(`${where}: expected a resistor to the safe level`);
  if (!GROUND_PINS.includes(ground))
    throw new Error(`${name}.ground: expected a ground pin, found ${ground}`);
}

function drawBoard({ title, board, ground, lines }, rows) {
  const heights = rows.map(({ gpio }) => CIRCUITS[lines[gpio.name].circuit].height ?? ROW);
  const height = heights.reduce((sum, each) => sum + each, TOP + 70);
  const sheet = new Sheet(960, height);
  sheet.text(20, 30, title, { size: 18, weight: 'bold' });
  sheet.box(20, TOP, PI_RIGHT - 20, height - TOP - 20, '#eef3e8');
  sheet.box(BOARD_LEFT, TOP, 150, height - TOP - 20, '#e8eef5');
  sheet.text(30, TOP + 22, 'Raspberry Pi', { weight: 'bold' });
  sheet.text(BOARD_LEFT + 10, TOP + 22, board, { weight: 'bold' });
  let top = TOP;
  for (const [index, { target, gpio }] of rows.entries()) {
    const y = top + 105;
    const parts = lines[gpio.name];
    const { says, draw } = CIRCUITS[parts.circuit];
    sheet.text(PI_RIGHT + 14, top + 22, `${target}/${gpio.name}: ${says}`, { weight: 'bold' });
    sheet.text(PI_RIGHT + 14, top + (heights[index] ?? ROW) - 16, `Without the jig: ${parts.alone}.`, {
      fill: '#5a3b00',
    });
    piPin(sheet, y, `GPIO${gpio.offset}`, HEADER_PIN[gpio.offset]);
    draw(sheet, y, parts);
    top += heights[index] ?? ROW;
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

function drawOpenDrain(sheet, y, { seriesOhms, pullOhms, rail, pin }) {
  sheet.wire([PI_RIGHT, y], [230, y]);
  sheet.resistorAcross(230, 330, y, `R1 ${ohms(seriesOhms)}`);
  sheet.wire([330, y], [BOARD_LEFT, y]);
  sheet.pullUp(650, y, `R2 ${ohms(pullOhms)}`, rail);
  boardPin(sheet, y, pin);
}

function drawOpenSource(sheet, y, { seriesOhms, pullOhms, pin }) {
  sheet.wire([PI_RIGHT, y], [230, y]);
  sheet.resistorAcross(230, 330, y, `R1 ${ohms(seriesOhms)}`);
  sheet.wire([330, y], [BOARD_LEFT, y]);
  sheet.pullDown(650, y, `R2 ${ohms(pullOhms)}`);
  boardPin(sheet, y, pin);
}

/** What stands between a pin of the Pi and the part that it switches. */
function drawGate(sheet, y, { seriesOhms, pullOhms }, x) {
  sheet.wire([PI_RIGHT, y], [210, y]);
  sheet.resistorAcross(210, 290, y, `R1 ${ohms(seriesOhms)}`);
  sheet.wire([290, y], [x, y]);
  sheet.pullDown(320, y, `R2 ${ohms(pullOhms)}`);
}

function drawTransistor(sheet, y, parts) {
  drawGate(sheet, y, parts, 450);
  const [x, drainY] = sheet.transistor(450, y);
  sheet.resistorAcross(x, 640, drainY, `R3 ${ohms(parts.drainOhms)}`);
  sheet.wire([640, drainY], [BOARD_LEFT, drainY]);
  boardPin(sheet, drainY, parts.pin);
}

function drawLoadSwitch(sheet, y, parts) {
  drawGate(sheet, y, parts, 500);
  sheet.box(500, y - 32, 140, 64);
  sheet.text(570, y - 14, 'IN', { size: 11, anchor: 'middle' });
  sheet.text(506, y + 4, 'ON', { size: 11 });
  sheet.text(570, y + 5, 'load switch', { anchor: 'middle' });
  sheet.text(634, y + 4, 'OUT', { size: 11, anchor: 'end' });
  sheet.wire([570, y - 32], [570, y - 50]);
  sheet.rail(570, y - 50, parts.supply);
  sheet.wire([570, y + 32], [570, y + 46]);
  sheet.ground(570, y + 46);
  sheet.wire([640, y], [BOARD_LEFT, y]);
  boardPin(sheet, y, parts.pin);
}

function drawRelay(sheet, y, parts) {
  drawGate(sheet, y, parts, 430);
  const [x, drainY] = sheet.transistor(430, y);
  sheet.wire([x, drainY], [530, drainY]);
  sheet.box(530, y - 66, 150, 46);
  for (const [index, line] of parts.element.entries())
    sheet.text(605, y - 48 + index * 18, line, { anchor: 'middle' });
  sheet.dashed([640, y - 20], [640, y + 30], [693, y + 30]);
  sheet.dot(700, y + 10);
  sheet.dot(700, y + 50);
  sheet.wire([700, y + 50], [688, y + 14]);
  if (parts.contactOhms) {
    sheet.resistorAcross(700, BOARD_LEFT, y + 10, `R3 ${ohms(parts.contactOhms)}`);
  } else {
    sheet.wire([700, y + 10], [BOARD_LEFT, y + 10]);
  }
  sheet.wire([700, y + 50], [BOARD_LEFT, y + 50]);
  boardPin(sheet, y + 10, parts.pin);
  boardPin(sheet, y + 50, parts.other);
}

function drawInput(sheet, y, { seriesOhms, pullOhms, pin }) {
  sheet.wire([PI_RIGHT, y], [560, y]);
  sheet.pullDown(400, y, `R2 ${ohms(pullOhms)}`);
  sheet.resistorAcross(560, 660, y, `R1 ${ohms(seriesOhms)}`);
  sheet.wire([660, y], [BOARD_LEFT, y]);
  boardPin(sheet, y, pin);
}

function piPin(sheet, y, name, pin) {
  sheet.text(PI_RIGHT - 8, y + 4, name, { weight: 'bold', anchor: 'end' });
  sheet.text(30, y + 4, `pin ${pin}`);
}

function boardPin(sheet, y, name) {
  sheet.text(BOARD_LEFT + 8, y + 4, name, { weight: 'bold' });
}

function drawPinMap(uses) {
  const sheet = new Sheet(820, 600);
  const title = "The Pi's header, with all examples on it";
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

function ohms(value) {
  return value >= 1000 ? `${value / 1000} kΩ` : `${value} Ω`;
}

function main(args) {
  const isCheck = args[0] === '--check';
  const [folder = OUR_FOLDER] = isCheck ? args.slice(1) : args;
  const made = drawings(folder);
  const known = readdirSync(folder).filter((file) => file.endsWith('.svg'));
  const wrong = known.filter((file) => !made.has(file)).map((file) => `${file}: no config is drawn so`);
  for (const [file, svg] of made) {
    if (!isCheck) writeFileSync(join(folder, file), svg);
    else if (!known.includes(file) || readFileSync(join(folder, file), 'utf8') !== svg)
      wrong.push(`${file}: not what node scripts/draw-wiring.mjs draws`);
  }
  for (const line of wrong) console.error(`draw-wiring: ${line}`);
  process.exitCode = wrong.length > 0 ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    main(process.argv.slice(2));
  } catch (error) {
    console.error(`draw-wiring: ${error.message}`);
    process.exitCode = 1;
  }
}
