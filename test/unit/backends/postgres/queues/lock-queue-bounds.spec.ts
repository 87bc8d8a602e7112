import { beforeEach, describe, expect, it } from '@jest/globals';
import {
  AcquireTimeoutError,
  ConfigError,
  LockUnavailableError,
  MaxLocksError,
} from '../../../../../lib/common/errors.js';
import { settlePromises } from '../../../../support/fake-clock.js';
import type { ModelPostgres, ModelSession } from '../commands/model-postgres.js';
import { type Caller, idOf, ModelProcess, namesOf, settle, startWithRival } from '../process.js';

const ID = idOf();

let postgres: ModelPostgres;
let us: ModelProcess;
let rival: ModelSession;

beforeEach(async () => {
  ({ postgres, us, rival } = await startWithRival());
});

const done = (): Promise<void> => settle(postgres);
const pass = (ms: number): Promise<void> => postgres.clock.advanceAsync(ms);
const said = (callers: readonly Caller[]): string[] => callers.map((caller) => caller.said);

/** Time that passes while the server answers everything. */
async function live(ms: number): Promise<void> {
  for (let rest = ms; rest > 0; rest -= 20) {
    await pass(Math.min(rest, 20));
    await done();
    for (const session of postgres.sessions) if (session.isIdle) session.provenAt = postgres.clock.now();
  }
}

const tries = (): string[] => namesOf(us.command).filter((name) => name !== 'terminate');

async function isIdle(): Promise<void> {
  expect(await us.stats()).toMatchObject({ queues: 0, waiters: 0, places: 0, polling: 0, held: 0 });
}

describe('a deadline that is later than that of a request', () => {
  it('is kept by everybody who waits for what somebody else has', async () => {
    postgres.take(rival, ID);
    const callers = [us.enqueue('k', 6000), us.enqueue('k', 7000)];
    await done();
    callers.push(us.enqueue('k', 8000));
    await live(5999);
    expect(said(callers)).toEqual(['', '', '']);
    for (const [i, caller] of callers.entries()) {
      await live(i === 0 ? 1 : 1000);
      expect(caller.error).toBeInstanceOf(AcquireTimeoutError);
    }
    await done();
    await isIdle();
  });

  it('is kept by who waits for what this process has', async () => {
    await us.held();
    const caller = us.enqueue('k', 6000);
    await pass(6000);
    expect(caller.error).toBeInstanceOf(AcquireTimeoutError);
  });

  it('is kept after a try that has failed', async () => {
    us.dialer.error = new LockUnavailableError('the server is down');
    const caller = us.enqueue('k', 6000);
    await settlePromises();
    us.command.end(new LockUnavailableError('reset'));
    await pass(6000);
    expect(caller.said).toBe('refused');
  });
});

describe('a caller that does not wait', () => {
  it('has no deadline before its answer', async () => {
    const caller = us.enqueue('k', 0);
    const tried = us.backend.tryAcquire({ ...us.request('other'), deadline: postgres.clock.now() + 100 });
    await pass(200);
    expect(caller.said).toBe('');
    await done();
    expect(caller.said).toBe('granted');
    expect((await tried)?.req.key).toBe('other');
  });

  it('is told that there is no answer to a try that was sent for somebody who has gone', async () => {
    const gone = us.enqueue();
    await settlePromises();
    gone.cancel();
    await pass(100);
    const caller = us.enqueue('k', 0);
    expect(caller.said).toBe('');
    await pass(5000);
    expect(caller.error?.message).toBe('Postgres has not answered for 5000 ms');
    await done();
    expect(postgres.held).toEqual([]);
    await isIdle();
  });

  it('is told which server refused it', async () => {
    postgres.take(rival, ID);
    const caller = us.enqueue('k', 0);
    await done();
    expect(caller.error).toMatchObject({ key: 'k', server: 'model:5432/db' });
  });

  it('and abandons its lock, leaves it to others', async () => {
    const tried = us.backend.tryAcquire(us.request());
    await done();
    us.backend.abandon((await tried)!);
    await done();
    expect(postgres.held).toEqual([]);
    await isIdle();
  });
});

