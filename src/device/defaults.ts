/** What holds where neither request nor config says otherwise. */

/** Sai's own place. */
export const DEFAULT_CONFIG = '/etc/sai/devices/conf';

export const DEFAULT_WAIT_MS = 2 * 3_600_000;
export const DEFAULT_MAX_LEASE_MS = 8 * 3_600_000;

/** From TERM to KILL. */
export const DEFAULT_GRACE_MS = 5000;
