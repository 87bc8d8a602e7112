import { describe, expect, it } from '@jest/globals';
import { AuthError, LockUnavailableError, PoolExhaustedError } from '../../../../../lib/common/errors.js';
import { PlainStatement } from '../../../../../lib/backends/postgres/commands/plain-statement.js';
import { Connected, Freed, Tried } from './connection.js';
import { ModelPostgres } from './model-postgres.js';

async function microtasks(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await Promise.resolve();
}

const ids = (count: number): bigint[] => Array.from({ length: count }, (_, i) => BigInt(i + 1));

describe('what is asked for in one turn', () => {
  it('leaves in one statement, in its order', async () => {
    const connected = await Connected.start();
    const tries = [3n, -1n, 2n ** 63n - 1n].map((id) => connected.try(id));
    await connected.turn();
    const { sent } = connected.session;
    expect(sent).toMatchObject([{ name: 'dflockd_locks', values: ['{1,1,1}', '{3,-1,9223372036854775807}'] }]);
    connected.session.settle();
    expect(tries.map(({ said }) => said)).toEqual(['granted', 'granted', 'granted']);
    expect(connected.commands.counts).toMatchObject({ statements: 1, ops: 3, inBook: 3 });
  });

  it('waits for the answer to what was sent before', async () => {
    const connected = await Connected.start();
    connected.try(1n);
    await connected.turn();
    connected.try(2n);
    await connected.turn();
    connected.try(3n);
    await connected.turn();
    expect(connected.session.sent).toHaveLength(1);
    connected.session.settle();
    await connected.turn();
    expect(connected.session.sent[1]).toMatchObject({ values: ['{1,1}', '{2,3}'] });
  });

  it('is at most 500 ops in a statement', async () => {
    const connected = await Connected.start();
    const tries = ids(1201).map((id) => connected.try(id));
    await connected.settle();
    expect(connected.session.sent.map(({ values }) => String(values[1]).split(',').length)).toEqual([500, 500, 201]);
    expect(tries.every(({ said }) => said === 'granted')).toBe(true);
  });

  it('gathers what callers ask for some microtasks after they were answered', async () => {
    const connected = await Connected.start();
    const tries = ids(3).map((id) => connected.try(id));
    await connected.turn();
    tries.forEach((op, i) => {
      const { granted } = Tried.prototype;
      op.granted = (...args) => {
        granted.apply(op, args);
        void microtasks(i * 5).then(() => connected.unlock(op.id));
      };
    });
    connected.session.settle();
    await connected.turn();
    expect(connected.session.sent[1]).toMatchObject({ values: ['{0,0,0}', '{1,2,3}'] });
  });

  it('is a cheaper statement if it is one try or one release', async () => {
    const connected = await Connected.start();
    const op = await connected.held(-7n);
    expect(op).toMatchObject({ fence: 1_800_000_000_000_001_000n, session: connected.session });
    const said = connected.unlock(-7n);
    await connected.settle();
    expect(said).toEqual(['released']);
    expect(connected.session.sent).toMatchObject([
      { name: 'dflockd_try', values: ['-7'] },
      { name: 'dflockd_unlock', values: ['-7'] },
    ]);
    expect(connected.postgres.held).toEqual([]);
  });

  it('may be a lock of two ids, with others', async () => {
    const connected = await Connected.start();
    const tries = [5n, [5, -6] as const, 7n].map((id) => connected.try(id));
    await connected.settle();
    expect(connected.session.sent[0]).toMatchObject({
      name: 'dflockd_batch',
      values: ['{1,5,1}', '{5,5,7}', '{0,-6,0}', '{"","",""}'],
    });
    expect(tries.map(({ said }) => said)).toEqual(['granted', 'granted', 'granted']);
    const said = connected.unlock([5, -6]);
    await connected.settle();
    expect(said).toEqual(['released']);
    expect(connected.postgres.held).toEqual(['5', '7']);
  });

  it('carries the time when the statement left', async () => {
    const connected = await Connected.start();
    const op = connected.try(1n);
    await connected.turn();
    connected.session.run();
    const at = connected.clock.now();
    connected.clock.stall(300);
    connected.session.reply();
    expect(op.sentAt).toBe(at);
  });
});

