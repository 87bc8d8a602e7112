import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { AcquireRequest } from '../../../../lib/backends/backend.js';
import { LimitMismatchError } from '../../../../lib/common/errors.js';
import { systemClock } from '../../../../lib/common/system.js';
import { stopwatch } from '../../../support/stopwatch.js';
import { inTime, until } from '../../../support/until.js';
import { busy, request, Scripted, TOKEN } from './support/scripted.js';
import { enqueue, type Waiting } from '../../../support/lock-backend.js';

let scripted: Scripted;
let blocker: Waiting;

const join = (change: Partial<AcquireRequest> = {}): Waiting => {
  const pending = enqueue(scripted.backend, request(change), 'queue');
  pending.grant.catch(() => undefined);
  return pending;
};

const tries = (key = 'k') =>
  scripted.said('acquire').filter((r) => r.t === 'acquire' && r.waitMs === 0 && r.key === key);

const polling = () => until(() => scripted.backend.lanes()[0]!.polling === 1, 'the polling');

/** Answers to tries for `k`. */
function answerTries(answer: string | undefined): void {
  scripted.server.script = (r, peer) => (r.t === 'acquire' && r.waitMs === 0 && r.key === 'k' ? answer : busy(r, peer));
}

beforeEach(async () => {
  scripted = await Scripted.start({ maxWaitLanes: 1, reconnect: { minDelayMs: 5, maxDelayMs: 10 } }, busy);
  blocker = join({ key: 'blocker' });
  await until(() => scripted.waiting('blocker').length === 1, 'the only place');
});

afterEach(async () => {
  blocker.cancel(new Error('test over'));
  await scripted.close();
});

describe('a key queue that polls', () => {
  it('serves one caller after the other, each with a try that is granted', async () => {
    const callers = [join(), join(), join()];
    await polling();
    answerTries(`ok ${TOKEN} 10\n`);
    for (const caller of callers) await inTime(caller.grant, 'the grant');
    expect(scripted.backend.leftOvers().queues).toBe(1);
  });

  it.each(['error_max_waiters', 'error_max_locks', 'error'])('goes on after %s', async (answer) => {
    const caller = join();
    await polling();
    answerTries(`${answer}\n`);
    const before = tries().length;
    await until(() => tries().length > before + 1, 'more tries');
    answerTries(`ok ${TOKEN} 10\n`);
    await inTime(caller.grant, 'the grant');
  });

  it('ends with what time does not heal', async () => {
    const callers = [join(), join()];
    await polling();
    answerTries('error_limit_mismatch\n');
    for (const caller of callers) {
      await expect(inTime(caller.grant, 'the refusal')).rejects.toBeInstanceOf(LimitMismatchError);
    }
  });

  it('goes on when the connection of a try is lost, and while there is none', async () => {
    const caller = join();
    await polling();
    answerTries(undefined);
    const before = tries().length;
    await until(() => tries().length > before, 'a try');
    const { port } = scripted.server;
    scripted.server.refuse();
    scripted.server.peers.find((peer) => peer.requests.some((r) => r.t === 'acquire' && r.waitMs === 0))!.reset();
    await until(() => scripted.states.includes('down'), 'the loss');
    // Several pauses between tries.
    await new Promise((resolve) => setTimeout(resolve, 120));
    expect(scripted.backend.lanes()[0]).toMatchObject({ polling: 1 });
    expect(scripted.states.at(-1)).toBe('down');
    const { FakeServer } = await import('./support/fake-server.js');
    const again = await FakeServer.start((r, peer) => (r.t === 'acquire' ? `ok ${TOKEN} 10\n` : busy(r, peer)), port);
    await inTime(caller.grant, 'the grant');
    await again.close();
  });

  it('asks for nothing more while its only caller waits for the renewal of what it got', async () => {
    const first = join({ leaseMs: 10_000 });
    await polling();
    answerTries(undefined);
    const before = tries().length;
    await until(() => tries().length > before, 'a try');
    const second = join({ leaseMs: 60_000 });
    first.cancel(new Error('enough'));
    const lane = scripted.server.peers.find((peer) => peer.requests.some((r) => r.t === 'acquire' && r.key === 'k'))!;
    const asked = tries().length;
    lane.say(`ok ${TOKEN} 10\n`);
    await until(() => lane.requests.at(-1)?.t === 'renew' || lane.requests.some((r) => r.t === 'renew'), 'the renewal');
    expect(await inTime(second.grant, 'the grant')).toMatchObject({ leaseMs: 60_000 });
    expect(tries()).toHaveLength(asked);
  });

  it('has its verdict at the deadline of each caller', async () => {
    const took = stopwatch();
    const began = systemClock.now();
    const hasty = join({ deadline: began + 60 });
    const patient = join({ deadline: began + 200 });
    await expect(inTime(hasty.grant, 'the end')).rejects.toMatchObject({ code: 'POOL_EXHAUSTED' });
    expect(took()).toBeLessThan(190);
    await expect(inTime(patient.grant, 'the end')).rejects.toMatchObject({ code: 'POOL_EXHAUSTED' });
  });
});
