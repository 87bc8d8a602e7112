import { beforeEach, describe, expect, it } from '@jest/globals';
import {
  type LockError,
  LockUnavailableError,
  PoolExhaustedError,
  ShuttingDownError,
} from '../../../../../lib/common/errors.js';
import { WaitConnections } from '../../../../../lib/backends/postgres/commands/wait-connections.js';
import type { WaitSession, WaitUser } from '../../../../../lib/backends/postgres/commands/wait-sessions.js';
import { settlePromises } from '../../../../support/fake-clock.js';
import { Connected, SETTINGS } from './connection.js';
import type { ModelSession } from './model-postgres.js';
import { namesOf, settle as settleAll } from '../process.js';

let us: Connected;
let waits: WaitConnections;
let free: number;
let degraded: string[];

async function start({ maxWaitConnections = 2, hasSpare = false, idleCloseMs = 0 } = {}): Promise<void> {
  us = new Connected(undefined, { idleCloseMs });
  us.dialer.hasSpare = hasSpare;
  waits = new WaitConnections(us.dialer, us.commands, us.clock, { ...SETTINGS, maxWaitConnections });
  free = 0;
  degraded = [];
  waits.onFree(() => free++);
  waits.onDegraded((detail) => degraded.push(detail));
  await us.commands.start();
  await settlePromises();
  free = 0;
}

beforeEach(() => start());

interface Taken {
  session?: WaitSession | undefined;
  error?: LockError | undefined;
  isTold: boolean;
  forget(): void;
}

function take(): Taken {
  const taken: Taken = { isTold: false, forget: () => undefined };
  taken.forget = waits.take((session, error) => {
    Object.assign(taken, { session, error, isTold: true });
  });
  return taken;
}

async function taken(): Promise<WaitSession> {
  const one = take();
  await settlePromises();
  return one.session!;
}

class Waiter implements WaitUser {
  said: string[] = [];
  fence = 0n;
  error: LockError | undefined;

  granted(fence: bigint): void {
    this.said.push('granted');
    this.fence = fence;
  }

  failed(error: LockError): void {
    this.said.push('failed');
    this.error = error;
  }
}

const model = (wait: WaitSession): ModelSession => wait.session as ModelSession;

/** A wait on a session, which blocks if a rival has the lock. */
async function lock(wait: WaitSession, id = 1n): Promise<Waiter> {
  const waiter = new Waiter();
  wait.lock(id, waiter);
  await settle();
  return waiter;
}

const settle = (): Promise<void> => settleAll(us.postgres);

function rivalHas(id = '1'): ModelSession {
  const rival = us.postgres.connect();
  us.postgres.take(rival, id);
  return rival;
}