describe('trap 1: a session may take its own lock again', () => {
  it('so that what it has is refused without being sent', async () => {
    const connected = await Connected.start();
    await connected.held(1n);
    expect(connected.try(1n).said).toBe('refused');
    expect(connected.session.sent).toHaveLength(1);
  });

  it('and of two tries of one turn, the second one is', async () => {
    const connected = await Connected.start();
    const [first, second] = [connected.try(1n), connected.try(1n)];
    await connected.settle();
    expect([first.said, second.said]).toEqual(['granted', 'refused']);
    expect(connected.postgres.held).toEqual(['1']);
  });

  it('but may be taken again in the statement that releases it', async () => {
    const connected = await Connected.start();
    await connected.held(1n);
    const said = connected.unlock(1n);
    const again = connected.try(1n);
    await connected.settle();
    expect(connected.session.sent[1]).toMatchObject({ values: ['{0,1}', '{1,1}'] });
    expect([said, again.said]).toEqual([['released'], 'granted']);
    expect(connected.postgres.held).toEqual(['1']);
  });

  it('and the refusal of an earlier try clears nothing: it was not this hold', async () => {
    const postgres = new ModelPostgres(new Connected().clock);
    const connected = await Connected.start(postgres);
    const rival = postgres.connect();
    postgres.take(rival, '1');
    const refused = connected.try(1n);
    await connected.turn();
    connected.session.run();
    // Meanwhile, another try of the same id is asked for: it is refused, or it is sent after the answer to the first one.
    const second = connected.try(1n);
    postgres.free(rival, '1');
    connected.session.reply();
    await connected.settle();
    const third = connected.try(1n);
    await connected.settle();
    expect([refused.said, second.said, third.said].filter((said) => said === 'granted')).toHaveLength(1);
    expect(postgres.heldBy(connected.session)).toEqual(['1']);
  });

  it('and a try that is refused because of it clears nothing, however often', async () => {
    const connected = await Connected.start();
    await connected.held(1n);
    for (const id of [2n, 3n, 4n]) {
      // The first one is sent, so that the second one is judged when its batch is made.
      const [first, second] = [connected.try(id), connected.try(1n)];
      await connected.settle();
      expect([first.said, second.said]).toEqual(['granted', 'refused']);
    }
    expect(connected.postgres.held).toEqual(['1', '2', '3', '4']);
    expect(connected.commands.counts.inBook).toBe(4);
  });

  it('and a release of what it does not have is not sent: it could free the next hold', async () => {
    const connected = await Connected.start();
    await connected.held(1n);
    const [once, twice] = [connected.unlock(1n), connected.unlock(1n)];
    const next = connected.try(1n);
    await connected.settle();
    expect([once, twice, next.said]).toEqual([['released'], ['gone'], 'granted']);
    expect(connected.postgres.held).toEqual(['1']);
  });
});

describe('an op belongs to a session', () => {
  it('a release for a session that has ended is dropped, and frees nobody on the next one', async () => {
    const connected = await Connected.start();
    const old = connected.session;
    await connected.held(1n);
    const queued = connected.unlock(1n, old);
    old.end(new LockUnavailableError('reset'));
    old.gone();
    await connected.clock.advanceAsync(100);
    const again = await connected.held(1n);
    const late = connected.unlock(1n, old);
    await connected.settle();
    expect([queued, late]).toEqual([['gone'], ['gone']]);
    expect(again.session).toBe(connected.session);
    expect(connected.postgres.held).toEqual(['1']);
  });

  it('a release that was sent has succeeded when the session ends: that frees it', async () => {
    const connected = await Connected.start();
    await connected.held(1n);
    const said = connected.unlock(1n);
    await connected.turn();
    connected.session.end(new LockUnavailableError('reset'));
    expect(said).toEqual(['released']);
  });

  it('tries fail with why it ended, sent or not, and at once while there is none', async () => {
    const connected = await Connected.start();
    const sent = connected.try(1n);
    await connected.turn();
    const queued = connected.try(2n);
    const dropped = connected.try(3n);
    dropped.isDropped = true;
    connected.session.end(new LockUnavailableError('reset'));
    expect([sent, queued, dropped].map(({ error }) => error?.message)).toEqual(['reset', 'reset', 'reset']);
    expect(connected.commands.session).toBeUndefined();
    expect(connected.try(4n).error).toBe(connected.commands.outage);
  });

  it('owners are told before whoever is answered by the end', async () => {
    const connected = await Connected.start();
    await connected.held(1n);
    const order: string[] = [];
    connected.session.onEnd(() => order.push('owner'));
    const { commands, session } = connected;
    for (const id of [2n, 3n]) {
      commands.try({
        id,
        isDropped: false,
        granted: () => undefined,
        refused: () => undefined,
        dropped: () => undefined,
        overdue: () => undefined,
        failed: () => order.push('try'),
      });
      if (id === 2n) await connected.turn();
    }
    commands.unlock(session, { id: 1n, over: () => undefined, done: () => order.push('release') });
    session.end(new LockUnavailableError('reset'));
    await connected.turn();
    expect(order).toEqual(['owner', 'try', 'try', 'release']);
  });
});

describe('trap 2: a statement that fails keeps the locks that it took', () => {
  it('so that all that it tried or released is given back before anything else is sent', async () => {
    const connected = await Connected.start();
    await connected.held(9n);
    await connected.held(1n);
    const said = connected.unlock(1n);
    const tries = [1n, 2n, 3n].map((id) => connected.try(id));
    await connected.turn();
    connected.session.run(3);
    expect(connected.postgres.held).toEqual(['1', '2', '9']);
    const later = connected.try(4n);
    connected.session.reply();
    await connected.turn();
    expect(connected.session.inFlight).toMatchObject({ name: 'dflockd_repair', values: ['{1,1,2,3}', '{}', '{}'] });
    expect(tries.map(({ said: told }) => told)).toEqual(['', '', '']);
    await connected.settle();
    expect(said).toEqual(['released']);
    expect(tries.map(({ error }) => error?.message)).toEqual(Array(3).fill('failed with 57014'));
    expect(later.said).toBe('granted');
    expect(connected.postgres.held).toEqual(['4', '9']);
    expect(connected.events).toEqual(['up, the first']);
    expect(connected.commands.counts).toMatchObject({ repairs: 1, inBook: 2 });
  });

  it('a repair that fails is repeated; after five the session ends, which frees everything', async () => {
    const connected = await Connected.start();
    const op = connected.try(1n);
    await connected.turn();
    connected.session.run(1);
    connected.session.reply();
    for (let i = 1; i < 5; i++) connected.session.fail();
    expect([op.said, connected.session.isEnded]).toEqual(['', false]);
    connected.session.fail();
    expect([op.said, connected.session.isEnded]).toEqual(['failed', true]);
    expect(connected.session.sent).toHaveLength(6);
  });

  it('a release that failed has been done by the repair', async () => {
    const connected = await Connected.start();
    await connected.held(1n);
    const said = connected.unlock(1n);
    await connected.turn();
    connected.session.run(0);
    connected.session.reply();
    await connected.settle();
    expect([said, connected.postgres.held]).toEqual([['released'], []]);
  });

  it('the slots and the gate of a semaphore as well', async () => {
    const connected = await Connected.start();
    const held = connected.trySlot();
    await connected.settle();
    expect(held).toMatchObject({ said: 'granted', slot: 1001n });
    const tried = connected.trySlot({ gate: 2000n, candidates: [2001n, 2002n] });
    await connected.turn();
    connected.session.run(1);
    connected.session.reply();
    expect(connected.session.inFlight!.values).toEqual(['{2001,2002}', '{2000}', '{}']);
    await connected.settle();
    expect([tried.said, connected.postgres.held]).toEqual(['failed', ['1001']]);
  });

  it('a full lock table is said, with the cure', async () => {
    const connected = await Connected.start();
    connected.try(1n);
    await connected.turn();
    connected.session.fail('53200');
    expect(connected.events.at(-1)).toMatch(/^degraded: .*max_locks_per_transaction.*maxHeld/);
  });
});

