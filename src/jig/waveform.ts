/** A simulated sequence as people read it: a wave for each line, and a list of what is done when. */

import { activeLowNote, titleOf } from './diagram.ts';
import { valueOfLevel } from './line.ts';
import type { LinePlan, TargetPlan } from './plan.ts';
import type { SequencePlan } from './sequence.ts';
import type { SimulatedMoment, Simulation, Wire } from './simulation.ts';

export interface WaveStyle {
  /** Of the terminal. */
  readonly columns: number;
  readonly glyphs: Glyphs;
}

export interface Glyphs {
  readonly high: string;
  readonly low: string;
  readonly released: string;
  readonly rising: string;
  readonly falling: string;
  readonly axis: string;
  readonly tick: string;
}

export const UNICODE: Glyphs = {
  high: '▔',
  low: '▁',
  released: '┄',
  rising: '╱',
  falling: '╲',
  axis: '─',
  tick: '┴',
};

export const ASCII: Glyphs = {
  high: '"',
  low: '_',
  released: '.',
  rising: '/',
  falling: '\\',
  axis: '-',
  tick: '+',
};

/** Of each moment: its edge, and so much of what comes after it that it can be told from the next. */
const LEAST_COLUMNS = 3;
/** A wave that is shorter says nothing. */
const LEAST_WAVE = 4 * LEAST_COLUMNS;
const LONGEST_NAME = 24;

/** A moment, and where it is drawn. */
interface Place {
  readonly moment: SimulatedMoment;
  /** As in the list; undefined for what the jig does by itself. */
  readonly number: number | undefined;
  readonly column: number;
}

export function waveform(
  target: TargetPlan,
  sequence: SequencePlan,
  simulation: Simulation,
  style: WaveStyle,
): string {
  const names = target.lines.map((line) => nameOf(line));
  const margin = Math.max(4, ...names.map((name) => name.length)) + 1;
  const width = Math.max(LEAST_WAVE, style.columns - margin);
  const now = new Map(simulation.start);
  const blocks: string[] = [];
  for (const band of bandsOf(simulation, width)) {
    const rows = target.lines.map((line, index) => {
      const wave = waveOf(line, now.get(line.name), band.places, band.columns, style.glyphs);
      return `${(names[index] ?? '').padEnd(margin)}${wave}`;
    });
    for (const { moment } of band.places) for (const [name, wire] of moment.changes) now.set(name, wire);
    blocks.push([...rows, ...axisOf(band, margin, style.glyphs)].join('\n'));
  }
  const { high, low, released } = style.glyphs;
  const notes = [
    `${high} high, ${low} low, ${released} let go of`,
    ...activeLowNote(target.lines),
    'time is not to scale',
  ];
  const parts = [titleOf(target, sequence), ...blocks, listOf(simulation), `(${notes.join('; ')})`];
  return `${parts.join('\n\n')}\n`;
}

/** The same for programs, an object a line. */
export function transitions(
  target: TargetPlan,
  { start, moments, durationMs, failure }: Simulation,
): unknown[] {
  const levelsAt = (atMs: number, wires: ReadonlyMap<string, Wire>, step: string | undefined): unknown[] =>
    target.lines.flatMap((line) => {
      const wire = wires.get(line.name);
      if (!wire) return [];
      const value = valueOfLevel(wire.level, line.activeLow) === 'active' ? 1 : 0;
      const letGo = line.output ? { letGo: !wire.isDriven } : {};
      const by = step === undefined ? {} : { step };
      return [{ event: 'level', atMs, line: line.name, level: wire.level, value, ...letGo, ...by }];
    });
  return [
    ...levelsAt(0, start, undefined),
    ...moments.flatMap(({ atMs, changes, done }) => [
      ...levelsAt(atMs, changes, done?.step),
      ...(done ? [{ event: 'step', atMs, step: done.step, text: done.text }] : []),
    ]),
    { event: 'end', atMs: durationMs, ...(failure ? { error: failure.message } : {}) },
  ];
}