describe('sessions to wait on', () => {
  it('are connected on demand, up to the cap; beyond it there is none', async () => {
    const all = [take(), take(), take()];
    expect(all.map(({ isTold }) => isTold)).toEqual([false, false, true]);
    await settlePromises();
    expect(all.map(({ session }) => session !== undefined)).toEqual([true, true, false]);
    expect(all[2]).toMatchObject({ session: undefined, error: undefined });
    expect(waits.open).toBe(2);
  });

  it('the second one that the start made is the first spare one', async () => {
    await start({ hasSpare: true });
    expect(take().session?.session.kind).toBe('wait');
    expect(us.dialer.attempts).toBe(2);
  });

  it('are used again within two seconds, and closed after that', async () => {
    const wait = await taken();
    wait.release();
    await settlePromises();
    expect([free, waits.counts.spare]).toEqual([1, 1]);
    await us.clock.advanceAsync(1999);
    expect(take().session).toBe(wait);
    wait.release();
    await us.clock.advanceAsync(2000);
    expect([model(wait).isEnded, waits.open]).toEqual([true, 0]);
    await us.clock.advanceAsync(0);
    expect(us.session.sent).toEqual([]);
    expect((await taken()).session).not.toBe(wait.session);
  });

  it('go to whoever waits for one to be connected', async () => {
    const wait = await taken();
    const other = take();
    wait.release();
    expect(other.session).toBe(wait);
    await settlePromises();
    expect(waits.counts.spare).toBe(1);
  });

  it('become spare if nobody wants them any more when they are connected', async () => {
    const one = take();
    one.forget();
    await settlePromises();
    expect([one.isTold, waits.counts.spare]).toEqual([false, 1]);
  });

  it('are closed one by one, each two seconds after it was given back', async () => {
    const [first, second] = [await taken(), await taken()];
    first.release();
    await us.clock.advanceAsync(1000);
    second.release();
    await us.clock.advanceAsync(999);
    expect(model(first).isEnded).toBe(false);
    await us.clock.advanceAsync(1);
    expect([model(first).isEnded, model(second).isEnded, waits.counts.spare]).toEqual([true, false, 1]);
    await us.clock.advanceAsync(999);
    expect(model(second).isEnded).toBe(false);
    await us.clock.advanceAsync(1);
    expect([model(second).isEnded, waits.open]).toEqual([true, 0]);
  });

  it('that end while they are spare, or on the way, are of no use', async () => {
    const wait = await taken();
    expect(wait.session.kind).toBe('wait');
    wait.release();
    model(wait).end(new LockUnavailableError('reset'));
    wait.release();
    expect([waits.counts.spare, waits.open]).toEqual([0, 0]);
    await settle();
    expect(us.session.sent).toEqual([]);
    const { connect } = us.dialer;
    us.dialer.connect = async (kind) => {
      const session = await connect.call(us.dialer, kind);
      session.end(new LockUnavailableError('reset'));
      return session;
    };
    const one = take();
    await settlePromises();
    expect(one).toMatchObject({
      session: undefined,
      error: { message: 'the session has ended', server: us.dialer.server },
    });
    expect(waits.open).toBe(0);
  });

  it('fail for one who waits, and go to the other', async () => {
    const { connect } = us.dialer;
    us.dialer.connect = async () => {
      us.dialer.connect = connect;
      await Promise.resolve();
      throw new LockUnavailableError('refused');
    };
    const [first, second] = [take(), take()];
    await settlePromises();
    expect([first.error?.message, second.error, second.session?.session.kind]).toEqual(['refused', undefined, 'wait']);
  });

  it('say why they could not be connected', async () => {
    us.dialer.error = new LockUnavailableError('refused');
    const one = take();
    await settlePromises();
    expect(one.error?.message).toBe('refused');
    us.dialer.error = undefined;
    expect(await taken()).toBeDefined();
  });

  it('are fewer for a minute if the server has no room, which is said', async () => {
    const wait = await taken();
    us.dialer.error = new PoolExhaustedError('too many connections for role');
    const one = take();
    await settlePromises();
    expect(one).toMatchObject({ isTold: true, session: undefined, error: undefined });
    expect(waits.cap).toBe(1);
    expect(degraded).toEqual([
      expect.stringMatching(
        /no room.* for the next 60 s, 1 wait connections are used instead of 2 \(option postgresBackend\.maxWaitConnections\)/,
      ),
    ]);
    us.dialer.error = undefined;
    expect(take().isTold).toBe(true);
    wait.release();
    expect(take().session).toBe(wait);
    await settlePromises();
    free = 0;
    await us.clock.advanceAsync(59_999);
    expect([waits.cap, free]).toEqual([1, 0]);
    await us.clock.advanceAsync(1);
    expect([waits.cap, free]).toEqual([2, 1]);
    expect(await taken()).toBeDefined();
  });

  it('may be asked for again when one has ended, and when the command connection is up again', async () => {
    const wait = await taken();
    model(wait).end(new LockUnavailableError('reset'));
    await settlePromises();
    expect([free, waits.open]).toEqual([1, 0]);
    us.session.end(new LockUnavailableError('reset'));
    await us.clock.advanceAsync(50);
    expect(free).toBe(2);
  });

  it('keep the command session open while they are in use', async () => {
    await start({ idleCloseMs: 1000 });
    const wait = await taken();
    await lock(wait);
    await us.clock.advanceAsync(10_000);
    expect(us.session.isEnded).toBe(false);
    wait.unlock(1n, () => undefined);
    await settle();
    wait.release();
    await us.clock.advanceAsync(1000);
    expect(us.session.isEnded).toBe(true);
  });

  it('end when they are closed; who waits for one is told why', async () => {
    const wait = await taken();
    const waiter = await lock(wait);
    const other = take();
    const reason = new ShuttingDownError();
    waits.close(reason);
    expect([model(wait).isEnded, other.error, waiter.said]).toEqual([true, reason, ['granted']]);
    expect(take().error).toBe(reason);
    await settlePromises();
    expect(us.dialer.made.filter(({ kind, isEnded }) => kind === 'wait' && !isEnded)).toEqual([]);
    await settle();
    expect(free).toBe(0);
    // The server knows: the connections were closed in good order.
    expect(us.session.sent).toEqual([]);
    expect(us.clock.pendingTimers).toBe(0);
  });
});

