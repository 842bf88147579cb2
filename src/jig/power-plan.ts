import { durationMs, type Power } from './config.ts';
import { withoutSecrets } from './http-call.ts';

/** How the power of a target is switched. */
export interface PowerPlan {
  readonly outlet: Outlet;
  /** At start, at stop, after an abort or a failure. */
  readonly safe: 'on' | 'off' | 'keep';
  /** Off for at least that, before it is on again. */
  readonly minOffMs: number;
  /** From once on to the next. */
  readonly minIntervalMs: number;
}

export type Outlet = { readonly withinMs: number } & (
  | {
      readonly kind: 'tasmota';
      readonly url: string;
      readonly relay: number | undefined;
      readonly login: { readonly user: string; readonly password: string } | undefined;
    }
  | { readonly kind: 'uhubctl'; readonly location: string; readonly port: number }
  | {
      readonly kind: 'command';
      readonly on: readonly string[];
      readonly off: readonly string[];
      readonly state: readonly string[] | undefined;
    }
);

/** A plug on the next desk answers in milliseconds; uhubctl takes two seconds for a hub. */
const DEFAULT_WITHIN_MS = 5000;

export function planPower(power: Power): PowerPlan {
  const { safe, minOff = 0, minInterval = 0 } = power;
  return {
    outlet: outletOf(power),
    safe,
    minOffMs: durationMs(minOff),
    minIntervalMs: durationMs(minInterval),
  };
}

function outletOf(power: Power): Outlet {
  const withinMs = power.within === undefined ? DEFAULT_WITHIN_MS : durationMs(power.within);
  switch (power.kind) {
    case 'tasmota': {
      const { kind, url, relay, password, user = 'admin' } = power;
      return { kind, withinMs, url, relay, login: password === undefined ? undefined : { user, password } };
    }
    case 'uhubctl':
      return { kind: power.kind, withinMs, location: power.location, port: power.port };
    case 'command':
      return { kind: power.kind, withinMs, on: power.on, off: power.off, state: power.state };
  }
}

/** How long it takes at most until it is safe: the time of each of a `command`'s programs, and that of their kill. */
export function longestToSafeMs({ outlet, safe, minOffMs }: PowerPlan): number {
  if (safe === 'keep') return 0;
  return 2 * (outlet.withinMs + 1000) + (safe === 'on' ? minOffMs : 0);
}

/** As people and messages name it. */
export function outletText(outlet: Outlet): string {
  switch (outlet.kind) {
    case 'tasmota':
      return `plug ${withoutSecrets(outlet.url)}${outlet.relay === undefined ? '' : `, relay ${outlet.relay}`}`;
    case 'uhubctl':
      return `hub ${outlet.location}, port ${outlet.port}`;
    case 'command':
      return `command ${outlet.on.join(' ')}`;
  }
}
