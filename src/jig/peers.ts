import { type CallHttp, callHttp } from './http-call.ts';
import { turnerOf } from './outlets.ts';
import type { TurnPower } from './power.ts';
import type { Outlet } from './power-plan.ts';

/** What targets ask for something that is no line. */
export interface Peers {
  readonly callHttp: CallHttp;
  turnerOf(outlet: Outlet): TurnPower;
}

export const REAL_PEERS: Peers = { callHttp, turnerOf: (outlet) => turnerOf(outlet, callHttp) };

/** With these nothing is switched, and nobody asked. */
export const SIMULATED_PEERS: Peers = {
  callHttp: async ({ expected }) => ({ status: expected ?? 200, text: '' }),
  turnerOf: () => async () => {},
};