describe('a wait', () => {
  it('keeps the process alive until its release is answered', async () => {
    const wait = await taken();
    await lock(wait);
    await settle();
    const said: unknown[] = [];
    wait.unlock(1n, (outcome) => said.push(outcome));
    expect(model(wait).isHeld).toBe(true);
    await settle();
    expect([said, model(wait).isHeld]).toEqual([['released'], false]);
  });

  it('is granted in its turn, and keeps the process alive until then', async () => {
    const wait = await taken();
    const rival = rivalHas();
    const waiter = await lock(wait);
    expect([waiter.said, model(wait).isHeld, waits.counts.waiting]).toEqual([[], true, 1]);
    expect(model(wait).inFlight?.waits).toBe(true);
    us.postgres.free(rival, '1');
    await settle();
    expect([waiter.said, model(wait).isHeld, waits.counts.waiting]).toEqual([['granted'], false, 0]);
    expect(waiter.fence % 1000n).toBe(0n);
    const said: unknown[] = [];
    wait.unlock(1n, (outcome) => said.push(outcome));
    await settle();
    expect(said).toEqual(['released']);
    expect(us.postgres.held).toEqual([]);
    wait.release();
    expect(namesOf(model(wait))).toEqual(['lock', 'unlock']);
  });

  it('for a lock of two ids', async () => {
    const wait = await taken();
    const waiter = new Waiter();
    wait.lock([1, -2], waiter);
    await settle();
    expect(us.postgres.held).toEqual(['1,-2']);
    expect(waiter.said).toEqual(['granted']);
  });

  it('may follow the release in one statement, without a moment outside the queue', async () => {
    const wait = await taken();
    await lock(wait);
    const other = await taken();
    const next = await lock(other);
    const again = new Waiter();
    wait.unlockAndLock(1n, again);
    await settle();
    expect([next.said, again.said]).toEqual([['granted'], []]);
    other.unlock(1n, () => undefined);
    await settle();
    expect(again.said).toEqual(['granted']);
    expect(namesOf(model(wait))).toEqual(['lock', 'unlock_and_lock']);
  });

  it('that finds its lock gone when it is handed on has failed, with the session clean', async () => {
    const wait = await taken();
    await lock(wait);
    us.postgres.freeAll(model(wait));
    const again = new Waiter();
    wait.unlockAndLock(1n, again);
    await settle();
    expect(again.error?.name).toBe('ProtocolError');
    expect(us.events.at(-1)).toMatch(/^degraded: a lock was not held any more when it was handed on.*pooler/);
    expect((await lock(wait, 2n)).said).toEqual(['granted']);
  });

  it('that fails after it was granted gives the lock back before its user is told (trap 2)', async () => {
    const wait = await taken();
    const waiter = new Waiter();
    wait.lock(1n, waiter);
    model(wait).run(1);
    expect(us.postgres.held).toEqual(['1']);
    model(wait).reply();
    expect(waiter.said).toEqual([]);
    await settle();
    expect(waiter.error?.message).toBe('failed with 57014');
    expect(us.postgres.held).toEqual([]);
    expect(namesOf(model(wait))).toEqual(['lock', 'unlock_all']);
    expect((await lock(wait, 2n)).said).toEqual(['granted']);
  });

  it('fails if its session ends while it is cleaned, with the news of that', async () => {
    const wait = await taken();
    const waiter = new Waiter();
    wait.lock(1n, waiter);
    model(wait).run(1);
    model(wait).reply();
    model(wait).end(new LockUnavailableError('reset'));
    expect(waiter.error?.message).toBe('reset');
  });

  it('ends with its session if that cannot be cleaned', async () => {
    const wait = await taken();
    const waiter = new Waiter();
    wait.lock(1n, waiter);
    model(wait).run(1);
    model(wait).reply();
    for (let i = 1; i < 5; i++) model(wait).fail();
    expect([waiter.said, model(wait).isEnded]).toEqual([[], false]);
    model(wait).fail();
    expect([waiter.said, model(wait).isEnded]).toEqual([['failed'], true]);
    await settle();
    expect(us.postgres.held).toEqual([]);
  });

  it('fails when its session ends, after whoever owns its locks; the server is told to end it too', async () => {
    const wait = await taken();
    rivalHas();
    const order: string[] = [];
    wait.lock(1n, { granted: () => undefined, failed: () => order.push('user') });
    await settle();
    model(wait).onEnd(() => order.push('owner'));
    model(wait).end(new LockUnavailableError('reset'));
    expect(order).toEqual(['owner', 'user']);
    expect(waits.counts.waiting).toBe(0);
    await settle();
    expect(us.session.sent).toMatchObject([
      { name: 'dflockd_terminate', values: [model(wait).pid, model(wait).backendStart] },
    ]);
    expect(us.postgres.blocked).toBe(0);
    const late = new Waiter();
    wait.lock(2n, late);
    expect([late.said, waits.counts.waiting]).toEqual([['failed'], 0]);
    wait.release();
    expect(waits.counts.spare).toBe(0);
  });

  it.each([
    ['unlocked', (wait: WaitSession) => wait.unlock(1n, () => undefined)],
    ['handed on', (wait: WaitSession) => wait.unlockAndLock(1n, new Waiter())],
    ['given back', (wait: WaitSession) => wait.release()],
    ['made to wait again', (wait: WaitSession) => wait.lock(2n, new Waiter())],
  ])('is not %s while it blocks: that would be our mistake, and nothing of the session counts', async (_, mistake) => {
    const wait = await taken();
    rivalHas();
    const waiter = await lock(wait);
    mistake(wait);
    expect([waiter.said, model(wait).isEnded]).toEqual([['failed'], true]);
  });

  it('is not begun on a session that owns: it would be granted the same lock twice', async () => {
    const wait = await taken();
    await lock(wait);
    const again = new Waiter();
    wait.lock(1n, again);
    expect([again.said, model(wait).isEnded]).toEqual([['failed'], true]);
  });
});