describe('an answer that nobody waits for', () => {
  it('is told all the same: what is granted has to be released', async () => {
    const connected = await Connected.start();
    const [lock, slot] = [connected.try(1n), connected.trySlot()];
    await connected.turn();
    lock.isDropped = slot.isDropped = true;
    await connected.settle();
    expect([lock.said, slot.said, connected.postgres.held]).toEqual(['granted', 'granted', ['1', '1001']]);
  });

  it('is not asked for if it is dropped before it leaves', async () => {
    const connected = await Connected.start();
    const [lock, slot] = [connected.try(1n), connected.trySlot()];
    lock.isDropped = slot.isDropped = true;
    await connected.settle();
    expect(connected.session.sent).toEqual([]);
    expect([lock.said, slot.said, connected.commands.counts.inBook]).toEqual(['dropped', 'dropped', 0]);
  });

  it('is overdue all the same, for those behind it; and the next caller has the whole of its time', async () => {
    const connected = await Connected.start();
    const op = connected.try(1n);
    await connected.turn();
    op.isDropped = true;
    await connected.clock.advanceAsync(5000);
    expect([op.said, op.overdues]).toEqual(['', 1]);
    await connected.clock.advanceAsync(100);
    // Somebody waits for it again.
    op.isDropped = false;
    op.since = connected.clock.now();
    await connected.clock.advanceAsync(4999);
    expect([op.said, op.overdues]).toEqual(['', 1]);
    await connected.clock.advanceAsync(1);
    expect([op.said, op.overdues]).toEqual(['', 2]);
    await connected.settle();
    expect(op.said).toBe('granted');
  });
});

