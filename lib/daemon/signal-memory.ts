/** What signals may take that wait for listeners, all together. */
const MAX_BYTES = 256 * 2 ** 20;
/** A listener for which no more waits is never cut off for what waits for others. */
const FAIR_BYTES = 64 * 1024;

/** Counts the bytes of signals that wait for listeners, so that thousands who do not read cannot use up the memory. */
export class SignalMemory {
  private used = 0;

  constructor(private readonly most = MAX_BYTES) {}

  /** Whether a listener for which so much waits may be sent more. */
  allows(waiting: number): boolean {
    return this.used < this.most || waiting < FAIR_BYTES;
  }

  take(bytes: number): void {
    this.used += bytes;
  }

  free(bytes: number): void {
    this.used -= bytes;
  }
}