describe('a release on the session that owns', () => {
  it('that finds its lock gone says so', async () => {
    const wait = await taken();
    await lock(wait);
    us.postgres.freeAll(model(wait));
    const said: unknown[] = [];
    wait.unlock(1n, (outcome) => said.push(outcome));
    await settle();
    expect(said).toEqual(['gone']);
    expect(us.events.at(-1)).toMatch(/when it was released.*pooler/);
  });

  it('that fails is done by cleaning', async () => {
    const wait = await taken();
    await lock(wait);
    const said: unknown[] = [];
    wait.unlock(1n, (outcome) => said.push(outcome));
    model(wait).fail();
    expect(said).toEqual([]);
    await settle();
    expect([said, us.postgres.held]).toEqual([['released'], []]);
  });

  it('has succeeded when the session ends; on one that has ended, there is nothing to release', async () => {
    const wait = await taken();
    await lock(wait);
    const said: unknown[] = [];
    wait.unlock(1n, (outcome) => said.push(outcome));
    model(wait).end(new LockUnavailableError('reset'));
    wait.unlock(1n, (outcome) => said.push(outcome));
    expect(said).toEqual(['released', 'gone']);
  });

  it('without an answer ends the session after requestTimeoutMs', async () => {
    const wait = await taken();
    await lock(wait);
    const said: unknown[] = [];
    wait.unlock(1n, (outcome) => said.push(outcome));
    await us.clock.advanceAsync(4999);
    expect(model(wait).isEnded).toBe(false);
    await us.clock.advanceAsync(1);
    expect([model(wait).isEnded, said]).toEqual([true, ['released']]);
  });
});

