/** What the further devices of a request are called. */

import { RigError } from '../base/errors.ts';
import { RESERVED_ROLES } from '../wire/env.ts';

/** A device that is wanted as well, and what its variables are called after: `SAI_<ROLE>_TTY0`. */
export interface RoleRequest {
  readonly role: string;
  readonly type: string;
}

/**
 * The same requests. `where` is what they were said by, such as `--and`.
 *
 * @throws {RigError} blame `usage` for a role that cannot be one, or comes twice: `peer` and `PEER` have the same
 *   variables
 */
export function checkRoles(requests: readonly RoleRequest[], where: string): readonly RoleRequest[] {
  const roles = requests.map(({ role }) => role.toUpperCase());
  for (const [index, { role, type }] of requests.entries()) {
    if (!/^[A-Za-z][A-Za-z0-9_]{0,31}$/.test(role) || !/^[^\s,=]+$/.test(type)) {
      const got = JSON.stringify(type === '' ? role : `${role}=${type}`);
      throw usage(
        `${where}: expected ROLE=TYPE, such as peer=nrf52, the role of letters, digits and _, got ${got}`,
      );
    }
    const [firstWord = ''] = role.toUpperCase().split('_');
    if (RESERVED_ROLES.has(firstWord)) {
      throw usage(
        `${where}: expected a role of your own, got ${role}: SAI_${firstWord}_… means something else`,
      );
    }
    if (roles.indexOf(role.toUpperCase()) !== index)
      throw usage(`${where}: expected each role once, got ${role} again`);
  }
  return requests;
}

/** Of one role, whatever the case. */
export function isRole(role: string | undefined, other: string): boolean {
  return role?.toUpperCase() === other.toUpperCase();
}

function usage(text: string): RigError {
  return new RigError('usage', text);
}