function nameOf({ name, output, activeLow }: LinePlan): string {
  const short = name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 1)}~` : name;
  return `${short}${output ? '' : ' (in)'}${activeLow ? ' (1=low)' : ''}`;
}

interface Band {
  readonly places: readonly Place[];
  readonly columns: number;
  readonly fromMs: number;
  readonly toMs: number;
}

/** As many waves under each other as the moments need; spare columns go to where time passes. */
function bandsOf({ moments, durationMs }: Simulation, width: number): Band[] {
  const most = Math.floor(width / LEAST_COLUMNS) - 1;
  const bands: Band[] = [];
  let number = 0;
  for (let first = 0; first === 0 || first < moments.length; first += most) {
    const own = moments.slice(first, first + most);
    const fromMs = first === 0 ? 0 : (own[0]?.atMs ?? 0);
    const toMs = moments[first + most]?.atMs ?? durationMs;
    const spare = width - (own.length + 1) * LEAST_COLUMNS;
    const columnAt = (index: number, atMs: number): number =>
      index * LEAST_COLUMNS + (toMs === fromMs ? 0 : Math.floor((spare * (atMs - fromMs)) / (toMs - fromMs)));
    const places = own.map((moment, index) => ({
      moment,
      number: moment.done ? ++number : undefined,
      column: columnAt(index + 1, moment.atMs),
    }));
    bands.push({ places, columns: columnAt(own.length + 1, toMs), fromMs, toMs });
  }
  return bands;
}

function waveOf(
  { name, output }: LinePlan,
  start: Wire | undefined,
  places: readonly Place[],
  columns: number,
  glyphs: Glyphs,
): string {
  let height = heightOf(start, output !== undefined);
  let wave = '';
  for (const { moment, column } of places) {
    const wire = moment.changes.get(name);
    const next = wire ? heightOf(wire, output !== undefined) : height;
    if (next === height) continue;
    wave += glyphs[height].repeat(column - wave.length);
    wave += HEIGHTS.indexOf(next) > HEIGHTS.indexOf(height) ? glyphs.rising : glyphs.falling;
    height = next;
  }
  return wave + glyphs[height].repeat(columns - wave.length);
}

const HEIGHTS = ['low', 'released', 'high'] as const;

/** Nobody lets go of an input. */
function heightOf(wire: Wire | undefined, isOutput: boolean): (typeof HEIGHTS)[number] {
  if (!wire || (isOutput && !wire.isDriven)) return 'released';
  return wire.level === 1 ? 'high' : 'low';
}

/** Where steps happen, their numbers in the list, and their times, as far as there is room. */
function axisOf({ places, columns, fromMs, toMs }: Band, margin: number, { axis, tick }: Glyphs): string[] {
  const isTick = new Set(places.map(({ column }) => column));
  const line = Array.from({ length: columns }, (_, column) => (isTick.has(column) ? tick : axis)).join('');
  const steps = places.flatMap(({ number, column }) =>
    number === undefined ? [] : [{ column, text: `${number}` }],
  );
  const end = `${toMs}`;
  const times = [
    // Rather below the tick, where there is one at once.
    ...(places[0]?.moment.atMs === fromMs ? [] : [{ column: 0, text: `${fromMs}` }]),
    ...places.map(({ moment, column }) => ({ column, text: `${moment.atMs}` })),
    { column: columns - end.length, text: end },
  ];
  return [
    `${' '.repeat(margin)}${line}`,
    `${'step'.padEnd(margin)}${labels(steps)}`.trimEnd(),
    `${'ms'.padEnd(margin)}${labels(times)}`,
  ];
}

/** None that would run into the one before it, or say the same. */
function labels(all: readonly { readonly column: number; readonly text: string }[]): string {
  let row = '';
  let last: string | undefined;
  for (const { column, text } of all) {
    if (text === last || (row !== '' && column <= row.length)) continue;
    row = row.padEnd(column) + text;
    last = text;
  }
  return row;
}

function listOf({ moments, durationMs, failure }: Simulation): string {
  const done = moments.flatMap((moment) => (moment.done ? [{ ...moment, text: moment.done.text }] : []));
  const rows = [
    ...done.map(({ atMs, text }, index) => ({ number: `${index + 1}`, atMs, text })),
    { number: '', atMs: durationMs, text: failure ? 'failed; all is made safe' : 'end' },
  ];
  const width = Math.max(...rows.map(({ atMs }) => `${atMs}`.length));
  return rows
    .map(
      ({ number, atMs, text }) =>
        `${number.padStart(`${done.length}`.length + 1)}  ${`${atMs}`.padStart(width)} ms  ${text}`,
    )
    .join('\n');
}
