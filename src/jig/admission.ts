/** Who may ask. */

import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { FENCE_HEADER } from '../wire/jig.ts';
import { JigError } from './jig-error.ts';

/** Knows the tokens, if there are any. */
export class Admission {
  readonly #tokens: readonly Buffer[] | undefined;

  constructor(tokens: readonly string[] | undefined) {
    this.#tokens = tokens?.map(digest);
  }

  get asksForToken(): boolean {
    return this.#tokens !== undefined;
  }

  /** @throws {JigError} `unauthorized` */
  checkToken({ authorization }: IncomingHttpHeaders): void {
    if (!this.#tokens || this.#holdsToken(authorization)) return;
    const found = authorization === undefined ? 'none' : 'another';
    throw new JigError(
      'unauthorized',
      `expected "Authorization: Bearer <token>" with a token of this jig, got ${found}`,
    );
  }

  /**
   * Keeps web pages from pressing reset through the browser of somebody in the lab.
   *
   * Browsers send `Sec-Fetch-Site` only to hosts they trust, and to `http://pi:44000` neither that nor, with an
   * image, an `Origin`; so without a token a browser is also known by what no page can change, its name.
   *
   * @throws {JigError} `forbidden`
   */
  checkNoWebPage(headers: IncomingHttpHeaders): void {
    const site = headers['sec-fetch-site'];
    const isTyped =
      site === 'none' && headers['sec-purpose'] === undefined && headers['purpose'] === undefined;
    const isNamed = /^mozilla\//i.test(headers['user-agent'] ?? '');
    const isBrowser = isNamed && !isTyped && !(this.#tokens && this.#holdsToken(headers.authorization));
    const sign =
      (headers.origin !== undefined && 'Origin') ||
      (headers.referer !== undefined && 'Referer') ||
      (site !== undefined && !isTyped && 'Sec-Fetch-Site') ||
      (isBrowser && 'User-Agent');
    if (sign)
      throw new JigError(
        'forbidden',
        `expected a request that no web page can send, got one with ${sign} of a browser; use curl or sai jig`,
      );
  }

  /** The first digits of the token's SHA-256, to tell tokens apart without telling them. */
  tokenName({ authorization }: IncomingHttpHeaders): string | undefined {
    const token = /^bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
    return token === undefined || !this.#holdsToken(authorization)
      ? undefined
      : digest(token).toString('hex').slice(0, 8);
  }

  #holdsToken(authorization: string | undefined): boolean {
    const token = /^bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
    if (token === undefined) return false;
    const given = digest(token);
    // Each is compared, so that the time does not tell which one was near.
    return (this.#tokens ?? []).map((each) => timingSafeEqual(each, given)).includes(true);
  }
}

/** The fence that a request carries. @throws {JigError} `bad-request` when it is no number */
export function fenceOf(headers: IncomingHttpHeaders): number | undefined {
  const text = headers[FENCE_HEADER];
  if (text === undefined) return undefined;
  const fence = typeof text === 'string' && /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(fence)) return fence;
  throw new JigError('bad-request', `Sai-Fence: expected a whole number, got ${JSON.stringify(text)}`);
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