describe('a caller that was answered', () => {
  it('waits for no deadline any more, which would keep the process alive', async () => {
    await us.held('taken');
    const before = postgres.clock.pendingTimers;
    const caller = us.enqueue('taken', 1000);
    expect(postgres.clock.pendingTimers).toBe(before + 1);
    caller.cancel();
    expect(postgres.clock.pendingTimers).toBe(before);
  });

  it('cannot cancel what others wait for', async () => {
    const holder = await us.held();
    const waiting = us.enqueue();
    holder.pending!.cancel();
    waiting.cancel();
    waiting.pending!.cancel();
    const last = us.enqueue();
    expect((await us.stats()).waiters).toBe(1);
    holder.release();
    expect(last.said).toBe('granted');
  });

  it('before the server has told the id of the key, has no lock later', async () => {
    us = await ModelProcess.start(postgres, { lockId: 'hashtext' });
    const [cancelled, late] = [us.enqueue(), us.enqueue('k', 100)];
    cancelled.cancel();
    await pass(100);
    expect(late.error).toMatchObject({ message: 'no answer in time', key: 'k', server: 'model:5432/db' });
    us.command.answer([['-7']]);
    await done();
    expect([cancelled.said, postgres.held]).toEqual(['cancelled', []]);
    await isIdle();
  });
});

it('a caller for whom an earlier try is answered is told of silence at its deadline', async () => {
  const gone = us.enqueue();
  await settlePromises();
  gone.cancel();
  const caller = us.enqueue('k', 200);
  await pass(200);
  expect(caller.error?.message).toBe('no answer in time');
});

it('a caller is told that it has a place in the queue', async () => {
  postgres.take(rival, ID);
  const placed: string[] = [];
  const waiter = {
    onPlaced: (how: string) => placed.push(how),
    granted: () => undefined,
    refused: () => undefined,
  };
  us.backend.enqueue(us.request(), 'queue', waiter);
  us.backend.enqueue(us.request('k', Infinity), 'ticket', waiter);
  await done();
  expect(placed).toEqual(['queued', 'queued']);
});

it('a grant that lies in the socket at the deadline is not too late', async () => {
  const caller = us.enqueue('k', 200);
  await settlePromises();
  us.command.run();
  postgres.clock.stall(200);
  postgres.clock.afterPoll(() => us.command.reply());
  await pass(0);
  expect(caller.said).toBe('granted');
});

describe('a queue with several places', () => {
  beforeEach(async () => {
    us = await ModelProcess.start(postgres, { waitersPerKey: 2, maxWaitConnections: 3, localTurns: 0 });
    postgres.take(rival, ID);
  });

  it('serves its callers in order, and enters the server queue again for those without a place', async () => {
    const callers = [us.enqueue(), us.enqueue(), us.enqueue()];
    await done();
    expect([postgres.blocked, (await us.stats()).places]).toEqual([2, 2]);
    postgres.free(rival, ID);
    for (const caller of callers) {
      await done();
      expect(caller.said).toBe('granted');
      caller.release();
    }
    await done();
    expect(us.order).toEqual(['1', '2', '3']);
    expect(callers.map(({ outcome }) => outcome)).toEqual(['released', 'released', 'released']);
    await isIdle();
  });

  it('gives up the youngest one with a caller that leaves', async () => {
    const callers = [us.enqueue(), us.enqueue()];
    await done();
    callers[0]!.cancel();
    await done();
    expect([postgres.blocked, (await us.stats()).held]).toEqual([1, 1]);
    expect(us.waits.map((session) => session.inFlight?.name)).toEqual(['dflockd_lock', undefined]);
    postgres.free(rival, ID);
    await done();
    expect(callers[1]!.said).toBe('granted');
  });

  it('does not poll if there is a session for one of them only', async () => {
    us = await ModelProcess.start(postgres, { waitersPerKey: 2, maxWaitConnections: 1 });
    const callers = [us.enqueue(), us.enqueue()];
    await done();
    expect(await us.stats()).toMatchObject({ places: 1, polling: 0, held: 1 });
    expect(us.events.filter(({ state }) => state === 'degraded')).toEqual([]);
    postgres.free(rival, ID);
    await done();
    expect(said(callers)).toEqual(['granted', '']);
  });
});

