import { userInfo } from 'node:os';

/** Login name of this process's user, or the number of a user without one, as in many containers. */
export function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? 'unknown');
  }
}
