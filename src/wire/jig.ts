/** What a jig and those who ask it for something agree on, beside Sai's `GET /<target>/<sequence>`. */

import * as v from 'valibot';

/** Port of Sai's examples. */
export const DEFAULT_JIG_PORT = 44_000;

/** Header with the number of the lease that asks; a lower one than the highest seen is refused. */
export const FENCE_HEADER = 'sai-fence';

/** Why a request was not done; decides the HTTP status. */
export const JigErrorCode = v.picklist([
  'bad-request',
  'unauthorized',
  'forbidden',
  'not-found',
  'wrong-method',
  'too-large',
  'unknown-target',
  'unknown-sequence',
  'busy',
  'fenced',
  'fence-required',
  'aborted',
  'line-unavailable',
  'stopping',
  'not-in-time',
  'interlocked',
  'active-too-long',
  'peer-unavailable',
  'peer-answer',
]);
export type JigErrorCode = v.InferOutput<typeof JigErrorCode>;

/** Body of every answer that is not 2xx. */
export const JigErrorBody = v.object({ error: v.string(), code: JigErrorCode });
export type JigErrorBody = v.InferOutput<typeof JigErrorBody>;

/** One line change or wait of a run; times are milliseconds since the run began. */
export const TraceEntry = v.object({
  /** Where the step stands in the sequence: `seq.2`, `seq.0.seq.1` inside a repeat. */
  step: v.string(),
  text: v.string(),
  /** When it was due if nothing were ever late. */
  plannedMs: v.number(),
  /** When it had happened. */
  actualMs: v.number(),
});
export type TraceEntry = v.InferOutput<typeof TraceEntry>;

/** How one run of a sequence went. */
export const RunReport = v.object({
  target: v.string(),
  sequence: v.string(),
  /** Number of the run since the jig started. */
  run: v.number(),
  outcome: v.picklist(['done', 'failed', 'aborted']),
  error: v.exactOptional(v.string()),
  /** Milliseconds since the epoch. */
  startedAtMs: v.number(),
  durationMs: v.number(),
  /** Longest delay of a step behind its plan. */
  latestMs: v.number(),
  trace: v.exactOptional(v.array(TraceEntry)),
});
export type RunReport = v.InferOutput<typeof RunReport>;

/** A target as `GET /targets/<target>` tells it. */
export const TargetStatus = v.object({
  name: v.string(),
  state: v.picklist(['idle', 'running', 'unavailable']),
  /** Why it is unavailable. */
  reason: v.exactOptional(v.string()),
  /** The sequence that runs. */
  sequence: v.exactOptional(v.string()),
  /** How many requests wait. */
  queued: v.number(),
  sequences: v.array(v.string()),
  lines: v.array(
    v.object({
      name: v.string(),
      direction: v.picklist(['in', 'out']),
      wire: v.exactOptional(v.string()),
      /** What an output is driven to, or an input carries: 1 active, 0 inactive. Left out while nobody knows. */
      value: v.exactOptional(v.picklist([0, 1, 'released'])),
    }),
  ),
  /** What its power was last switched to. */
  power: v.exactOptional(v.picklist(['on', 'off', 'unknown'])),
  last: v.exactOptional(RunReport),
});
export type TargetStatus = v.InferOutput<typeof TargetStatus>;

const At = {
  /** Milliseconds since the epoch. */
  atMs: v.number(),
  target: v.string(),
};

/** One line of `GET /events`, one message of its websocket. */
export const JigEvent = v.variant('event', [
  v.object({ event: v.literal('started'), ...At, run: v.number(), sequence: v.string() }),
  v.object({
    event: v.literal('step'),
    ...At,
    run: v.number(),
    sequence: v.string(),
    /** As in {@link TraceEntry}. */
    step: v.string(),
    text: v.string(),
  }),
  v.object({
    event: v.literal('ended'),
    ...At,
    run: v.number(),
    sequence: v.string(),
    outcome: RunReport.entries.outcome,
    error: v.exactOptional(v.string()),
    durationMs: v.number(),
    /** Longest delay of a step behind its plan. */
    latestMs: v.number(),
  }),
  v.object({ event: v.literal('unavailable'), ...At, reason: v.string() }),
  v.object({ event: v.literal('available'), ...At }),
  /** A line was active for longer than its `maxActive`, and has been told to go to its safe value. */
  v.object({ event: v.literal('overdue'), ...At, line: v.string(), maxActiveMs: v.number() }),
  /** An abort has made safe what an earlier sequence left otherwise; `power` is what it was switched to. */
  v.object({
    event: v.literal('safe'),
    ...At,
    lines: v.array(v.string()),
    power: v.exactOptional(v.picklist(['on', 'off'])),
  }),
]);
export type JigEvent = v.InferOutput<typeof JigEvent>;
