/** Most bytes of all signals that wait for listeners. */
const MAX_BYTES = 256 * 2 ** 20;
/** A listener with fewer bytes waiting is never disconnected because of what waits for others. */
const FAIR_BYTES = 64 * 1024;

/** Counts the bytes of signals that wait for listeners: thousands that do not read must not exhaust the memory. */
export class SignalMemory {
  private used = 0;

  constructor(private readonly most = MAX_BYTES) {}

  /** Whether a listener with `waiting` bytes may be sent more. */
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
