import { RigError } from '../base/errors.ts';

/** Where a jig is, and which of its targets is meant. */
export interface JigAddress {
  /** Without a slash at its end. */
  readonly base: string;
  readonly target: string | undefined;
}

/**
 * `http://pi:44000` or `http://pi:44000/uno-1`, the last word of the path is the target; `what` names where it came from.
 *
 * @throws {RigError} blame `config`
 */
export function parseJigAddress(text: string, what: string): JigAddress {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const words = url?.pathname.split('/').filter((word) => word !== '') ?? [];
  const isWeb = url?.protocol === 'http:' || url?.protocol === 'https:';
  if (!url || !isWeb || url.search !== '' || url.hash !== '') {
    throw new RigError(
      'config',
      `${what}: expected a jig's URL, such as http://pi:44000/uno-1, got ${JSON.stringify(text)}`,
    );
  }
  const target = words.pop();
  return { base: [url.origin, ...words].join('/'), target };
}