describe('a session that does not answer', () => {
  it('is not looked at over and over because of a fraction of a microsecond', async () => {
    const connected = await Connected.start();
    await connected.clock.advanceAsync(14900.000000000002);
    const op = connected.try(1n);
    await connected.turn();
    await connected.clock.advanceAsync(19900 - connected.clock.now());
    expect(op.overdues).toBe(1);
  });

  it('tells its callers after requestTimeoutMs, sent or not, and what it grants later', async () => {
    const connected = await Connected.start();
    await connected.held(9n);
    const sent = connected.try(1n);
    await connected.turn();
    connected.session.run();
    await connected.clock.advanceAsync(4000);
    const queued = connected.try(2n);
    const release = connected.unlock(9n);
    await connected.clock.advanceAsync(999);
    expect([sent.error, queued.error]).toEqual([undefined, undefined]);
    await connected.clock.advanceAsync(1);
    expect(sent.error).toMatchObject({
      message: 'Postgres has not answered for 5000 ms',
      server: 'model:5432/db',
      isTransient: true,
    });
    expect([queued.error, release[0]]).toEqual([sent.error, sent.error]);
    // The one that was sent may still be granted; the other one will not be.
    expect([sent.said, queued.said]).toEqual(['', 'failed']);
    expect(connected.events.at(-1)).toBe('suspect');
    // What it may still grant is not tried again.
    expect(connected.postgres.held).toEqual(['1', '9']);
    const again = connected.try(1n);
    await connected.settle();
    expect([sent.said, again.said, release.length]).toEqual(['granted', 'refused', 1]);
    expect(connected.postgres.held).toEqual(['1']);
    expect(connected.commands.counts.inBook).toBe(1);
  });

  it('says of a release that is overdue when it is over', async () => {
    const connected = await Connected.start();
    await connected.held(1n);
    const freed = new Freed();
    connected.commands.unlock(connected.session, Object.assign(freed, { id: 1n }));
    await connected.clock.advanceAsync(5000);
    expect([freed.said.length, freed.isOver]).toEqual([1, false]);
    await connected.settle();
    expect([freed.said.length, freed.isOver]).toEqual([1, true]);
  });

  it('fails those that come later, too', async () => {
    const connected = await Connected.start();
    connected.try(1n);
    await connected.clock.advanceAsync(5000);
    const op = connected.try(2n);
    await connected.clock.advanceAsync(5000);
    expect(op.said).toBe('failed');
    expect(connected.events.filter((event) => event === 'suspect')).toHaveLength(2);
  });

  it('tells each caller requestTimeoutMs after it asked, behind however many slow statements', async () => {
    const connected = await Connected.start();
    const { clock, session, events } = connected;
    await connected.held(9n);
    connected.try(1n);
    await connected.turn();
    await clock.advanceAsync(100);
    const second = connected.try(2n);
    const release = connected.unlock(9n);
    await clock.advanceAsync(4700);
    const third = connected.try(3n);
    session.settle();
    await connected.turn();
    expect(session.sent.at(-1)).toMatchObject({ values: ['{1,0,1}', '{2,9,3}'] });
    await clock.advanceAsync(299);
    expect([second.overdues, release.length]).toEqual([0, 0]);
    await clock.advanceAsync(1);
    expect([second.overdues, release.length, third.overdues]).toEqual([1, 1, 0]);
    // The session has answered a moment ago.
    expect(events).not.toContain('suspect');
    await clock.advanceAsync(4699);
    expect([third.overdues, events.includes('suspect')]).toEqual([0, false]);
    await clock.advanceAsync(1);
    expect([third.overdues, events.includes('suspect')]).toEqual([1, true]);
    await connected.settle();
    expect([second.said, third.said, release.length]).toEqual(['granted', 'granted', 1]);
  });

  it('tells it on time although another statement is asked for at that moment', async () => {
    const connected = await Connected.start();
    const { clock, commands, session } = connected;
    const op = connected.try(1n);
    await connected.turn();
    clock.setTimer(() => commands.prove(session, () => undefined), 5000);
    await clock.advanceAsync(5000);
    expect(op.overdues).toBe(1);
  });

  it('tells a caller that has waited before it asked so much earlier', async () => {
    const connected = await Connected.start();
    await connected.clock.advanceAsync(10_000);
    const since = connected.clock.now() - 4000;
    const slot = connected.trySlot({ since });
    let ended = false;
    connected.commands.query(
      new PlainStatement({ name: '', text: 'select' }, [], {
        answered: () => undefined,
        failed: () => undefined,
        ended: () => (ended = true),
      }),
      since - 500,
    );
    await connected.clock.advanceAsync(499);
    expect([ended, slot.overdues]).toEqual([false, 0]);
    await connected.clock.advanceAsync(1);
    expect([ended, slot.overdues]).toEqual([true, 0]);
    await connected.clock.advanceAsync(499);
    expect(slot.overdues).toBe(0);
    await connected.clock.advanceAsync(1);
    expect(slot.overdues).toBe(1);
  });

  it('may be a process that stalled, with the answer in its buffers', async () => {
    const connected = await Connected.start();
    const op = connected.try(1n);
    await connected.turn();
    connected.session.run();
    connected.clock.stall(60_000);
    connected.clock.afterPoll(() => connected.session.reply());
    await connected.clock.advanceAsync(0);
    expect(op.said).toBe('granted');
    expect(connected.events).not.toContain('suspect');
  });

  it('costs a timer for all, however much is sent', async () => {
    const connected = await Connected.start();
    for (const id of ids(20)) {
      await connected.held(id);
      expect(connected.clock.pendingTimers).toBe(1);
    }
    await connected.clock.advanceAsync(10_000);
    expect(connected.clock.pendingTimers).toBe(0);
    expect(connected.events).not.toContain('suspect');
  });
});

describe('a proof', () => {
  it('is there at once if it is younger than a third of the session time', async () => {
    const connected = await Connected.start();
    await connected.held(1n);
    await connected.clock.advanceAsync(3300);
    const said: unknown[] = [];
    connected.commands.prove(connected.session, (error) => said.push(error));
    expect(said).toEqual([undefined]);
    expect(connected.session.sent).toHaveLength(1);
  });

  it('costs one statement for any number of askers', async () => {
    const connected = await Connected.start();
    await connected.clock.advanceAsync(4000);
    const said: unknown[] = [];
    for (let i = 0; i < 100_000; i++) connected.commands.prove(connected.session, (error) => said.push(error));
    await connected.settle();
    expect(said).toHaveLength(100_000);
    expect(new Set(said)).toEqual(new Set([undefined]));
    expect(connected.session.sent).toMatchObject([{ name: 'dflockd_prove' }]);
  });

  it('comes with the answer to what is in flight, if that was sent late enough', async () => {
    const connected = await Connected.start();
    await connected.clock.advanceAsync(4000);
    connected.try(1n);
    await connected.turn();
    const said: unknown[] = [];
    connected.commands.prove(connected.session, (error) => said.push(error));
    await connected.settle();
    expect(said).toEqual([undefined]);
    expect(connected.session.sent).toHaveLength(1);
  });

  it('does not come with an answer to what was sent long ago', async () => {
    const connected = await Connected.start();
    connected.try(1n);
    await connected.turn();
    connected.session.run();
    await connected.clock.advanceAsync(4000);
    const said: unknown[] = [];
    connected.commands.prove(connected.session, (error) => said.push(error));
    connected.session.reply();
    expect(said).toEqual([]);
    await connected.settle();
    expect(said).toEqual([undefined]);
    expect(connected.session.sent).toMatchObject([{ name: 'dflockd_try' }, { name: 'dflockd_prove' }]);
  });

  it('fails after requestTimeoutMs, or when the session ends, or has ended', async () => {
    const connected = await Connected.start();
    await connected.clock.advanceAsync(4000);
    const said: (string | undefined)[] = [];
    const { session } = connected;
    const ask = (): void => connected.commands.prove(session, (error) => said.push(error?.message));
    ask();
    await connected.clock.advanceAsync(5000);
    expect(said).toEqual(['Postgres has not answered for 5000 ms']);
    ask();
    session.end(new LockUnavailableError('reset'));
    expect(said[1]).toBe('reset');
    ask();
    expect(said[2]).toBe('the session has ended');
  });
});

