import type { Session } from '../../core/session.js';
import type { Answer, SessionSink } from '../../core/types.js';
import type { Entry } from './ledger.js';

/** A counted lock: a name, and its holders in the order in which they came. */
export class SharedLock implements Entry<SharedLock> {
  prev: SharedLock | undefined = undefined;
  next: SharedLock | undefined = undefined;
  serial = 0;
  readonly holders = new Set<Member>();

  constructor(readonly key: string) {}
}

/** One connection, as the state of the listener sees it. Identity of a client is its connection. */
export class Member implements SessionSink {
  /** Set by `iam`; may be empty. */
  name: string | undefined = undefined;
  /** The shared locks that it holds. Its exclusive locks are those of its session. */
  readonly shared = new Set<SharedLock>();
  /** It has disconnected; what it held is being released. */
  isGone = false;
  /** The answer of the engine to the last command. */
  answer: Answer | undefined = undefined;
  session!: Session;

  constructor(
    /** `host:port` of the client, as this machine sees it. */
    readonly address: string,
  ) {}

  get holdsAnything(): boolean {
    return this.session.holds.size > 0 || this.shared.size > 0;
  }

  /** The registered name or, without one, the address. */
  get label(): string {
    return this.name ? this.name : this.address;
  }

  /** SessionSink. Nothing waits here, so every command is answered at once. */
  reply(_op: number, answer: Answer): void {
    this.answer = answer;
  }

  /** SessionSink. It has no subscriptions. */
  push(): boolean {
    return false;
  }

  /** SessionSink */
  evict(): void {
    // Only listeners are evicted.
  }
}
