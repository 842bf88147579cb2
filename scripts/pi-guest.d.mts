/** Paths of what QEMU loads. */
export interface PiGuestFiles {
  readonly kernel: string;
  readonly deviceTree: string;
  readonly initramfs: string;
}

export function preparePiGuest(scratch: string, say: (text: string) => void): Promise<PiGuestFiles>;
