import type { LocalWaiter, LaneGrant } from '../../../../../lib/backends/dflockd/queues/local-waiter.js';
import { type Done, Exchange } from '../../../../../lib/backends/dflockd/lanes/exchange.js';
import type { Lane } from '../../../../../lib/backends/dflockd/lanes/lane.js';
import type { LockError } from '../../../../../lib/common/errors.js';
import type { Ms } from '../../../../../lib/common/system.js';
import type { Reply, Request } from '../../../../../lib/protocol/messages.js';

/** What others see of a lane. It answers what a test says, when it says so. */
export class FakeLane {
  readonly server = 'host:6388';
  grants = 0;
  isUsable = true;
  proven: Ms = Infinity;
  readonly sent: Exchange[] = [];
  ending: LockError | undefined;

  constructor(readonly role: 'command' | 'wait' = 'wait') {}

  /** As what it stands for. */
  get lane(): Lane {
    return this as unknown as Lane;
  }

  get isEnded(): boolean {
    return this.ending !== undefined;
  }

  get requests(): Request[] {
    return this.sent.map(({ request }) => request);
  }

  provenUntil(): Ms {
    return this.proven;
  }

  adopt(): void {
    this.grants++;
  }

  disown(): void {
    this.grants--;
  }

  send(request: Request, done: Done): Exchange {
    const exchange = new Exchange(request, done, 1000);
    this.sent.push(exchange);
    if (this.ending) done(this.ending, 0);
    return exchange;
  }

  forget(exchange: Exchange): void {
    exchange.done = undefined;
  }

  end(error: LockError): void {
    if (this.ending) return;
    this.ending = error;
    this.isUsable = false;
  }

  /** To the newest request, as if it had been sent at `sentAt`. */
  answer(outcome: Reply | LockError, sentAt: Ms = 0): void {
    const exchange = this.sent.at(-1)!;
    exchange.sentAt = sentAt;
    exchange.done?.(outcome, sentAt);
  }

  grant(change: Partial<LaneGrant> = {}): LaneGrant {
    return { lane: this.lane, token: 't', leaseMs: 10_000, validFrom: 0, ...change };
  }
}

/** Somebody in a key queue, and what it was told. */
export class FakeWaiter implements LocalWaiter {
  prev: LocalWaiter | undefined;
  next: LocalWaiter | undefined;
  handover: LocalWaiter['handover'];
  arrival = 0;
  autoRenew = false;
  queuedCount = 0;
  grants: LaneGrant[] = [];
  errors: LockError[] = [];

  constructor(
    readonly leaseMs: Ms = 10_000,
    readonly deadline: Ms = Infinity,
  ) {}

  queued(): void {
    this.queuedCount++;
  }

  granted(grant: LaneGrant): void {
    this.grants.push(grant);
  }

  failed(error: LockError): void {
    this.errors.push(error);
  }
}
