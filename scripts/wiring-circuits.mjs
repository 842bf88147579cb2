// The circuits between a pin of the Pi and a board: what each asks of its line, which parts it has, how it is drawn.

export const PI_RIGHT = 170;
export const BOARD_LEFT = 790;

const ROW = 200;

/** Of a line's limits, which the tests compute with; nothing is drawn of them. */
const LIMITS = ['boardPullOhms', 'lowMaxVolts', 'highMinVolts', 'source'];

/**
 * For each circuit: what the jig has to do with its line, so that a line that nobody drives is safe; which keys its parts
 * have, besides `circuit` and `alone`, and which they may have.
 */
export const CIRCUITS = {
  'open-drain': {
    says: 'open drain, low when active',
    wants: { direction: 'out', drive: 'open-drain', activeLow: true, safe: 0 },
    needs: ['seriesOhms', 'pullOhms', 'rail', 'pin'],
    takes: LIMITS,
    height: 160,
    draw: drawOpenDrain,
  },
  'open-source': {
    says: 'open source, high when active',
    wants: { direction: 'out', drive: 'open-source', activeLow: false, safe: 0 },
    needs: ['seriesOhms', 'pullOhms', 'pin'],
    takes: LIMITS,
    pulledDown: true,
    height: ROW,
    draw: drawOpenSource,
  },
  transistor: {
    says: 'transistor, pulls low when active',
    wants: { direction: 'out', drive: 'push-pull', activeLow: false, safe: 0 },
    needs: ['seriesOhms', 'pullOhms', 'drainOhms', 'pin'],
    takes: [],
    pulledDown: true,
    height: ROW,
    draw: drawTransistor,
  },
  'load-switch': {
    says: 'load switch, on when active',
    wants: { direction: 'out', drive: 'push-pull', activeLow: false, safe: 0 },
    needs: ['seriesOhms', 'pullOhms', 'supply', 'pin'],
    takes: [],
    pulledDown: true,
    height: ROW,
    draw: drawLoadSwitch,
  },
  relay: {
    says: 'contact, closed when active',
    wants: { direction: 'out', drive: 'push-pull', activeLow: false, safe: 0 },
    needs: ['seriesOhms', 'pullOhms', 'element', 'pin', 'other'],
    takes: ['ledOhms', 'contactOhms'],
    pulledDown: true,
    height: ROW,
    draw: drawRelay,
  },
  input: {
    says: 'input',
    wants: { direction: 'in' },
    needs: ['seriesOhms', 'pullOhms', 'pin'],
    takes: [],
    height: ROW,
    draw: drawInput,
  },
};

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
  if (parts.ledOhms) sheet.resistorAcross(680, 750, drainY, `R4 ${ohms(parts.ledOhms)}`);
  else sheet.wire([680, drainY], [750, drainY]);
  sheet.wire([750, drainY], [768, drainY], [768, drainY - 10]);
  sheet.rail(768, drainY - 10, '5 V');
  sheet.dashed([640, y - 20], [640, y + 30], [693, y + 30]);
  sheet.dot(700, y + 10);
  sheet.dot(700, y + 50);
  sheet.wire([700, y + 50], [688, y + 14]);
  if (parts.contactOhms) sheet.resistorAcross(700, BOARD_LEFT, y + 10, `R3 ${ohms(parts.contactOhms)}`);
  else sheet.wire([700, y + 10], [BOARD_LEFT, y + 10]);
  boardPin(sheet, y + 10, parts.pin);
  drawOtherEnd(sheet, y + 50, parts.other);
}

/** Where the contact leads besides the pin: to ground, or to what no pin of the board is. */
function drawOtherEnd(sheet, y, name) {
  sheet.wire([700, y], [700, y + 10]);
  if (name === 'GND') return sheet.ground(700, y + 10);
  sheet.wire([688, y + 10], [712, y + 10]);
  sheet.text(684, y + 5, name, { anchor: 'end' });
}

function drawInput(sheet, y, { seriesOhms, pullOhms, pin }) {
  sheet.wire([PI_RIGHT, y], [560, y]);
  sheet.pullDown(400, y, `R2 ${ohms(pullOhms)}`);
  sheet.resistorAcross(560, 660, y, `R1 ${ohms(seriesOhms)}`);
  sheet.wire([660, y], [BOARD_LEFT, y]);
  boardPin(sheet, y, pin);
}

export function boardPin(sheet, y, name) {
  sheet.text(BOARD_LEFT + 8, y + 4, name, { weight: 'bold' });
}

function ohms(value) {
  return value >= 1000 ? `${value / 1000} kΩ` : `${value} Ω`;
}