describe('a proof that is asked for when the session ends', () => {
  it.each(['alone', 'behind a batch'])('fails after whoever owns its locks was told, %s', async (how) => {
    const connected = await Connected.start();
    const { session, commands } = connected;
    await connected.clock.advanceAsync(4000);
    if (how !== 'alone') connected.try(1n);
    await connected.turn();
    const order: string[] = [];
    commands.prove(session, (error) => order.push(error!.message));
    session.onEnd(() => order.push('owner'));
    session.end(new LockUnavailableError('reset'));
    expect(order).toEqual(['owner', 'reset']);
  });
});

describe('the command connection', () => {
  it('says when there is a session, and when there is none', async () => {
    const connected = await Connected.start();
    expect(connected.events).toEqual(['up, the first']);
    connected.session.end(new LockUnavailableError('reset'));
    expect(connected.events.slice(1)).toEqual(['down: reset']);
    await connected.clock.advanceAsync(50);
    expect(connected.events.slice(2)).toEqual(['up']);
    expect(connected.commands.outage).toBeUndefined();
    expect(connected.dialer).toMatchObject({ starts: 1, attempts: 2 });
  });

  it('keeps trying to start in the background after a transient error, with the probe', async () => {
    const connected = new Connected();
    connected.dialer.error = new LockUnavailableError('refused');
    await expect(connected.commands.start()).rejects.toThrow('refused');
    expect(connected.try(1n).error?.message).toBe('refused');
    await connected.clock.advanceAsync(100);
    connected.dialer.error = undefined;
    await connected.clock.advanceAsync(5000);
    expect(connected.events).toEqual(['up, the first']);
    expect(connected.dialer.starts).toBeGreaterThan(1);
  });

  it('has one session, however often it is started: another one would keep what it holds and nobody asks it for', async () => {
    const connected = new Connected();
    connected.dialer.error = new LockUnavailableError('refused');
    await expect(connected.commands.start()).rejects.toThrow('refused');
    connected.dialer.error = undefined;
    const again = [connected.commands.start(), connected.commands.start()];
    await Promise.all(again);
    const first = connected.session;
    const held = await connected.held(1n);
    await connected.commands.start();
    await connected.clock.advanceAsync(10_000);
    expect(connected.dialer.made).toEqual([first]);
    expect(connected.events).toEqual(['up, the first']);
    const said = connected.unlock(1n, held.session);
    await connected.settle();
    expect(said).toEqual(['released']);
  });

  it('gives up when the server refuses it for good', async () => {
    const connected = new Connected();
    connected.dialer.error = new AuthError({}, 'no such role');
    await expect(connected.commands.start()).rejects.toThrow('no such role');
    await connected.clock.advanceAsync(60_000);
    expect(connected.dialer.attempts).toBe(1);
    expect(connected.events).toEqual(['fatal: no such role']);
    expect(connected.try(1n).error?.message).toBe('no such role');
  });

  it('backs off at random below a bound that doubles from 50 to 5,000 ms, until a session works', async () => {
    const connected = await Connected.start();
    connected.dialer.error = new LockUnavailableError('refused');
    connected.session.end(new LockUnavailableError('reset'));
    const times: number[] = [];
    const { connect } = connected.dialer;
    connected.dialer.connect = (kind) => {
      times.push(connected.clock.now());
      return connect.call(connected.dialer, kind);
    };
    await connected.clock.advanceAsync(60_000);
    const pauses = times.map((at, i) => at - (times[i - 1] ?? 0));
    pauses.forEach((pause, i) => expect(pause).toBeLessThanOrEqual(Math.min(50 * 2 ** i, 5000)));
    expect(Math.max(...pauses)).toBeGreaterThan(2500);
    expect(new Set(pauses.map(Math.round)).size).toBeGreaterThan(pauses.length / 2);
  });

  it('counts a session that ends before it answered anything as a failed attempt', async () => {
    const connected = await Connected.start();
    for (let i = 0; i < 200; i++) {
      if (!connected.session.isEnded) connected.session.end(new LockUnavailableError('reset'));
      await connected.clock.advanceAsync(100);
    }
    expect(connected.dialer.attempts).toBeLessThan(40);
  });

  it('has no use for a session that has ended on the way', async () => {
    const connected = new Connected();
    const { connect } = connected.dialer;
    connected.dialer.connect = async (kind) => {
      const session = await connect.call(connected.dialer, kind);
      if (connected.dialer.attempts === 1) session.end(new LockUnavailableError('reset'));
      return session;
    };
    await expect(connected.commands.start()).rejects.toThrow('the session has ended');
    await connected.clock.advanceAsync(5000);
    expect(connected.events).toEqual(['up, the first']);
  });

  it('without room for it, nothing can be done: no polling either', async () => {
    const connected = new Connected();
    connected.dialer.error = new PoolExhaustedError('too many clients');
    await expect(connected.commands.start()).rejects.toMatchObject({
      name: 'LockUnavailableError',
      message: 'too many clients',
      cause: connected.dialer.error,
    });
  });

  it('ends its last session on the server, which may not know that it is over', async () => {
    const connected = await Connected.start();
    const old = connected.session;
    await connected.held(1n);
    old.end(new LockUnavailableError('silent'));
    expect(connected.postgres.held).toEqual(['1']);
    await connected.clock.advanceAsync(50);
    await connected.settle();
    expect(connected.session.sent[0]).toMatchObject({ name: 'dflockd_terminate', values: [old.pid, old.backendStart] });
    expect(connected.postgres.held).toEqual([]);
  });

  it('says so when a release finds its lock gone', async () => {
    const connected = await Connected.start();
    await connected.held(1n);
    connected.postgres.freeAll(connected.session);
    const said = connected.unlock(1n);
    await connected.settle();
    expect(said).toEqual(['gone']);
    expect(connected.events.at(-1)).toMatch(/^degraded: a lock was not held any more when it was released.*pooler/);
  });

  it.each([
    ['nothing', [[null]]],
    ['too little', [['0']]],
    ['words', [['0,granted']]],
    ['no rows', []],
  ])('ends a session that answers %s', async (_, rows) => {
    const connected = await Connected.start();
    const tries = [connected.try(1n), connected.try(2n)];
    await connected.turn();
    connected.session.answer(rows);
    expect(connected.session.isEnded).toBe(true);
    expect(tries.map(({ said }) => said === 'granted' || said === '')).toEqual([false, false]);
  });

  it('reconnects soon again once a session has worked', async () => {
    const connected = await Connected.start();
    connected.dialer.error = new LockUnavailableError('refused');
    connected.session.end(new LockUnavailableError('reset'));
    await connected.clock.advanceAsync(60_000);
    connected.dialer.error = undefined;
    await connected.clock.advanceAsync(5000);
    expect(connected.commands.counts.connects).toBe(2);
    await connected.clock.advanceAsync(10);
    await connected.held(1n);
    connected.session.end(new LockUnavailableError('reset'));
    await connected.clock.advanceAsync(50);
    expect(connected.commands.counts.connects).toBe(3);
  });

  it('asks the session after the next one to end the last one, if the next one ended before it did', async () => {
    const connected = await Connected.start();
    const old = connected.session;
    old.end(new LockUnavailableError('silent'));
    await connected.clock.advanceAsync(50);
    connected.session.end(new LockUnavailableError('silent'));
    await connected.clock.advanceAsync(200);
    expect(connected.session.sent.map(({ values }) => values[0])).toContain(old.pid);
  });

  it('asks statements of others between its own, and fails them during an outage', async () => {
    const connected = await Connected.start();
    const said: string[] = [];
    const query = (): void =>
      connected.commands.query({
        name: '',
        text: 'select 7',
        values: [],
        sentAt: NaN,
        answered: (rows) => said.push(String(rows)),
        failed: ({ message }) => said.push(message),
        ended: ({ message }) => said.push(message),
      });
    query();
    await connected.settle();
    connected.session.end(new LockUnavailableError('reset'));
    query();
    expect(said).toEqual(['select 7', 'reset']);
  });

  it('closes the second session of a start that is over when it arrives', async () => {
    const connected = new Connected();
    connected.dialer.hasSpare = true;
    const spare: unknown[] = [];
    connected.commands.onSpare((session) => spare.push(session));
    const start = connected.commands.start();
    await connected.commands.close(0);
    await expect(start).rejects.toThrow();
    expect(connected.dialer.made.map(({ kind, isEnded }) => [kind, isEnded])).toEqual([
      ['command', true],
      ['wait', true],
    ]);
    expect(spare).toEqual([]);
  });

  it('is closed soon if all that was asked for turns out not to be sent', async () => {
    const connected = await Connected.start();
    const said = connected.unlock(1n);
    let isClosed = false;
    void connected.commands.close(60_000).then(() => (isClosed = true));
    await connected.turn();
    expect([said, isClosed]).toEqual([['gone'], true]);
  });

  it('waits for releases when it is closed, and fails tries at once', async () => {
    const connected = await Connected.start();
    await connected.held(1n);
    await connected.held(2n);
    const release = connected.unlock(1n);
    await connected.turn();
    const queued = connected.unlock(2n);
    const tried = connected.try(3n);
    let isClosed = false;
    void connected.commands.close(1000).then(() => (isClosed = true));
    expect(tried.error?.name).toBe('ShuttingDownError');
    expect(connected.try(4n).error?.name).toBe('ShuttingDownError');
    await connected.turn();
    expect(isClosed).toBe(false);
    await connected.settle();
    expect([release, queued, isClosed]).toEqual([['released'], ['released'], true]);
    expect(connected.session.isEnded).toBe(true);
    expect(connected.clock.pendingTimers).toBe(0);
    expect(connected.events).toEqual(['up, the first']);
    await connected.clock.advanceAsync(60_000);
    expect(connected.dialer.attempts).toBe(1);
  });

  it('waits no longer than the grace period', async () => {
    const connected = await Connected.start();
    await connected.held(1n);
    connected.unlock(1n);
    await connected.turn();
    let isClosed = false;
    void connected.commands.close(1000).then(() => (isClosed = true));
    await connected.clock.advanceAsync(999);
    expect(isClosed).toBe(false);
    await connected.clock.advanceAsync(1);
    expect(isClosed).toBe(true);
  });

  it('ends a session that arrives after it was closed', async () => {
    const connected = new Connected();
    const start = connected.commands.start();
    await connected.commands.close(1000);
    await expect(start).rejects.toMatchObject({ name: 'ShuttingDownError' });
    expect(connected.session.isEnded).toBe(true);
  });
});

