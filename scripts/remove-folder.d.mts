/** Removes a folder into which those who are about to end may still write; who does not end keeps it. Never throws. */
export function removeFolder(path: string): Promise<void>;
