import { describe, expect, test } from 'vitest';
import { Metrics } from '../../src/jig/metrics.ts';
import type { JigEvent, TargetStatus } from '../../src/wire/jig.ts';
import { samplesIn } from '../peers/exposition.ts';

const at = { atMs: 0, target: 'dut' };

function ended(latestMs: number, outcome: 'done' | 'failed' = 'done'): JigEvent {
  return { event: 'ended', ...at, run: 1, sequence: 'reset', outcome, durationMs: 1, latestMs };
}

function status(more: Partial<TargetStatus>): TargetStatus {
  return { name: 'dut', state: 'idle', queued: 0, sequences: [], lines: [], ...more };
}

describe('the metrics of a jig', () => {
  test('are what Prometheus reads, also before anything has happened', () => {
    expect(samplesIn(new Metrics().text([]))).toEqual(new Map());
  });

  test('count requests, sequences and lines that were active for too long', () => {
    const metrics = new Metrics();
    metrics.countRequest('run', 200);
    metrics.countRequest('run', 200);
    metrics.countRequest('run', 409);
    metrics.countEvent(ended(0));
    metrics.countEvent(ended(0, 'failed'));
    metrics.countEvent(ended(0));
    metrics.countEvent({ event: 'overdue', ...at, line: 'reset', maxActiveMs: 5 });
    metrics.countEvent({ event: 'available', ...at });
    const samples = samplesIn(metrics.text([]));
    expect(samples.get('sai_jig_requests_total{route="run",status="200"}')).toBe(2);
    expect(samples.get('sai_jig_requests_total{route="run",status="409"}')).toBe(1);
    const sequence = 'sai_jig_sequences_total{target="dut",sequence="reset",outcome=';
    expect(samples.get(`${sequence}"done"}`)).toBe(2);
    expect(samples.get(`${sequence}"failed"}`)).toBe(1);
    expect(samples.get('sai_jig_overdue_total{target="dut",line="reset"}')).toBe(1);
  });

  test('sort lateness into buckets that include the ones below', () => {
    const metrics = new Metrics();
    for (const latestMs of [0, 1, 3, 600, 5000]) metrics.countEvent(ended(latestMs));
    const samples = samplesIn(metrics.text([]));
    const bucket = (le: string): number | undefined =>
      samples.get(`sai_jig_lateness_seconds_bucket{target="dut",le="${le}"}`);
    expect(['0.001', '0.002', '0.005', '0.5', '1', '+Inf'].map(bucket)).toEqual([2, 2, 3, 3, 4, 5]);
    expect(samples.get('sai_jig_lateness_seconds_count{target="dut"}')).toBe(5);
    expect(samples.get('sai_jig_lateness_seconds_sum{target="dut"}')).toBeCloseTo(5.604, 6);
  });

  test('tell lines, power and chips as they are now', () => {
    const line = (name: string, value?: 0 | 1 | 'released') =>
      ({ name, direction: 'out', ...(value === undefined ? {} : { value }) }) as const;
    const samples = samplesIn(
      new Metrics().text([
        status({
          state: 'running',
          queued: 3,
          power: 'on',
          lines: [line('a', 1), line('b', 0), line('c', 'released'), line('d')],
        }),
        status({ name: 'away', state: 'unavailable', power: 'unknown' }),
      ]),
    );
    expect(Object.fromEntries(samples)).toEqual({
      'sai_jig_target_up{target="dut"}': 1,
      'sai_jig_target_up{target="away"}': 0,
      'sai_jig_target_running{target="dut"}': 1,
      'sai_jig_target_running{target="away"}': 0,
      'sai_jig_target_queued{target="dut"}': 3,
      'sai_jig_target_queued{target="away"}': 0,
      'sai_jig_line_active{target="dut",line="a"}': 1,
      'sai_jig_line_active{target="dut",line="b"}': 0,
      'sai_jig_line_active{target="dut",line="c"}': 0,
      'sai_jig_power_on{target="dut"}': 1,
    });
  });

  test('escape what a label may not hold', () => {
    const metrics = new Metrics();
    metrics.countRequest('a\\b"c\nd', 200);
    expect([...samplesIn(metrics.text([])).keys()]).toEqual([
      'sai_jig_requests_total{route="a\\\\b\\"c\\nd",status="200"}',
    ]);
  });
});