describe('a command session that is not used for idleCloseMs', () => {
  const idleCloseMs = 60_000;
  async function start(): Promise<Connected> {
    const connected = new Connected(undefined, { idleCloseMs });
    await connected.commands.start();
    return connected;
  }
  async function closed(): Promise<Connected> {
    const connected = await start();
    await connected.clock.advanceAsync(idleCloseMs);
    expect(connected.session.isEnded).toBe(true);
    return connected;
  }

  it('is closed, which is no outage', async () => {
    const connected = await closed();
    await connected.clock.advanceAsync(600_000);
    expect(connected.events).toEqual(['up, the first']);
    expect(connected.commands).toMatchObject({ session: undefined, outage: undefined });
    expect(connected.dialer.attempts).toBe(1);
    expect(connected.clock.pendingTimers).toBe(0);
  });

  it('keeps the process alive while it connects again, since somebody waits for that', async () => {
    const connected = await closed();
    const op = connected.try(1n);
    await connected.settle();
    expect([op.said, connected.dialer.attempts, connected.dialer.awaited]).toEqual(['granted', 2, 1]);
  });

  it('is not closed by default', async () => {
    const connected = await Connected.start();
    await connected.clock.advanceAsync(86_400_000);
    expect(connected.session.isEnded).toBe(false);
  });

  it('stays while it has a lock, while something is under way, and while somebody may need it', async () => {
    const connected = await start();
    await connected.held(1n);
    await connected.clock.advanceAsync(10 * idleCloseMs);
    connected.unlock(1n);
    await connected.turn();
    connected.session.run();
    await connected.clock.advanceAsync(2 * idleCloseMs);
    expect(connected.session.isEnded).toBe(false);
    await connected.settle();
    let isNeeded = true;
    connected.commands.neededBy(() => isNeeded);
    await connected.clock.advanceAsync(10 * idleCloseMs);
    expect(connected.session.isEnded).toBe(false);
    isNeeded = false;
    await connected.clock.advanceAsync(idleCloseMs);
    expect(connected.session.isEnded).toBe(true);
  });

  it('counts from its last use', async () => {
    const connected = await start();
    await connected.clock.advanceAsync(40_000);
    await connected.held(1n);
    connected.unlock(1n);
    await connected.settle();
    await connected.clock.advanceAsync(59_999);
    expect(connected.session.isEnded).toBe(false);
    await connected.clock.advanceAsync(1);
    expect(connected.session.isEnded).toBe(true);
  });

  it('is followed by another one for whatever is asked for', async () => {
    const connected = await closed();
    const [first, dropped, second] = [connected.try(1n), connected.try(2n), connected.try(3n)];
    const slot = connected.trySlot();
    dropped.isDropped = true;
    await connected.settle();
    expect([first.said, dropped.said, second.said, slot.said]).toEqual(['granted', 'dropped', 'granted', 'granted']);
    expect(connected.events).toEqual(['up, the first', 'up']);
    expect(connected.dialer).toMatchObject({ starts: 1, attempts: 2 });
    expect(connected.postgres.heldBy(connected.session)).toEqual(['1', '3', '1001']);
  });

  it('is followed by another one for a statement of others, or says why there is none', async () => {
    for (const error of [undefined, new AuthError({}, 'no such role')]) {
      const connected = await closed();
      connected.dialer.error = error;
      const said: string[] = [];
      connected.commands.query({
        name: '',
        text: 'select 7',
        values: [],
        sentAt: NaN,
        answered: (rows) => said.push(String(rows)),
        failed: ({ message }) => said.push(message),
        ended: ({ message }) => said.push(message),
      });
      await connected.settle();
      expect(said).toEqual([error?.message ?? 'select 7']);
      // What is final is no outage.
      expect(connected.events.at(-1)).toBe(error ? 'fatal: no such role' : 'up');
    }
  });

  it('is an outage if there is no other one when it is needed', async () => {
    const connected = await closed();
    connected.dialer.error = new LockUnavailableError('refused');
    const ops = [connected.try(1n), connected.try(2n)];
    await connected.turn();
    expect(ops.map(({ error }) => error?.message)).toEqual(['refused', 'refused']);
    expect(connected.events.slice(1)).toEqual(['down: refused']);
    connected.dialer.error = undefined;
    await connected.clock.advanceAsync(5000);
    expect(connected.events.slice(2)).toEqual(['up']);
  });

  it('fails what waits for another one when it is closed for good', async () => {
    const connected = await closed();
    const op = connected.try(1n);
    await connected.commands.close(1000);
    expect(op.error?.name).toBe('ShuttingDownError');
    await connected.turn();
    expect(connected.dialer.made.filter(({ isEnded }) => !isEnded)).toEqual([]);
  });
});

