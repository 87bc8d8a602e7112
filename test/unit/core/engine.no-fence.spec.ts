import { beforeEach, describe, expect, it } from '@jest/globals';
import type { FenceSource } from '../../../lib/core/tokens.js';
import { NO_FENCE } from '../../../lib/core/types.js';
import { CountingObserver } from '../../support/counting-observer.js';
import { checkInvariants } from '../../support/engine-invariants.js';
import { EngineHarness, lock, sem, type Target } from '../../support/engine-harness.js';

/** Fences one by one, as long as there are some. */
class Purse implements FenceSource {
  left = 0;
  take(after: bigint) {
    return this.left-- > 0 ? { after, count: 1 } : undefined;
  }
}

const targets: [string, Target][] = [
  ['a lock', lock('k')],
  ['a semaphore', sem('k', 1)],
];

describe.each(targets)('%s, while no fence may be issued', (_, target) => {
  let purse: Purse;
  let h: EngineHarness;
  let observer: CountingObserver;
  beforeEach(() => {
    purse = new Purse();
    observer = new CountingObserver();
    h = new EngineHarness({ observer, maxLocks: 1 }, 0n, purse);
    h.afterUse = () => checkInvariants(h.engine);
  });

  const held = (leaseMs?: number): string => {
    purse.left = 1;
    const { answer } = h.peer('holder').acquire(target, { leaseMs: leaseMs ?? 0 });
    purse.left = 0;
    return (answer as { token: string }).token;
  };

  it('is not granted, and is granted once fences are issued again', () => {
    const peer = h.peer();
    for (const asked of [peer.acquire(target), peer.acquire(target, { waitMs: 5000 }), peer.enqueue(target)]) {
      expect(asked.answer).toBe(NO_FENCE);
    }
    expect(h.engine.isHeld(target.kind, 'k')).toBe(false);
    purse.left = 1;
    expect(peer.enqueue(target).answer).toMatchObject({ s: 'acquired' });
    expect(observer).toMatchObject({ held: 1, waiting: 0 });
  });

  it('leaves nothing of a refused key behind, which would count for max-locks for ever', () => {
    h.peer().acquire(target);
    h.advance(120_000);
    purse.left = 1;
    expect(h.peer().acquire(lock('other')).answer).toMatchObject({ s: 'granted' });
  });

  it.each(['release', 'expiry', 'disconnect'] as const)('refuses everybody who waits for it, at a %s', (how) => {
    const token = held(1000);
    const [holder, other, queued] = [h.peer(), h.peer(), h.peer()];
    const waits = [holder, other].map((peer) => peer.acquire(target, { waitMs: 60_000 }));
    queued.enqueue(target);
    const enqueuedWait = h.peer();
    enqueuedWait.enqueue(target);
    waits.push(enqueuedWait.wait(target, 60_000));
    if (how === 'release') h.peer().release(target, token);
    if (how === 'expiry') h.advance(3000);
    if (how === 'disconnect') h.engine.close(holder.session, h.now, true);
    if (how === 'disconnect') h.peer().release(target, token);
    const rest = how === 'disconnect' ? waits.slice(1) : waits;
    for (const { answer } of rest) expect(answer).toBe(NO_FENCE);
    expect(queued.wait(target, 1000).answer).toMatchObject({ s: 'not_enqueued' });
    expect(observer).toMatchObject({ held: 0, waiting: 0 });
    purse.left = 1;
    expect(h.peer().acquire(target).answer).toMatchObject({ s: 'granted' });
  });

  it('is renewed and released as ever', () => {
    const token = held();
    expect(h.peer().renew(target, token)).toMatchObject({ s: 'renewed' });
    expect(h.peer().release(target, token)).toMatchObject({ s: 'ok' });
  });
});
