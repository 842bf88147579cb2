import { errnoCode, RigError, reasonOf } from '../base/errors.ts';
import { oneLine } from '../base/one-line.ts';
import { ENV } from '../wire/env.ts';

/** Source: OpenSSL, verify(1); Node.js, tls, `checkServerIdentity`. */
const ADVICE: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'the jig needs a new one (tls.cert), and to be started again',
  CERT_NOT_YET_VALID: 'is the clock of this host right?',
  ERR_TLS_CERT_ALTNAME_INVALID: 'ask for it by a name that its certificate has',
};

/** Why a jig at `url` gave no answer, and what to do. */
export function noAnswer(error: Error, url: string): RigError {
  const code = errnoCode(error) ?? '';
  const reason = oneLine(reasonOf(error));
  const told = (blame: 'protocol' | 'unavailable' | 'config', text: string): RigError =>
    new RigError(blame, `jig ${url}: ${text}`, { cause: error });
  if (code.startsWith('HPE_')) return told('protocol', 'expected an answer in HTTP, got something else');
  if (/wrong version number|packet length too long/.test(reason)) {
    return told('protocol', 'expected an answer in TLS, got something else; is its address http://?');
  }
  if (code === 'ECONNRESET' && url.startsWith('http:')) {
    return told('unavailable', `it hung up without an answer: ${reason}; is its address https://?`);
  }
  if (code.startsWith('ERR_SSL_') && /CERTIFICATE_REQUIRED|UNKNOWN_CA|BAD_CERTIFICATE|EXPIRED/.test(code)) {
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
