import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import { RigError, reasonOf } from '../base/errors.ts';
import type { JigConfig } from './config.ts';

/** Time to make a new certificate. */
const SOON_MS = 30 * 24 * 3600 * 1000;

/** What an https server is made with. */
export interface TlsIdentity {
  readonly cert: string;
  readonly key: string;
  /** Who signs the certificates that clients have to show; undefined when they need none. */
  readonly ca: string | undefined;
}

/** The files of a config that was read from `file`. @throws {RigError} blame `config` */
export function readTls({ tls }: JigConfig, file: string): TlsIdentity | undefined {
  if (!tls) return undefined;
  const read = (key: 'cert' | 'key' | 'clientCa', name: string): string => {
    try {
      return readFileSync(resolve(dirname(file), name), 'utf8');
    } catch (error) {
      throw new RigError(
        'config',
        `${file}: tls.${key}: expected a file that can be read: ${reasonOf(error)}`,
        {
          cause: error,
        },
      );
    }
  };
  const cert = read('cert', tls.cert);
  const key = read('key', tls.key);
  const ca = tls.clientCa === undefined ? undefined : read('clientCa', tls.clientCa);
  try {
    createSecureContext({ cert, key, ...(ca === undefined ? {} : { ca }) });
  } catch (error) {
    throw new RigError(
      'config',
      `${file}: tls: expected a certificate and its key, both PEM and without a passphrase: ${reasonOf(error)}`,
      { cause: error },
    );
  }
  if (ca !== undefined && !ca.includes('-----BEGIN CERTIFICATE-----')) {
    throw new RigError('config', `${file}: tls.clientCa: expected certificates in PEM, got none`);
  }
  return { cert, key, ca };
}

/** What to tell of a certificate that is over, or soon is; no error: the clock of a Pi is wrong until it has asked. */
export function expiryRemark({ cert }: TlsIdentity, nowMs: number): string | undefined {
  const { validTo } = new X509Certificate(cert);
  const leftMs = Date.parse(validTo) - nowMs;
  if (leftMs > SOON_MS) return undefined;
  const when = leftMs > 0 ? 'ends' : 'ended';
  return `tls.cert: the certificate ${when} on ${validTo}; make a new one, and start the jig again`;
}