describe('a wait that is cancelled', () => {
  let wait: WaitSession;
  let rival: ModelSession;
  let waiter: Waiter;
  let cancelled: number;
  beforeEach(async () => {
    wait = await taken();
    rival = rivalHas();
    waiter = await lock(wait);
    cancelled = 0;
  });
  const cancel = (): void => wait.cancel(() => cancelled++);

  it('leaves nothing behind, and its session can be used again', async () => {
    cancel();
    await settle();
    expect([cancelled, waiter.said, us.postgres.blocked]).toEqual([1, [], 0]);
    expect(us.session.sent).toMatchObject([
      { name: 'dflockd_cancel', values: [model(wait).pid, model(wait).backendStart] },
    ]);
    expect(namesOf(model(wait))).toEqual(['lock', 'unlock_all']);
    expect(waits.counts.cancels).toBe(1);
    expect((await lock(wait, 2n)).said).toEqual(['granted']);
    expect(us.clock.pendingTimers).toBeLessThanOrEqual(2);
  });

  it('at the moment of its grant gives that back', async () => {
    us.postgres.free(rival, '1');
    expect(us.postgres.heldBy(model(wait))).toEqual(['1']);
    cancel();
    await settle();
    expect([cancelled, waiter.said, us.postgres.held]).toEqual([1, [], []]);
  });

  it('after its grant gives that back as well', async () => {
    us.postgres.free(rival, '1');
    await settle();
    expect(waiter.said).toEqual(['granted']);
    cancel();
    await settle();
    expect([cancelled, us.postgres.held]).toEqual([1, []]);
  });

  it('sends nothing on its session before the cancellation is answered: it could hit that (trap 6)', async () => {
    us.postgres.free(rival, '1');
    cancel();
    model(wait).reply();
    await settlePromises();
    expect([namesOf(model(wait)), cancelled]).toEqual([['lock'], 0]);
    us.session.settle();
    await settle();
    expect([namesOf(model(wait)), cancelled]).toEqual([['lock', 'unlock_all'], 1]);
  });

  it('nor before the wait itself is answered', async () => {
    cancel();
    us.session.settle();
    await settlePromises();
    expect(namesOf(model(wait))).toEqual(['lock']);
    model(wait).reply();
    await settle();
    expect([namesOf(model(wait)), cancelled]).toEqual([['lock', 'unlock_all'], 1]);
  });

  it('ends with its session if the request to cancel fails, is lost or comes too late', async () => {
    cancel();
    us.session.fail();
    expect([model(wait).isEnded, cancelled, waiter.said]).toEqual([true, 1, []]);
    await settle();
    expect(us.postgres.heldBy(model(wait))).toEqual([]);

    wait = await taken();
    waiter = await lock(wait);
    cancel();
    us.session.end(new LockUnavailableError('reset'));
    expect([model(wait).isEnded, cancelled, waiter.said]).toEqual([true, 2, []]);
    await us.clock.advanceAsync(100);
    await settle();

    wait = await taken();
    waiter = await lock(wait);
    model(wait).gone();
    cancel();
    await settle();
    expect([model(wait).isEnded, cancelled, waiter.said]).toEqual([true, 3, []]);
    expect(us.postgres.blocked).toBe(0);
  });

  it.each(['nobody answers', 'the cancellation is answered', 'the wait is answered'])(
    'ends with its session after requestTimeoutMs if %s',
    async (what) => {
      cancel();
      if (what === 'the cancellation is answered') us.session.settle();
      else us.session.run();
      if (what === 'the wait is answered') model(wait).reply();
      await us.clock.advanceAsync(4999);
      expect([model(wait).isEnded, cancelled]).toEqual([false, 0]);
      await us.clock.advanceAsync(2);
      expect([model(wait).isEnded, cancelled, waiter.said]).toEqual([true, 1, []]);
      // The late answers change nothing.
      us.session.reply();
      await settle();
      expect(cancelled).toBe(1);
    },
  );

  it('is cancelled again if the request was quicker than the wait, and then met nothing', async () => {
    cancel();
    await settle();
    waiter = new Waiter();
    wait.lock(1n, waiter);
    cancel();
    us.session.settle();
    await settle();
    expect([us.postgres.blocked, cancelled]).toEqual([1, 1]);
    await us.clock.advanceAsync(19);
    await settle();
    expect(us.postgres.blocked).toBe(1);
    await us.clock.advanceAsync(1);
    await settle();
    expect([us.postgres.blocked, cancelled, waiter.said]).toEqual([0, 2, []]);
    expect(waits.counts.cancels).toBe(2);
  });

  it('leaves no second request behind, which could hit what is sent after it', async () => {
    cancel();
    us.session.settle();
    model(wait).reply();
    await settle();
    waiter = await lock(wait);
    cancel();
    await us.clock.advanceAsync(100);
    expect(us.session.sent.filter(({ name }) => name === 'dflockd_cancel')).toHaveLength(2);
    await settle();
    expect(cancelled).toBe(2);
  });

  it('because its session ends is over', async () => {
    cancel();
    model(wait).end(new LockUnavailableError('reset'));
    expect([cancelled, waiter.said]).toEqual([1, []]);
    await settle();
    expect(cancelled).toBe(1);
  });

  it('while it is being cleaned after a failure is not told of that', async () => {
    model(wait).cancel();
    model(wait).reply();
    cancel();
    await settle();
    expect([cancelled, waiter.said]).toEqual([1, []]);
    // There was nothing to cancel any more, and a request could hit the cleaning.
    expect(us.session.sent).toEqual([]);
    cancel();
    expect(cancelled).toBe(2);
  });
});

