import { readFileSync } from 'node:fs';
import { createSecureContext, rootCertificates, type SecureContextOptions } from 'node:tls';
import { RigError, reasonOf } from '../base/errors.ts';
import { ENV } from '../wire/env.ts';

/** Files in PEM. */
export interface TlsFiles {
  /** Certificates to trust besides those of Node.js, for a command that starts without NODE_EXTRA_CA_CERTS. */
  readonly extraCertificates?: string | undefined;
  /** What a jig with `clientCa` asks for. */
  readonly certificate?: string | undefined;
  /** Of the certificate; the same file when left out. */
  readonly key?: string | undefined;
}

/** @throws {RigError} blame `config` for a certificate or key that will not do */
export function tlsOptions({ extraCertificates, certificate, key }: TlsFiles): SecureContextOptions {
  return {
    ...(extraCertificates ? trustIn(extraCertificates) : {}),
    ...(certificate ? identityIn(certificate, key || certificate) : {}),
  };
}

function identityIn(certificate: string, key: string): SecureContextOptions {
  const identity = { cert: read(certificate, ENV.jigCertificate), key: read(key, ENV.jigKey) };
  try {
    createSecureContext(identity);
    return identity;
  } catch (error) {
    throw new RigError(
      'config',
      `${ENV.jigCertificate} and ${ENV.jigKey}: expected a certificate and its key, both PEM and without a passphrase: ${reasonOf(error)}`,
      { cause: error },
    );
  }
}

function trustIn(path: string): SecureContextOptions {
  try {
    return { ca: [...rootCertificates, readFileSync(path, 'utf8')] };
  } catch {
    return {}; // as Node.js has it: where that matters, the handshake says so
  }
}

function read(path: string, name: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new RigError('config', `${name}: expected a file that can be read: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}