describe('a slot of a semaphore', () => {
  it('is the first one that is free, while nobody waits at the gate', async () => {
    const connected = await Connected.start();
    const rival = connected.postgres.connect();
    connected.postgres.take(rival, '1002');
    const slots: unknown[] = [];
    for (let i = 0; i < 3; i++) {
      const op = connected.trySlot({ candidates: [1002n, 1003n, 1001n] });
      await connected.settle();
      slots.push(op.slot ?? op.said);
    }
    expect(slots).toEqual([1003n, 1001n, 'refused']);
    expect(connected.postgres.heldBy(connected.session)).toEqual(['1003', '1001']);
    connected.postgres.free(rival, '1002');
    connected.postgres.take(rival, '1000');
    const behind = connected.trySlot();
    const head = connected.trySlot({ isHead: true });
    await connected.settle();
    // Both are tries of this session for the same slots, so the second one leaves them out.
    expect([behind.said, head.said]).toEqual(['refused', 'refused']);
    const alone = connected.trySlot({ isHead: true });
    await connected.settle();
    expect(alone.slot).toBe(1002n);
  });

  it('is refused without being sent if this process has or tries all of them', async () => {
    const connected = await Connected.start();
    const [first, second] = [connected.trySlot({ candidates: [1001n] }), connected.trySlot({ candidates: [1001n] })];
    await connected.settle();
    expect([first.said, second.said]).toEqual(['granted', 'refused']);
    expect(connected.session.sent).toHaveLength(1);
  });

  it('is freed, and whoever is at the gate hears of it', async () => {
    const connected = await Connected.start();
    const op = connected.trySlot();
    await connected.settle();
    const said: unknown[] = [];
    const free = {
      slot: op.slot!,
      gate: op.gate,
      channel: op.channel,
      over: () => undefined,
      done: (outcome: unknown) => void said.push(outcome),
    };
    const rival = connected.postgres.connect();
    connected.postgres.take(rival, '1000');
    connected.commands.freeSlot(connected.session, free);
    await connected.settle();
    expect(said).toEqual(['released']);
    expect(connected.postgres.notified).toEqual(['dfl3e8']);
    connected.postgres.free(rival, '1000');
    const next = connected.trySlot();
    await connected.settle();
    connected.commands.freeSlot(connected.session, free);
    await connected.settle();
    expect([next.said, said.length, connected.postgres.notified.length]).toEqual(['granted', 2, 1]);
    expect(connected.postgres.held).toEqual([]);
    connected.session.end(new LockUnavailableError('reset'));
    connected.commands.freeSlot(connected.session, free);
    expect(said[2]).toBe('gone');
  });

  it('is told what becomes of it although it is dropped', async () => {
    const connected = await Connected.start();
    const rival = connected.postgres.connect();
    connected.postgres.take(rival, '1000');
    const ops = [connected.trySlot(), connected.trySlot({ gate: 2000n, candidates: [2001n] })];
    await connected.turn();
    for (const op of ops) op.isDropped = true;
    connected.session.run(1);
    connected.session.reply();
    await connected.settle();
    expect(ops.map(({ said }) => said)).toEqual(['failed', 'failed']);
    expect(connected.postgres.held).toEqual(['1000']);
    const refused = connected.trySlot();
    const before = connected.trySlot({ gate: 2000n, candidates: [2001n] });
    before.isDropped = true;
    await connected.turn();
    refused.isDropped = true;
    await connected.settle();
    expect([refused.said, before.said, connected.commands.counts.inBook]).toEqual(['refused', 'dropped', 0]);
  });

  it('is told if its answer is overdue, and what it is', async () => {
    const connected = await Connected.start();
    const op = connected.trySlot();
    await connected.turn();
    connected.session.run();
    const queued = connected.trySlot({ candidates: [1003n] });
    await connected.clock.advanceAsync(5000);
    expect([op.said, op.overdues, queued.said]).toEqual(['', 1, 'failed']);
    await connected.settle();
    expect([op.said, connected.postgres.held, connected.commands.counts.inBook]).toEqual(['granted', ['1001'], 1]);
  });

  it.each(['', '1001', '1001/', '1001/now', '9999/1800000000000000/true', '/1800000000000000/true'])(
    'ends a session that answers %j',
    async (outcome) => {
      const connected = await Connected.start();
      const op = connected.trySlot();
      await connected.turn();
      connected.session.answer([[outcome]]);
      expect([op.said, connected.session.isEnded]).toEqual(['failed', true]);
    },
  );

  it('that failed is given back: with the gate, unless a wait session of this process has that', async () => {
    const connected = await Connected.start();
    const held = connected.trySlot({ candidates: [1003n] });
    await connected.settle();
    connected.trySlot({ isHead: true });
    const said: unknown[] = [];
    const done = (outcome: unknown): void => void said.push(outcome);
    const free = { slot: 1003n, gate: 3000n, channel: 'dfl', over: () => undefined, done };
    connected.commands.freeSlot(held.session!, free);
    connected.commands.freeSlot(held.session!, free);
    await connected.turn();
    expect(said).toEqual(['gone']);
    connected.session.run(1);
    connected.session.reply();
    expect(connected.session.inFlight!.values).toEqual(['{1001,1002,1003}', '{3000}', '{}']);
    await connected.settle();
    expect([said, connected.postgres.held]).toEqual([['gone', 'released'], []]);
  });

  it('fails at once when the connection is closed before it was tried', async () => {
    const connected = await Connected.start();
    connected.try(1n);
    await connected.turn();
    const op = connected.trySlot();
    void connected.commands.close(1000);
    expect(op.error?.name).toBe('ShuttingDownError');
    await connected.settle();
  });
});
