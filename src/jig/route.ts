/** What a request asks for. Nothing here touches a line. */

import { parseDurationMs } from '../base/duration.ts';
import { reasonOf } from '../base/errors.ts';
import { JigError } from './jig-error.ts';

interface RunOptions {
  readonly waitMs: number;
  readonly onGone: 'finish' | 'abort';
}

export type Route =
  | { readonly kind: 'index' | 'targets' | 'health' | 'events' | 'metrics' }
  | { readonly kind: 'target' | 'abort'; readonly target: string }
  | ({
      readonly kind: 'run';
      readonly target: string;
      readonly sequence: string | undefined;
      /** `sai`: the short form that Sai's clients know; `api`: answered with the trace. */
      readonly form: 'sai' | 'api';
    } & RunOptions);

/** @throws {JigError} for anything but exactly what there is */
export function routeOf(method: string, url: string): Route {
  const [path = '', query = ''] = url.split(/\?(.*)/s, 2);
  if (!path.startsWith('/')) throw new JigError('bad-request', 'expected a path that begins with /');
  const words = path.slice(1).split('/').map(decode);
  const [first = '', second, third, fourth] = words;
  const read = (route: Route): Route => reading(method, query, route);
  if (path === '/') return read({ kind: 'index' });
  if (words.includes('') || words.length > 4) throw notFound();
  if (words.length === 1 && first === 'healthz') return read({ kind: 'health' });
  if (words.length === 1 && first === 'metrics') return read({ kind: 'metrics' });
  if (words.length === 1 && first === 'events') return read({ kind: 'events' });
  if (first === 'targets') {
    if (second === undefined) return read({ kind: 'targets' });
    if (third === undefined) return read({ kind: 'target', target: second });
    if (third === 'abort' && fourth === undefined) {
      requirePost(method);
      refuseOptions(query);
      return { kind: 'abort', target: second };
    }
    if (third !== 'sequences' || fourth === undefined) throw notFound();
    requirePost(method);
    return { kind: 'run', form: 'api', target: second, sequence: fourth, ...optionsOf(query) };
  }
  if (words.length > 2) throw notFound();
  if (method !== 'GET' && method !== 'POST') throw wrongMethod(method, 'GET', 'POST');
  return { kind: 'run', form: 'sai', target: first, sequence: second, ...optionsOf(query) };
}

/** Names those that there are, as HTTP asks for. Source: RFC 9110, 15.5.6. */
export class WrongMethod extends JigError {
  readonly allowed: readonly string[];

  constructor(method: string, allowed: readonly string[]) {
    super('wrong-method', `expected ${allowed.join(' or ')}, got ${method}`);
    this.allowed = allowed;
  }
}

function reading(method: string, query: string, route: Route): Route {
  if (method !== 'GET') throw wrongMethod(method, 'GET');
  refuseOptions(query);
  return route;
}

function requirePost(method: string): void {
  if (method !== 'POST') throw wrongMethod(method, 'POST');
}

function refuseOptions(query: string): void {
  const [option] = new URLSearchParams(query).keys();
  if (option !== undefined)
    throw new JigError('bad-request', `expected no options, got ${JSON.stringify(option)}`);
}

/** A misspelt option must not press a button that was meant to wait. */
function optionsOf(query: string): RunOptions {
  let waitMs = 0;
  let onGone: RunOptions['onGone'] = 'finish';
  for (const [key, value] of new URLSearchParams(query)) {
    if (key === 'wait') {
      waitMs = durationOf(value);
    } else if (key === 'on-disconnect') {
      if (value !== 'abort' && value !== 'finish') {
        throw new JigError(
          'bad-request',
          `on-disconnect: expected abort or finish, got ${JSON.stringify(value)}`,
        );
      }
      onGone = value;
    } else {
      throw new JigError(
        'bad-request',
        `expected the options wait and on-disconnect, got ${JSON.stringify(key)}`,
      );
    }
  }
  return { waitMs, onGone };
}

function durationOf(text: string): number {
  try {
    return parseDurationMs(text, 'wait');
  } catch (error) {
    throw new JigError('bad-request', reasonOf(error), { cause: error });
  }
}

function decode(word: string): string {
  try {
    return decodeURIComponent(word);
  } catch (error) {
    throw new JigError('bad-request', `expected a percent-encoded path, got ${JSON.stringify(word)}`, {
      cause: error,
    });
  }
}

function notFound(): JigError {
  return new JigError(
    'not-found',
    'expected /TARGET/SEQUENCE, /targets, /events, /healthz or /metrics; GET / lists what there is',
  );
}

function wrongMethod(method: string, ...allowed: string[]): WrongMethod {
  return new WrongMethod(method, allowed);
}
