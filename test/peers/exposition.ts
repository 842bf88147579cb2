/** A reader of Prometheus' text format 0.0.4 that takes nothing else. Source: Prometheus, Exposition formats. */

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const LABEL = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"';
const VALUE = '[-+]?(?:\\d+(?:\\.\\d*)?(?:e[-+]?\\d+)?|Inf)|NaN';
const SAMPLE = new RegExp(`^(${NAME})(\\{(?:${LABEL}(?:,${LABEL})*)?\\})? (${VALUE})$`);
const HELP = new RegExp(`^# HELP (${NAME}) (?:[^\\\\]|\\\\[\\\\n])*$`);
const TYPE = new RegExp(`^# TYPE (${NAME}) (counter|gauge|histogram|summary|untyped)$`);
const SUFFIXES: Readonly<Record<string, readonly string[]>> = { histogram: ['_bucket', '_sum', '_count'] };

/** Value of each sample by its name and labels. @throws for whatever Prometheus would refuse */
export function samplesIn(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  const seen = new Set<string>();
  let family = { name: '', type: 'untyped' };
  if (text !== '' && !text.endsWith('\n')) throw new Error('expected a newline at the end');
  for (const line of text.split('\n').slice(0, -1)) {
    const help = HELP.exec(line)?.[1];
    const [, typed, type] = TYPE.exec(line) ?? [];
    if (help !== undefined) {
      family = { name: help, type: 'untyped' };
    } else if (typed !== undefined) {
      if (seen.has(typed)) throw new Error(`expected ${typed} once, in one group`);
      seen.add(typed);
      family = { name: typed, type: type ?? '' };
    } else {
      const [, name = '', labels = '', value = ''] = SAMPLE.exec(line) ?? [];
      if (name === '') throw new Error(`expected a sample, got ${JSON.stringify(line)}`);
      const names = (SUFFIXES[family.type] ?? ['']).map((suffix) => family.name + suffix);
      if (!names.includes(name)) throw new Error(`expected a sample of ${family.name}, got ${line}`);
      if (samples.has(name + labels)) throw new Error(`expected each sample once, got again ${line}`);
      samples.set(name + labels, Number(value.replace('Inf', 'Infinity')));
    }
  }
  requireWholeHistograms(samples);
  return samples;
}

/** Buckets never fall, and the last is the count. */
function requireWholeHistograms(samples: ReadonlyMap<string, number>): void {
  const last = new Map<string, number>();
  for (const [key, value] of samples) {
    const [, name, labels = '', le] = /^(.*)_bucket\{(?:(.*),)?le="([^"]*)"\}$/.exec(key) ?? [];
    if (name === undefined) continue;
    const rest = labels === '' ? '' : `{${labels}}`;
    if (value < (last.get(name + rest) ?? 0))
      throw new Error(`expected more than in the bucket before: ${key}`);
    last.set(name + rest, value);
    if (le === '+Inf' && samples.get(`${name}_count${rest}`) !== value) {
      throw new Error(`expected the count of ${name}${rest} in its last bucket`);
    }
  }
}