describe('the confirmation of a grant', () => {
  it('is there at once if the proof is younger than half of the session time', async () => {
    const wait = await taken();
    await lock(wait);
    await us.clock.advanceAsync(4900);
    const said: unknown[] = [];
    wait.confirm((error) => said.push(error));
    expect([said, waits.counts.confirms]).toEqual([[undefined], 0]);
  });

  it('takes one statement after a long wait', async () => {
    const wait = await taken();
    const rival = rivalHas();
    await lock(wait);
    await us.clock.advanceAsync(6000);
    us.postgres.free(rival, '1');
    await settle();
    const said: unknown[] = [];
    wait.confirm((error) => said.push(error));
    expect(said).toEqual([]);
    await settle();
    expect([said, waits.counts.confirms]).toEqual([[undefined], 1]);
    expect(namesOf(model(wait))).toEqual(['lock', 'prove']);
  });

  it('is never there on a session that has ended, however young its proof is', async () => {
    const wait = await taken();
    await lock(wait);
    model(wait).end(new LockUnavailableError('reset'));
    const said: (string | undefined)[] = [];
    wait.confirm((error) => said.push(error?.message));
    expect(said).toEqual(['ended']);
  });

  it('without an answer in requestTimeoutMs ends the session', async () => {
    const wait = await taken();
    await lock(wait);
    await us.clock.advanceAsync(6000);
    const said: (string | undefined)[] = [];
    wait.confirm((error) => said.push(error?.message));
    await us.clock.advanceAsync(5000);
    expect(said).toEqual(['Postgres has not answered for 5000 ms']);
    expect(model(wait).isEnded).toBe(true);
  });
});

