import { describe, expect, it } from '@jest/globals';
import type { AcquireRequest, Waiter } from '../../../../lib/backends/backend.js';
import { Alarms } from '../../../../lib/common/alarms.js';
import { LockKeyError, LockUnavailableError } from '../../../../lib/common/errors.js';
import { LinkedList } from '../../../../lib/common/linked-list.js';
import { AcquireAttempts, type Cancellable } from '../../../../lib/locks/acquire/acquire-attempts.js';
import { FakeClock, FakeEntropy } from '../../../support/fake-clock.js';
import { transitionTable } from '../../../support/transition-table.js';
import { FakeBackend } from '../support/fake-backend.js';

/** The attempts of an acquire, and what can happen to it. */
class Subject {
  private readonly clock = new FakeClock({ now: 1000 });
  private readonly backend = new FakeBackend(this.clock);
  private readonly tested: AcquireAttempts;
  private readonly req: AcquireRequest = { key: 'k', kind: 'lock', limit: 1, leaseMs: 10_000, deadline: 2000 };
  private waiter!: Waiter;
  attempts = 0;
  abandoned = 0;
  readonly outcomes: string[] = [];

  constructor() {
    const { backend, clock } = this;
    backend.enqueue = (_, __, waiter) => {
      this.attempts++;
      this.waiter = waiter;
      return { cancel: () => undefined };
    };
    backend.abandon = () => void this.abandoned++;
    const waiting = new LinkedList<Cancellable>();
    const context = { backend, clock, entropy: new FakeEntropy(), alarms: new Alarms(clock), waiting };
    this.tested = new AcquireAttempts(context, this.req, undefined, {
      granted: () => void this.outcomes.push('granted'),
      failed: () => void this.outcomes.push('failed'),
    });
    waiting.push(this.tested);
    this.waiter = this.tested;
  }

  /** Assigned in the line that does what it stands for. */
  get step(): string {
    return (this.tested as unknown as { step: string }).step;
  }

  readonly events: Record<string, () => void> = {
    start: () => this.tested.start(),
    wake: () => this.tested.wake(),
    ring: () => this.tested.ring(1500),
    late: () => this.tested.ring(2000),
    busy: () => this.waiter.refused(new LockUnavailableError('busy')),
    refused: () => this.waiter.refused(new LockKeyError('no')),
    granted: () => this.waiter.granted(this.backend.grantFor(this.req)),
    cancel: () => this.tested.cancel(new Error('enough')),
  };
}

const WAYS: Record<string, readonly string[]> = {
  starting: [],
  attempting: ['start'],
  pausing: ['start', 'busy'],
  over: ['start', 'cancel'],
};

describe('every event in every step of the attempts of an acquire', () => {
  // `-`: start() is called once, the backend speaks after it, and the alarm is set in a pause only.
  const { events, rows } = transitionTable(`
               start      wake       ring       late busy    refused granted cancel
    starting   attempting starting   -          -    -       -       -       over
    attempting -          attempting -          -    pausing over    over    over
    pausing    -          attempting attempting over pausing over    over    over
    over       -          over       -          -    over    over    over    over`);

  const cases = rows.flatMap(({ state, next }) =>
    events.map((event, at) => [state, event, next[at]!] as const).filter(([, , to]) => to !== '-'),
  );
  it.each(cases)('%s: %s → %s', (from, event, to) => {
    const subject = new Subject();
    for (const before of WAYS[from]!) subject.events[before]!();
    expect(subject.step).toBe(from);
    const [attempts, outcomes] = [subject.attempts, subject.outcomes.length];
    subject.events[event]!();
    expect(subject.step).toBe(to);
    // An attempt is made on the way to it, and its caller is told once: on the way to the end.
    expect(subject.attempts - attempts).toBe(to === 'attempting' && from !== to ? 1 : 0);
    expect(subject.outcomes.length - outcomes).toBe(to === 'over' && from !== to ? 1 : 0);
    expect(subject.abandoned).toBe(from === 'over' && event === 'granted' ? 1 : 0);
  });
});
