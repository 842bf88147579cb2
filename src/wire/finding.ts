import * as v from 'valibot';

/** Who is to blame for a failed step: the firmware or test, the rig, nobody. */
export const Verdict = v.picklist(['pass', 'fail', 'infra', 'skip', 'cancelled']);
export type Verdict = v.InferOutput<typeof Verdict>;

/** One JSON line in `$SAI_FINDINGS`: how a failure's cause survives a test runner that has one status for all. */
export const Finding = v.strictObject({
  tool: v.string(),
  verdict: v.picklist(['fail', 'infra']),
  blame: v.picklist(['usage', 'config', 'busy', 'unavailable', 'hardware', 'protocol', 'verdict', 'bug']),
  /** The device's name. */
  device: v.exactOptional(v.string()),
  /** How people name the tty: `tty0 (/dev/ttyUSB0)`. */
  tty: v.exactOptional(v.string()),
  /** The step as the user wrote it. */
  step: v.exactOptional(v.string()),
  /** The line that was shown to the user. */
  evidence: v.string(),
  /** Milliseconds since the epoch. */
  atMs: v.number(),
  /** Milliseconds of CLOCK_MONOTONIC. */
  monotonicMs: v.number(),
});
export type Finding = v.InferOutput<typeof Finding>;