describe('waits that block are looked at every third of the session time', () => {
  it('in one statement for all, and only while there are any', async () => {
    rivalHas();
    rivalHas('2');
    const all = [await taken(), await taken()];
    await lock(all[0]!);
    await lock(all[1]!, 2n);
    await us.clock.advanceAsync(3334);
    expect(us.session.sent).toMatchObject([
      {
        name: 'dflockd_activity',
        values: [
          `{${all.map(({ session }) => session.pid).join()}}`,
          `{${all.map(({ session }) => `"${session.backendStart}"`).join()}}`,
        ],
      },
    ]);
    await settle();
    for (const wait of all) wait.cancel(() => undefined);
    await settle();
    const sent = us.session.sent.length;
    await us.clock.advanceAsync(60_000);
    expect(us.session.sent).toHaveLength(sent);
    expect(all.map((wait) => model(wait).isEnded)).toEqual([false, false]);
  });

  it('one whose session the server does not know has failed', async () => {
    const wait = await taken();
    rivalHas();
    const waiter = await lock(wait);
    model(wait).gone();
    await us.clock.advanceAsync(3334);
    await settle();
    expect(waiter.error?.message).toBe('a wait is over: the server does not know the session any more');
    expect(model(wait).isEnded).toBe(true);
  });

  /** As on a server that has taken over: the session is gone, and another one that waits has its pid. */
  function replaced(wait: WaitSession): ModelSession {
    const other = us.postgres.connect('wait');
    Object.assign(other, { pid: wait.session.pid });
    rivalHas('7');
    const unexpected = (): never => {
      throw new Error('somebody has answered the other session');
    };
    const outcomes = { answered: unexpected, failed: unexpected, ended: unexpected };
    other.send({ name: 'dflockd_lock', text: '', values: ['7'], sentAt: 0, ...outcomes });
    other.run();
    model(wait).gone();
    return other;
  }

  it('one whose pid another session has by now has failed', async () => {
    const wait = await taken();
    rivalHas();
    const waiter = await lock(wait);
    const other = replaced(wait);
    await us.clock.advanceAsync(3334);
    await settle();
    expect(waiter.error?.message).toBe('a wait is over: the server does not know the session any more');
    expect(other.isActive).toBe(true);
  });

  it('whoever gives one up does not cancel what another session with its pid does', async () => {
    const wait = await taken();
    rivalHas();
    await lock(wait);
    const other = replaced(wait);
    let isDone = false;
    wait.cancel(() => (isDone = true));
    await settle();
    expect([other.isActive, isDone, wait.session.isEnded]).toEqual([true, true, true]);
  });

  it('one whose answer was lost has failed a second later, and the server is told to end its session', async () => {
    const wait = await taken();
    const rival = rivalHas();
    const waiter = await lock(wait);
    us.postgres.free(rival, '1');
    await us.clock.advanceAsync(3334);
    us.session.settle();
    await us.clock.advanceAsync(999);
    expect(waiter.said).toEqual([]);
    await us.clock.advanceAsync(2);
    expect(waiter.error?.message).toBe('a wait is over: its answer was lost');
    us.session.settle();
    expect(us.postgres.held).toEqual([]);
  });

  it('one that still blocks goes on', async () => {
    const wait = await taken();
    rivalHas();
    const waiter = await lock(wait);
    for (let i = 0; i < 5; i++) {
      await us.clock.advanceAsync(3334);
      await settle();
    }
    expect(us.session.sent).toHaveLength(5);
    expect([waiter.said, model(wait).isEnded]).toEqual([[], false]);
  });

  it('one whose answer comes within that second is granted', async () => {
    const wait = await taken();
    const rival = rivalHas();
    const waiter = await lock(wait);
    us.postgres.free(rival, '1');
    await us.clock.advanceAsync(3334);
    us.session.settle();
    await us.clock.advanceAsync(500);
    model(wait).settle();
    await us.clock.advanceAsync(5000);
    expect([waiter.said, model(wait).isEnded]).toEqual([['granted'], false]);
  });

  it('one that was sent just now may not have arrived', async () => {
    const first = await taken();
    rivalHas();
    rivalHas('2');
    await lock(first);
    await us.clock.advanceAsync(3300);
    const second = await taken();
    second.lock(2n, new Waiter());
    await us.clock.advanceAsync(34);
    expect(us.session.inFlight?.values[0]).toBe(`{${first.session.pid}}`);
    us.session.settle();
    await us.clock.advanceAsync(1500);
    expect(model(second).isEnded).toBe(false);
  });

  it('nothing is looked at while there is no command session', async () => {
    const wait = await taken();
    rivalHas();
    await lock(wait);
    us.dialer.error = new LockUnavailableError('refused');
    us.session.end(new LockUnavailableError('reset'));
    await us.clock.advanceAsync(20_000);
    expect(model(wait).isEnded).toBe(false);
  });
});

describe('a channel', () => {
  it('is heard from when it is listened to until it is not, at the latest until the session is given back', async () => {
    const wait = await taken();
    const heard: string[] = [];
    wait.listen('dfl1', () => heard.push('first'));
    wait.listen('dfl2', () => heard.push('second'));
    model(wait).notify('dfl1');
    model(wait).notify('dfl3');
    wait.unlisten('dfl1');
    model(wait).notify('dfl1');
    model(wait).notify('dfl2');
    expect(heard).toEqual(['first', 'second']);
    wait.release();
    model(wait).notify('dfl2');
    await settle();
    expect(heard).toEqual(['first', 'second']);
    expect(model(wait).sent.map(({ text }) => text)).toEqual([
      'listen "dfl1"',
      'listen "dfl2"',
      'unlisten "dfl1"',
      'unlisten "dfl2"',
    ]);
  });
});
