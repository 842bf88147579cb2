import { errnoCode, RigError, reasonOf } from '../base/errors.ts';
import { oneLine } from '../base/one-line.ts';
import { ENV } from '../wire/env.ts';

/** Source: OpenSSL, verify(1); Node.js, tls, `checkServerIdentity`. */
const ADVICE: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'the jig needs a new one (tls.cert), and to be started again',
  CERT_NOT_YET_VALID: 'is the clock of this host right?',
  ERR_TLS_CERT_ALTNAME_INVALID: 'ask for it by a name that its certificate has',
};

/** Where a jig is, in messages: what is asked of it there is not for people. */
export function placeOf(url: string): string {
  return url.replace(/\?.*$/s, '');
}

/** Over TLS, whether the peer has ended the connection without an answer. */
export function isHangUp(error: Error, url: string): boolean {
  return url.startsWith('https:') && ['ECONNRESET', 'EPIPE'].includes(errnoCode(error) ?? '');
}

/** Of a jig that knows who signed its clients' certificates, and did not sign this one. */
export function refusedCertificate(error: Error, url: string): RigError {
  return new RigError(
    'config',
    `jig ${placeOf(url)}: the jig does not take this certificate (${errnoCode(error)}); name one in ${ENV.jigCertificate} and ${ENV.jigKey} that its clientCa signed and that has not ended`,
    { cause: error },
  );
}

/** Why a jig at `url` gave no answer, and what to do. */
export function noAnswer(error: Error, url: string): RigError {
  const code = errnoCode(error) ?? '';
  const reason = oneLine(reasonOf(error));
  const told = (blame: 'protocol' | 'unavailable' | 'config', text: string): RigError =>
    new RigError(blame, `jig ${placeOf(url)}: ${text}`, { cause: error });
  if (code.startsWith('HPE_')) return told('protocol', 'expected an answer in HTTP, got something else');
  if (/wrong version number|packet length too long/.test(reason)) {
    return told('protocol', 'expected an answer in TLS, got something else; is its address http://?');
  }
  if (code === 'ECONNRESET' && url.startsWith('http:')) {
    return told('unavailable', `it hung up without an answer: ${reason}; is its address https://?`);
  }
  if (code.startsWith('ERR_SSL_') && /UNKNOWN_CA|BAD_CERTIFICATE|EXPIRED/.test(code)) {
    return refusedCertificate(error, url);
  }
  if (code.startsWith('ERR_SSL_') && code.includes('CERTIFICATE_REQUIRED')) {
    return told(
      'config',
      `it takes only clients with a certificate that it knows (${code}); name it in ${ENV.jigCertificate} and ${ENV.jigKey}`,
    );
  }
  if (/CERT|SIGNATURE/.test(code)) {
    const advice = ADVICE[code] ?? 'NODE_EXTRA_CA_CERTS names the file of who has signed it';
    return told('unavailable', `its certificate cannot be trusted: ${reason}; ${advice}`);
  }
  return told('unavailable', `it does not answer: ${reason}`);
}
