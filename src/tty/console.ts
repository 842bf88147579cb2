/** A byte channel to one DUT, whatever driver is behind it. */
export interface Console extends AsyncDisposable {
  /** How people name it in messages: `tty0 (/dev/ttyUSB0)`. */
  readonly label: string;

  /**
   * Raw bytes as they arrive: undecoded, in any chunking, never empty. What had arrived before the console was
   * opened comes first. One reader only. Ends when the console is disposed.
   *
   * @throws {RigError} blame `hardware` when the tty goes away
   */
  readonly bytes: AsyncIterable<Uint8Array>;

  /**
   * Resolves once the kernel has taken all of `bytes`, not once the DUT has read them.
   *
   * @throws {RigError} blame `hardware` when the tty goes away
   */
  send(bytes: Uint8Array, signal?: AbortSignal): Promise<void>;
}