describe('a queue without a bound on places', () => {
  it('keeps the order of all processes', async () => {
    const strict = { waitersPerKey: Infinity, maxWaitConnections: Infinity };
    const [a, b] = [await ModelProcess.start(postgres, strict), await ModelProcess.start(postgres, strict)];
    postgres.take(rival, ID);
    const callers: Caller[] = [];
    for (const one of [a, b, a, a, b]) {
      callers.push(one.enqueue());
      await done();
    }
    expect(postgres.blocked).toBe(5);
    postgres.free(rival, ID);
    for (const [i, caller] of callers.entries()) {
      await done();
      expect(said(callers).filter((word) => word === 'granted')).toHaveLength(i + 1);
      expect(caller.said).toBe('granted');
      caller.release();
    }
    await done();
    for (const one of [a, b]) expect(await one.stats()).toMatchObject({ held: 0, queues: 0, places: 0 });
  });

  it('hands nothing on to a caller that comes while the lock is held here', async () => {
    const strict = { waitersPerKey: Infinity, maxWaitConnections: Infinity };
    us = await ModelProcess.start(postgres, strict);
    const holder = await us.held();
    const next = us.enqueue();
    await done();
    expect(postgres.blocked).toBe(1);
    holder.release();
    await done();
    expect(next.said).toBe('granted');
    next.release();
    await done();
    await isIdle();
  });
});

describe('a session for a place that cannot be had', () => {
  it('for good refuses everybody who waits', async () => {
    postgres.take(rival, ID);
    us.dialer.error = new ConfigError('the certificate is wrong');
    const callers = [us.enqueue(), us.enqueue()];
    await done();
    expect(callers.map(({ error }) => error?.message)).toEqual([
      'the certificate is wrong',
      'the certificate is wrong',
    ]);
    await isIdle();
  });

  it('for now is asked for again after a pause, and callers are told at their deadlines', async () => {
    postgres.take(rival, ID);
    us.dialer.error = new LockUnavailableError('no route');
    const [late, caller] = [us.enqueue('k', 20), us.enqueue()];
    await done();
    const { attempts } = us.dialer;
    await pass(10);
    expect(us.dialer.attempts).toBe(attempts);
    await pass(10);
    expect(late.error?.message).toBe('no route');
    us.dialer.error = undefined;
    await live(300);
    expect([caller.said, postgres.blocked]).toEqual(['', 1]);
    postgres.free(rival, ID);
    await done();
    expect(caller.said).toBe('granted');
  });
});

describe('a queue that pauses', () => {
  const fail = async (times: number): Promise<void> => {
    for (let i = 0; i < times; i++) {
      await settlePromises();
      expect(us.command.name).toBe('try');
      us.command.fail('57014');
      await done();
      if (i < times - 1) await pass(250);
    }
  };

  it('for longer and longer, has a short pause again once the server has answered', async () => {
    const first = us.enqueue();
    await fail(6);
    await pass(20);
    await done();
    expect(first.said).toBe('');
    await pass(230);
    await done();
    expect(first.said).toBe('granted');
    first.release();
    await done();
    const second = us.enqueue();
    await fail(1);
    await pass(25);
    await done();
    expect(second.said).toBe('granted');
  });

  it('tells no old trouble once the server has answered', async () => {
    const first = us.enqueue();
    await fail(1);
    await pass(25);
    await done();
    const second = us.enqueue('k', 100);
    us.dialer.error = new LockUnavailableError('the server is down');
    us.command.end(new LockUnavailableError('reset'));
    expect(first.release().outcome).toBe('gone');
    await pass(100);
    expect(second.error?.message).toMatch(/reset|the server is down/);
  });
});

