// Lines, parts and texts of a circuit drawing. A sheet refuses two texts that would lie on each other.

const WIRE = 'stroke="#222" stroke-width="1.6" fill="none"';
/** Wider than any sans-serif face draws it, so that what is free here is free everywhere. */
const EM_PER_CHARACTER = { normal: 0.58, bold: 0.64 };
const ANCHORS = { start: 0, middle: 0.5, end: 1 };

export class Sheet {
  #width;
  #height;
  #shapes = [];
  #texts = [];

  constructor(width, height) {
    this.#width = width;
    this.#height = height;
  }

  wire(...points) {
    this.#shapes.push(`<polyline points="${points.map(([x, y]) => `${x},${y}`).join(' ')}" ${WIRE}/>`);
  }

  dashed(...points) {
    const path = points.map(([x, y]) => `${x},${y}`).join(' ');
    this.#shapes.push(`<polyline points="${path}" ${WIRE} stroke-dasharray="4 3"/>`);
  }

  dot(x, y) {
    this.#shapes.push(`<circle cx="${x}" cy="${y}" r="3.4" fill="#222"/>`);
  }

  box(x, y, width, height, fill = '#fff') {
    this.#shapes.push(
      `<rect x="${x}" y="${y}" width="${width}" height="${height}" rx="3" fill="${fill}" stroke="#222" stroke-width="1.6"/>`,
    );
  }

  text(x, y, text, { size = 13, weight = 'normal', anchor = 'start', fill = '#111' } = {}) {
    const width = text.length * size * EM_PER_CHARACTER[weight];
    const left = x - width * ANCHORS[anchor];
    this.#texts.push({ text, left, right: left + width, top: y - size * 0.8, bottom: y + size * 0.25 });
    const more = `font-size="${size}" font-weight="${weight}" text-anchor="${anchor}" fill="${fill}"`;
    this.#shapes.push(`<text x="${x}" y="${y}" ${more}>${escaped(text)}</text>`);
  }

  /** A resistor lying on the wire from x1 to x2. */
  resistorAcross(x1, x2, y, label) {
    const middle = (x1 + x2) / 2;
    this.wire([x1, y], [middle - 22, y]);
    this.box(middle - 22, y - 7, 44, 14);
    this.wire([middle + 22, y], [x2, y]);
    this.text(middle, y - 14, label, { anchor: 'middle' });
  }

  /** A resistor standing on a node of the wire, down to ground. */
  pullDown(x, y, label) {
    this.dot(x, y);
    this.wire([x, y], [x, y + 10]);
    this.box(x - 7, y + 10, 14, 34);
    this.text(x + 13, y + 32, label);
    this.wire([x, y + 44], [x, y + 54]);
    this.ground(x, y + 54);
  }

  /** A resistor standing on a node of the wire, up to a rail. */
  pullUp(x, y, label, rail) {
    this.dot(x, y);
    this.wire([x, y], [x, y - 10]);
    this.box(x - 7, y - 44, 14, 34);
    this.text(x + 13, y - 22, label);
    this.wire([x, y - 44], [x, y - 54]);
    this.rail(x, y - 54, rail);
  }

  ground(x, y) {
    for (const [half, down] of [
      [11, 0],
      [7, 4],
      [3, 8],
    ])
      this.wire([x - half, y + down], [x + half, y + down]);
  }

  rail(x, y, name) {
    this.wire([x - 12, y], [x + 12, y]);
    this.text(x, y - 8, name, { anchor: 'middle' });
  }

  /** An N-channel MOSFET with its gate at (x, y) and its source on ground. Returns its drain. */
  transistor(x, y) {
    this.wire([x, y - 16], [x, y + 16]);
    for (const up of [-14, 0, 14]) this.wire([x + 8, y + up - 5], [x + 8, y + up + 5]);
    this.wire([x + 8, y - 14], [x + 40, y - 14], [x + 40, y - 40]);
    this.wire([x + 8, y + 14], [x + 40, y + 14], [x + 40, y + 44]);
    this.wire([x + 8, y], [x + 40, y], [x + 40, y + 14]);
    this.ground(x + 40, y + 44);
    this.text(x + 50, y + 18, 'Q1, N-MOSFET');
    return [x + 40, y - 40];
  }

  /** @throws where texts overlap or leave the sheet */
  svg(title) {
    for (const [index, one] of this.#texts.entries()) {
      const isOff = one.left < 0 || one.top < 0 || one.right > this.#width || one.bottom > this.#height;
      if (isOff) throw new Error(`${title}: expected a text on the sheet, found ${one.text} beside it`);
      const other = this.#texts.slice(index + 1).find((each) => overlap(one, each));
      if (other)
        throw new Error(`${title}: expected each text in the clear, found ${one.text} on ${other.text}`);
    }
    const size = `width="${this.#width}" height="${this.#height}" viewBox="0 0 ${this.#width} ${this.#height}"`;
    return [
      `<svg xmlns="http://www.w3.org/2000/svg" ${size} font-family="DejaVu Sans, Verdana, sans-serif">`,
      `<title>${escaped(title)}</title>`,
      `<rect width="${this.#width}" height="${this.#height}" fill="#fff"/>`,
      ...this.#shapes,
      '</svg>',
      '',
    ].join('\n');
  }
}

function overlap(one, other) {
  return one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;
}

function escaped(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
