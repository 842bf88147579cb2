/** What Prometheus reads of a jig. Source: Prometheus, Exposition formats, text format 0.0.4. */

import type { JigEvent, TargetStatus } from '../wire/jig.ts';

export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Timers are late by a millisecond, a busy Pi by some tens. */
const LATENESS_BUCKETS_S = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];

type Labels = Readonly<Record<string, string>>;

/** Counts since the jig started, and what it is now. */
export class Metrics {
  readonly #requests = new Counter();
  readonly #sequences = new Counter();
  readonly #overdue = new Counter();
  readonly #lateness = new Map<string, Histogram>();

  countRequest(route: string, status: number): void {
    this.#requests.add({ route, status: `${status}` });
  }

  countEvent(event: JigEvent): void {
    const { target } = event;
    if (event.event === 'overdue') this.#overdue.add({ target, line: event.line });
    if (event.event !== 'ended') return;
    this.#sequences.add({ target, sequence: event.sequence, outcome: event.outcome });
    const lateness = this.#lateness.get(target) ?? new Histogram(LATENESS_BUCKETS_S);
    this.#lateness.set(target, lateness);
    lateness.observe(event.latestMs / 1000);
  }

  /** All of it, with what the targets are now. */
  text(targets: readonly TargetStatus[]): string {
    const perTarget = (value: (status: TargetStatus) => number): string[] =>
      targets.map((status) => sample('', { target: status.name }, value(status)));
    const lines = targets.flatMap(({ name: target, lines: all }) =>
      all.flatMap(({ name: line, value }) =>
        value === undefined ? [] : [sample('', { target, line }, value === 1 ? 1 : 0)],
      ),
    );
    const powered = targets.flatMap(({ name: target, power }) =>
      power === undefined || power === 'unknown' ? [] : [sample('', { target }, power === 'on' ? 1 : 0)],
    );
    const lateness = [...this.#lateness].flatMap(([target, histogram]) => histogram.samples({ target }));
    return [
      family('requests_total', 'counter', 'Requests that were answered.', this.#requests.samples()),
      family('sequences_total', 'counter', 'Sequences that ended.', this.#sequences.samples()),
      family(
        'overdue_total',
        'counter',
        'Times that a line was active for its maxActive.',
        this.#overdue.samples(),
      ),
      family(
        'lateness_seconds',
        'histogram',
        'Longest delay of a step behind its plan, of each sequence.',
        lateness,
      ),
      family(
        'target_up',
        'gauge',
        '1 while the lines of the target are held, 0 while a chip of it is gone.',
        perTarget(({ state }) => (state === 'unavailable' ? 0 : 1)),
      ),
      family(
        'target_running',
        'gauge',
        '1 while a sequence of the target runs.',
        perTarget(({ state }) => (state === 'running' ? 1 : 0)),
      ),
      family(
        'target_queued',
        'gauge',
        'Requests that wait for their turn.',
        perTarget(({ queued }) => queued),
      ),
      family(
        'line_active',
        'gauge',
        '1 for an output that is set active and an input that is, 0 for one that is inactive or let go of.',
        lines,
      ),
      family(
        'power_on',
        'gauge',
        '1 for power that was last switched on, 0 for off; absent while that is not known.',
        powered,
      ),
    ].join('');
  }
}

class Counter {
  readonly #values = new Map<string, { readonly labels: Labels; count: number }>();

  add(labels: Labels): void {
    const key = JSON.stringify(labels);
    const value = this.#values.get(key) ?? { labels, count: 0 };
    value.count += 1;
    this.#values.set(key, value);
  }

  samples(): string[] {
    return [...this.#values.values()].map(({ labels, count }) => sample('', labels, count));
  }
}

class Histogram {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;
  #count = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = bounds.map(() => 0);
  }

  observe(value: number): void {
    for (const [index, bound] of this.#bounds.entries()) {
      if (value <= bound) this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    }
    this.#sum += value;
    this.#count += 1;
  }

  samples(labels: Labels): string[] {
    return [
      ...this.#bounds.map((bound, index) =>
        sample('_bucket', { ...labels, le: `${bound}` }, this.#counts[index] ?? 0),
      ),
      sample('_bucket', { ...labels, le: '+Inf' }, this.#count),
      sample('_sum', labels, this.#sum),
      sample('_count', labels, this.#count),
    ];
  }
}

function family(name: string, type: string, help: string, samples: readonly string[]): string {
  const full = `sai_jig_${name}`;
  return [`# HELP ${full} ${help}`, `# TYPE ${full} ${type}`, ...samples.map((each) => full + each), ''].join(
    '\n',
  );
}

/** What follows the name of a family. */
function sample(suffix: string, labels: Labels, value: number): string {
  const text = Object.entries(labels).map(([name, label]) => `${name}="${escaped(label)}"`);
  return `${suffix}{${text.join(',')}} ${value}`;
}

function escaped(label: string): string {
  return label.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