describe('a try', () => {
  it('for what somebody had meanwhile is a timeout at the deadline, not a server that does not answer', async () => {
    us = await ModelProcess.start(postgres, { localTurns: 0 });
    const holder = await us.held();
    const waiting = us.enqueue('k', 200);
    holder.release();
    await pass(200);
    expect(waiting.error).toBeInstanceOf(AcquireTimeoutError);
  });

  it('comes before a place when a lock may be free again', async () => {
    postgres.take(rival, ID);
    const refused = us.enqueue();
    await done();
    refused.cancel();
    await done();
    postgres.free(rival, ID);
    const places = (): number => us.dialer.made.flatMap(namesOf).filter((name) => name === 'lock').length;
    expect(places()).toBe(1);
    const caller = us.enqueue();
    await done();
    expect([caller.said, places()]).toEqual(['granted', 1]);
  });

  it('comes before a place with a new command session', async () => {
    await us.held();
    const waiting = us.enqueue();
    us.command.end(new LockUnavailableError('reset'));
    us.command.gone();
    await live(6000);
    expect(waiting.said).toBe('granted');
    expect([tries(), us.waits]).toEqual([['try'], []]);
  });

  it('is not needed with a new command session while there is a place', async () => {
    postgres.take(rival, ID);
    const waiting = us.enqueue();
    await done();
    us.command.end(new LockUnavailableError('reset'));
    us.command.gone();
    await live(6000);
    expect([waiting.said, postgres.blocked]).toEqual(['', 1]);
    expect(namesOf(us.command)).not.toContain('try');
  });

  it('during an outage is not made, nor is another place taken', async () => {
    us = await ModelProcess.start(postgres, { waitersPerKey: 2 });
    postgres.take(rival, ID);
    us.enqueue();
    await done();
    us.command.end(new LockUnavailableError('reset'));
    const { attempts } = us.dialer;
    const second = us.enqueue();
    expect([us.dialer.attempts, second.said]).toEqual([attempts, '']);
  });
});

describe('a queue that polls', () => {
  let other: Caller;
  const triesOfIt = (): number => us.command.sent.filter(({ values }) => values[0] === ID).length;

  beforeEach(async () => {
    us = await ModelProcess.start(postgres, { maxWaitConnections: 1, maxHeld: 2 });
    postgres.take(rival, ID);
    postgres.take(rival, idOf('other'));
    other = us.enqueue('other');
    await done();
  });

  it('goes on although callers come and go all the time', async () => {
    us.enqueue();
    await done();
    const before = triesOfIt();
    for (let i = 0; i < 100; i++) {
      const caller = us.enqueue();
      await live(10);
      caller.cancel();
    }
    expect(triesOfIt() - before).toBeGreaterThan(3);
  });

  it('waits for room to try in', async () => {
    const caller = us.enqueue();
    await done();
    const taken = await us.held('x');
    const before = triesOfIt();
    await live(500);
    expect([caller.said, triesOfIt()]).toEqual(['', before]);
    taken.release();
    postgres.free(rival, ID);
    await live(300);
    expect(caller.said).toBe('granted');
  });

  it('polls no more once this process has the lock', async () => {
    const [caller, behind] = [us.enqueue(), us.enqueue('k', 1000)];
    await done();
    postgres.free(rival, ID);
    await live(300);
    expect(caller.said).toBe('granted');
    expect(await us.stats()).toMatchObject({ polling: 0, waiters: 2 });
    await live(700);
    expect(behind.error).toBeInstanceOf(AcquireTimeoutError);
    other.cancel();
  });
});

