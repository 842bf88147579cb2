/** Paths of what QEMU loads. */
export interface GpioGuestFiles {
  readonly kernel: string;
  readonly initramfs: string;
}

export function gpioGuest(): GpioGuestFiles | undefined;
export function prepareGpioGuest(say: (text: string) => void): Promise<GpioGuestFiles>;