it('a queue is in use while somebody tries, has the lock, waits, or has a ticket', async () => {
  const isUnused = (): boolean => {
    let is: boolean | undefined;
    us.backend['core'].lockQueueOf('k', (queue) => (is = queue!.isUnused));
    return is!;
  };
  expect(isUnused()).toBe(true);
  const caller = us.enqueue();
  expect(isUnused()).toBe(false);
  await done();
  expect(isUnused()).toBe(false);
  caller.release();
  expect(isUnused()).toBe(true);
  await done();
  postgres.take(rival, ID);
  const waiting = us.enqueue();
  await done();
  expect(isUnused()).toBe(false);
  waiting.cancel();
  expect(isUnused()).toBe(true);
  await done();
  const ticket = us.enqueue('k', Infinity, 'ticket');
  await done();
  expect(isUnused()).toBe(false);
  ticket.cancel();
  expect(isUnused()).toBe(true);
});

describe('room among what the process may have', () => {
  it('is given back by a try that nobody wants any more, one that is refused and one that fails', async () => {
    us.enqueue().cancel();
    await done();
    await isIdle();
    postgres.take(rival, ID);
    us.enqueue('k', 0);
    await done();
    await isIdle();
    us.enqueue('other', 0);
    await settlePromises();
    us.command.fail('57014');
    await done();
    await isIdle();
  });

  it('that somebody else takes between a try and its place is waited for', async () => {
    us = await ModelProcess.start(postgres, { maxHeld: 1 });
    postgres.take(rival, ID);
    let other: Caller | undefined;
    us.backend.enqueue(us.request('k', 0), 'queue', {
      onPlaced: () => undefined,
      granted: () => undefined,
      refused: () => (other = us.enqueue('b')),
    });
    const [waiting, late] = [us.enqueue(), us.enqueue('k', 100)];
    await done();
    expect([other!.said, waiting.said, postgres.blocked]).toEqual(['granted', '', 0]);
    await live(100);
    expect(late.error).toBeInstanceOf(MaxLocksError);
    other!.release();
    await live(300);
    expect([postgres.blocked, (await us.stats()).held]).toEqual([1, 1]);
    waiting.cancel();
    await done();
    await isIdle();
  });

  it('is refused to one after the other', async () => {
    us = await ModelProcess.start(postgres, { maxHeld: 1 });
    const holder = await us.held('a');
    const refused = us.enqueue('k');
    expect(refused.error).toBeInstanceOf(MaxLocksError);
    expect(refused.error).toMatchObject({
      key: 'k',
      server: 'model:5432/db',
      message: 'this process has 1 locks of the database, as many as it may (option postgresBackend.maxHeld)',
    });
    holder.release();
    await done();
    const next = us.enqueue('k');
    await done();
    expect(next.said).toBe('granted');
    next.release();
    await done();
    await isIdle();
  });
});

describe('a lock that this process has by its place', () => {
  beforeEach(() => {
    postgres.take(rival, ID);
  });

  async function ownedByPlace(): Promise<{ holder: Caller; wait: ModelSession }> {
    const holder = us.enqueue();
    await done();
    postgres.free(rival, ID);
    await done();
    expect(holder.said).toBe('granted');
    return { holder, wait: us.waits.find((session) => postgres.heldBy(session).length > 0)! };
  }

  it('is lost with its session, and tried for again by who waits', async () => {
    const { holder, wait } = await ownedByPlace();
    const waiting = us.enqueue();
    wait.end(new LockUnavailableError('terminated'));
    wait.gone();
    await done();
    expect(waiting.said).toBe('granted');
    // By a try: it needs no other place.
    expect([tries(), us.waits]).toEqual([['try', 'try'], []]);
    expect(waiting.grant!.fence!).toBeGreaterThan(holder.grant!.fence!);
    expect(holder.release().outcome).toBe('gone');
    waiting.release();
    await done();
    await isIdle();
  });

  it('stays when the command session ends', async () => {
    const { holder } = await ownedByPlace();
    const waiting = us.enqueue();
    us.command.end(new LockUnavailableError('reset'));
    us.command.gone();
    expect(waiting.said).toBe('');
    expect((await us.backend.renew(holder.grant!, 1000)).leaseMs).toBe(1000);
    holder.release();
    expect(waiting.said).toBe('granted');
    await live(6000);
    waiting.release();
    await done();
    await isIdle();
  });

  it('that was lost leaves the lock of another session alone', async () => {
    const { holder, wait } = await ownedByPlace();
    wait.end(new LockUnavailableError('terminated'));
    wait.gone();
    const next = await us.held();
    expect(holder.release().outcome).toBe('gone');
    await done();
    expect(postgres.held).toEqual([ID]);
    const third = us.enqueue();
    next.release();
    expect(third.said).toBe('granted');
    third.release();
    await done();
    await isIdle();
  });

  it('is handed on without a statement, and given up by the last one', async () => {
    const { holder, wait } = await ownedByPlace();
    const waiting = us.enqueue();
    holder.release();
    expect([holder.outcome, waiting.said]).toEqual(['released', 'granted']);
    expect(namesOf(wait)).toEqual(['lock']);
    waiting.release();
    await done();
    expect([namesOf(wait), waiting.outcome]).toEqual([['lock', 'unlock'], 'released']);
    await isIdle();
  });
});

describe('the clock of the server', () => {
  /** The next fences are behind the last one by so much. */
  async function behind(nanoseconds: bigint): Promise<{ fence: bigint; degraded: unknown[] }> {
    const first = await us.held();
    first.release();
    await done();
    const caller = us.enqueue();
    await settlePromises();
    us.command.run();
    Object.assign(us.command, { outcome: { rows: [[String((first.grant!.fence! - nanoseconds) / 1000n)]] } });
    us.command.reply();
    await done();
    expect(caller.said).toBe('granted');
    caller.release();
    await done();
    const degraded = us.events.filter(({ state }) => state === 'degraded').map(({ detail }) => detail);
    return { fence: caller.grant!.fence! - first.grant!.fence!, degraded };
  }

  it('may stand still, or go back by a millisecond', async () => {
    expect(await behind(0n)).toEqual({ fence: 1n, degraded: [] });
    expect(await behind(1_000_000n)).toEqual({ fence: 1n, degraded: [] });
  });

  it('that goes back by more is told', async () => {
    const { fence, degraded } = await behind(2_999_000n);
    expect(fence).toBe(1n);
    expect(degraded).toEqual([
      "the server's clock went back by 2 ms: fences of other processes may be lower than earlier ones",
    ]);
  });
});

it('queues that poll get places in the order in which they began', async () => {
  us = await ModelProcess.start(postgres, { maxWaitConnections: 1 });
  for (const key of ['a', 'b', 'c', 'd']) postgres.take(rival, idOf(key));
  const callers: Caller[] = [];
  for (const key of ['a', 'b', 'c', 'd']) {
    callers.push(us.enqueue(key));
    await done();
  }
  expect(await us.stats()).toMatchObject({ places: 1, polling: 3 });
  callers[2]!.cancel();
  callers[0]!.cancel();
  await done();
  expect(await us.stats()).toMatchObject({ places: 1, polling: 1 });
  expect(us.waits.map(({ inFlight }) => inFlight?.values[0])).toEqual([idOf('b')]);
  callers[1]!.cancel();
  await done();
  expect(us.waits.map(({ inFlight }) => inFlight?.values[0])).toEqual([idOf('d')]);
  expect(us.events.filter(({ detail }) => detail?.includes('maxWaitConnections'))).toHaveLength(1);
});
