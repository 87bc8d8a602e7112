import { beforeEach, describe, expect, it } from '@jest/globals';
import {
  AcquireTimeoutError,
  AuthError,
  LockUnavailableError,
  MaxLocksError,
  PoolExhaustedError,
} from '../../../../../lib/common/errors.js';
import { settlePromises } from '../../../../support/fake-clock.js';
import type { ModelPostgres, ModelSession } from '../commands/model-postgres.js';
import { type Caller, idOf, lose, ModelProcess, namesOf, settle, startWithRival } from '../process.js';

const ID = idOf();

let postgres: ModelPostgres;
let us: ModelProcess;
/** Somebody else in the database. */
let rival: ModelSession;

beforeEach(async () => {
  ({ postgres, us, rival } = await startWithRival());
});

const done = (): Promise<void> => settle(postgres);
const said = (callers: readonly Caller[]): string[] => callers.map((caller) => caller.said);
const pass = (ms: number): Promise<void> => postgres.clock.advanceAsync(ms);

/** Time that passes while the server answers everything, so that sessions stay proven. */
async function live(ms: number): Promise<void> {
  for (let rest = ms; rest > 0; rest -= 20) {
    await pass(Math.min(rest, 20));
    await done();
    for (const session of postgres.sessions) if (session.isIdle) session.provenAt = postgres.clock.now();
  }
}

/** The place of those who wait becomes a grant after so long that its session is to be proven first. */
async function confirming(): Promise<ModelSession> {
  await done();
  await pass(5001);
  const wait = us.waits[0]!;
  postgres.free(rival, ID);
  wait.reply();
  return wait;
}

async function isIdle(): Promise<void> {
  expect(await us.stats()).toMatchObject({ queues: 0, waiters: 0, places: 0, polling: 0, held: 0 });
  expect(us.waits.every(({ isIdle }) => isIdle)).toBe(true);
}

describe('the queue of a lock that this process has', () => {
  it('hands it on, with fences that rise, and asks the server nothing', async () => {
    const first = await us.held();
    const [second, third] = [us.enqueue(), us.enqueue()];
    expect([second.isQueued, third.isQueued]).toEqual([true, true]);
    first.release();
    expect([first.outcome, second.said, third.said]).toEqual(['released', 'granted', '']);
    expect(second.grant!.fence).toBe(first.grant!.fence! + 1n);
    expect(second.grant!.token).not.toBe(first.grant!.token);
    second.release();
    expect(third.grant!.fence).toBe(first.grant!.fence! + 2n);
    third.release();
    await done();
    expect(namesOf(us.command)).toEqual(['try', 'unlock']);
    expect(us.waits).toEqual([]);
    await isIdle();
  });

  it('lets others have it after localTurns, and does not overtake them', async () => {
    const first = await us.held();
    const callers = Array.from({ length: 6 }, () => us.enqueue());
    postgres.block({ session: rival, id: ID, go: () => undefined });
    first.release();
    for (const caller of callers.slice(0, 4)) {
      expect(caller.said).toBe('granted');
      caller.release();
    }
    expect(callers[4]!.said).toBe('');
    await done();
    expect(postgres.heldBy(rival)).toEqual([ID]);
    expect([callers[4]!.said, postgres.blocked]).toEqual(['', 1]);
    postgres.free(rival, ID);
    await done();
    expect(said(callers.slice(4))).toEqual(['granted', '']);
  });

  it('without others has it again by one statement: release and try', async () => {
    us = await ModelProcess.start(postgres, { localTurns: 0 });
    const first = await us.held();
    const second = us.enqueue();
    first.release();
    expect([first.outcome, second.said]).toEqual([undefined, '']);
    await done();
    expect([first.outcome, second.said]).toEqual(['released', 'granted']);
    expect(namesOf(us.command)).toEqual(['try', 'locks']);
    expect(second.grant!.fence!).toBeGreaterThan(first.grant!.fence!);
    expect(us.waits).toEqual([]);
  });

  it.each([
    ['after localMs', async () => pass(100)],
    [
      'on a session that is proven for less than half its time',
      async () => {
        us.command.provenAt = postgres.clock.now() - 5001;
      },
    ],
  ])('does not hand it on %s', async (_, happens) => {
    const first = await us.held();
    const second = us.enqueue();
    await happens();
    first.release();
    expect([first.outcome, second.said]).toEqual([undefined, '']);
    await done();
    expect([first.outcome, second.said]).toEqual(['released', 'granted']);
  });

  it('hands it on just before', async () => {
    const first = await us.held();
    const second = us.enqueue();
    await pass(99);
    us.command.provenAt = postgres.clock.now() - 5000;
    first.release();
    expect(second.said).toBe('granted');
    expect(second.grant!.validFrom).toBe(postgres.clock.now());
  });

  it('tells who released before it tells who gets it, and bears what either does then', async () => {
    const first = await us.held();
    const [second, third] = [us.enqueue(), us.enqueue()];
    us.backend.release(first.grant!, (outcome) => {
      expect([outcome, second.said]).toEqual(['released', '']);
      second.cancel();
    });
    expect([second.said, third.said]).toEqual(['cancelled', 'granted']);
    const last = us.enqueue();
    us.backend.release(third.grant!, () => last.cancel());
    await done();
    expect(postgres.held).toEqual([]);
    await isIdle();
  });

  it('bears that its session ends while the release is told', async () => {
    const first = await us.held();
    const second = us.enqueue();
    us.backend.release(first.grant!, () => us.command.end(new LockUnavailableError('reset')));
    expect(second.said).toBe('');
    us.command.gone();
    await live(300);
    expect(second.said).toBe('granted');
    second.release();
    await done();
    await isIdle();
  });

  it('refuses a caller that does not wait, at once', async () => {
    const first = await us.held();
    const caller = us.enqueue('k', 0);
    expect(caller.error).toBeInstanceOf(AcquireTimeoutError);
    expect(await us.backend.tryAcquire(us.request())).toBeNull();
    expect(namesOf(us.command)).toEqual(['try']);
    first.release();
  });

  it('does not take a late release for that of the next holder', async () => {
    const first = await us.held();
    first.release();
    await done();
    const second = await us.held();
    let outcome: unknown;
    us.backend.release(first.grant!, (is) => (outcome = is));
    await done();
    expect([outcome, postgres.held]).toEqual(['gone', [ID]]);
    second.release();
  });
});

describe('the queue of a lock that somebody else has', () => {
  beforeEach(() => {
    postgres.take(rival, ID);
  });

  it('tries once, then takes one place for all its callers, and serves them in order', async () => {
    const callers = [us.enqueue(), us.enqueue(), us.enqueue()];
    expect(callers.map(({ isQueued }) => isQueued)).toEqual([false, true, true]);
    await done();
    expect(callers[0]!.isQueued).toBe(true);
    expect(namesOf(us.command)).toEqual(['try']);
    expect(us.waits.map(namesOf)).toEqual([['lock']]);
    expect(await us.stats()).toMatchObject({ queues: 1, waiters: 3, places: 1, held: 1 });
    postgres.free(rival, ID);
    await done();
    for (const caller of callers) caller.release();
    await done();
    expect(us.order).toEqual(['1', '2', '3']);
    expect(callers.map(({ outcome }) => outcome)).toEqual(['released', 'released', 'released']);
    expect(us.waits.map(namesOf)).toEqual([['lock', 'unlock']]);
    await isIdle();
  });

  it('enters the server queue again when its turns are over: the release counts when it is sent', async () => {
    us = await ModelProcess.start(postgres, { localTurns: 0 });
    const callers = [us.enqueue(), us.enqueue()];
    await done();
    postgres.block({ session: postgres.connect(), id: ID, go: () => undefined });
    postgres.free(rival, ID);
    await done();
    callers[0]!.release();
    expect([callers[0]!.outcome, callers[1]!.said]).toEqual(['released', '']);
    await done();
    const other = postgres.sessions.at(-1)!;
    expect([callers[1]!.said, postgres.heldBy(other)]).toEqual(['', [ID]]);
    postgres.free(other, ID);
    await done();
    expect(callers[1]!.said).toBe('granted');
    expect(us.waits.map(namesOf)).toEqual([['lock', 'unlock_and_lock']]);
    callers[1]!.release();
    await done();
    await isIdle();
  });

  it('counts a lock that is lost with its place off once', async () => {
    const caller = us.enqueue();
    await done();
    postgres.free(rival, ID);
    await done();
    expect([caller.said, (await us.stats()).held]).toEqual(['granted', 1]);
    lose(us.waits[0]!, 'terminated');
    expect(caller.release().outcome).toBe('gone');
    await done();
    await isIdle();
  });

  it('confirms a grant that was waited for for long before anybody gets it', async () => {
    const caller = us.enqueue();
    const wait = await confirming();
    expect([namesOf(wait), caller.said]).toEqual([['lock', 'prove'], '']);
    await done();
    expect(caller.said).toBe('granted');
    expect(caller.grant!.validFrom).toBe(postgres.clock.now());
    expect(caller.grant!.owner.provenUntil()).toBe(postgres.clock.now() + 10_000);
  });

  it('whose grant is not confirmed keeps its callers in order, and has another place soon', async () => {
    const [first, second] = [us.enqueue(), us.enqueue()];
    const wait = await confirming();
    wait.end(new LockUnavailableError('reset'));
    expect(said([first, second])).toEqual(['', '']);
    wait.gone();
    await live(250);
    expect(said([first, second])).toEqual(['granted', '']);
  });

  it('gives up its place when the last caller leaves, and takes another for one that comes meanwhile', async () => {
    const first = us.enqueue();
    await done();
    const wait = us.waits[0]!;
    first.cancel();
    const second = us.enqueue();
    await done();
    expect(namesOf(wait).slice(0, 2)).toEqual(['lock', 'unlock_all']);
    expect(postgres.blocked).toBe(1);
    postgres.free(rival, ID);
    await done();
    expect(second.said).toBe('granted');
    second.release();
    await done();
    await isIdle();
  });

  it('gives back what it is granted while it confirms and everybody leaves', async () => {
    const caller = us.enqueue();
    await confirming();
    caller.cancel();
    await done();
    expect(postgres.held).toEqual([]);
    await isIdle();
  });

  it('refuses callers at their deadlines, in whatever order they come', async () => {
    const callers = [us.enqueue('k', 300), us.enqueue('k', 100), us.enqueue('k', 10_000)];
    await done();
    await pass(99);
    expect(said(callers)).toEqual(['', '', '']);
    await pass(1);
    expect(said(callers)).toEqual(['', 'refused', '']);
    await pass(200);
    expect(said(callers)).toEqual(['refused', 'refused', '']);
    for (const { error } of callers.slice(0, 2)) expect(error).toBeInstanceOf(AcquireTimeoutError);
    expect(postgres.blocked).toBe(1);
    callers[2]!.cancel();
    await done();
    await isIdle();
  });

  it('refuses a caller that does not wait once the try is refused', async () => {
    const caller = us.enqueue('k', 0);
    const behind = us.enqueue();
    const another = us.enqueue('k', 0);
    expect(said([caller, behind, another])).toEqual(['', '', 'refused']);
    await done();
    expect(said([caller, behind])).toEqual(['refused', '']);
    expect(caller.error).toBeInstanceOf(AcquireTimeoutError);
    expect(postgres.blocked).toBe(1);
  });

  it('drops a try that nobody wants any more', async () => {
    us.enqueue().cancel();
    await done();
    expect(namesOf(us.command)).toEqual([]);
    postgres.free(rival, ID);
    us.enqueue();
    await settlePromises();
    us.command.run();
    us.enqueue().cancel();
    await done();
    expect(postgres.held).toEqual([ID]);
  });

  it('keeps its callers through the loss of its place', async () => {
    const callers = [us.enqueue(), us.enqueue()];
    await done();
    const [lost] = us.waits;
    lost!.end(new LockUnavailableError('terminated'));
    lost!.gone();
    expect(await us.stats()).toMatchObject({ places: 0, waiters: 2 });
    await pass(10);
    expect(postgres.blocked).toBe(0);
    await live(250);
    expect(postgres.blocked).toBe(1);
    postgres.free(rival, ID);
    await done();
    expect(said(callers)).toEqual(['granted', '']);
  });
});

describe('a queue without a session for a place', () => {
  let other: Caller;

  beforeEach(async () => {
    us = await ModelProcess.start(postgres, { maxWaitConnections: 1 });
    postgres.take(rival, ID);
    postgres.take(rival, idOf('other'));
    other = us.enqueue('other');
    await done();
  });

  it('polls, says so once, and refuses with PoolExhaustedError', async () => {
    const callers = [us.enqueue('k', 5000), us.enqueue('k', 1000)];
    await done();
    expect(callers.every(({ isQueued }) => isQueued)).toBe(true);
    expect(await us.stats()).toMatchObject({ polling: 1, places: 1, queues: 2 });
    await live(1000);
    const tries = namesOf(us.command).filter((name) => name === 'try').length;
    expect(tries).toBeGreaterThan(4);
    expect(tries).toBeLessThan(20);
    expect(callers[1]!.error).toBeInstanceOf(PoolExhaustedError);
    postgres.free(rival, ID);
    await live(250);
    expect(callers[0]!.said).toBe('granted');
    expect(us.events.filter(({ detail }) => detail?.includes('maxWaitConnections'))).toHaveLength(1);
  });

  it('has the place that becomes free', async () => {
    const caller = us.enqueue();
    await done();
    other.cancel();
    await done();
    expect(await us.stats()).toMatchObject({ polling: 0, places: 1, queues: 1 });
    caller.cancel();
    await done();
    await isIdle();
  });

  it('stops polling when nobody waits', async () => {
    const caller = us.enqueue();
    await done();
    caller.cancel();
    const { length } = us.command.sent;
    await live(2000);
    expect(us.command.sent.length).toBe(length);
    expect(await us.stats()).toMatchObject({ polling: 0, queues: 1, held: 1 });
  });
});

describe('a queue whose try fails', () => {
  it('tries again after a pause, for callers that wait', async () => {
    const [caller, impatient] = [us.enqueue(), us.enqueue('k', 10)];
    await settlePromises();
    us.command.fail('57014');
    await done();
    expect(said([caller, impatient])).toEqual(['', '']);
    await pass(10);
    expect(impatient.error).toBeInstanceOf(LockUnavailableError);
    await live(50);
    expect(caller.said).toBe('granted');
    expect(us.waits).toEqual([]);
  });

  it('tells the error to a caller that does not wait', async () => {
    const caller = us.enqueue('k', 0);
    await settlePromises();
    us.command.fail('57014');
    await done();
    expect(caller.error?.message).toContain('57014');
    await isIdle();
  });

  it('without an answer refuses at the deadline', async () => {
    const caller = us.enqueue('k', 200);
    await pass(200);
    expect(caller.error?.message).toBe('no answer in time');
    await done();
    expect(postgres.held).toEqual([]);
  });
});

describe('a queue while there is no command session', () => {
  it('asks nothing, and goes on when there is one', async () => {
    const first = await us.held();
    const [second, third] = [us.enqueue(), us.enqueue('k', 30)];
    us.dialer.error = new LockUnavailableError('the server is down');
    lose(us.command, 'reset');
    await pass(40);
    expect(said([second, third])).toEqual(['', 'refused']);
    expect(third.error?.message).toMatch(/reset|the server is down/);
    expect(us.enqueue('k', 0).error?.message).toMatch(/reset|the server is down/);
    expect(first.release().outcome).toBe('gone');
    us.dialer.error = undefined;
    await live(6000);
    expect(second.said).toBe('granted');
    second.release();
    await done();
    await isIdle();
  });

  it('keeps the places that it has', async () => {
    postgres.take(rival, ID);
    const caller = us.enqueue();
    await done();
    us.dialer.error = new LockUnavailableError('the server is down');
    us.command.end(new LockUnavailableError('reset'));
    postgres.free(rival, ID);
    await done();
    expect(caller.said).toBe('granted');
    expect(caller.release().outcome).toBeUndefined();
    await done();
    expect(caller.outcome).toBe('released');
  });

  it('refuses everybody when there will be none', async () => {
    const first = await us.held();
    const callers = [us.enqueue(), us.enqueue()];
    us.dialer.error = new AuthError();
    lose(us.command, 'reset');
    await pass(5000);
    for (const { error } of callers) expect(error).toBeInstanceOf(AuthError);
    expect(() => us.enqueue()).toThrow(AuthError);
    await expect(us.backend.tryAcquire(us.request())).rejects.toBeInstanceOf(AuthError);
    expect(first.release().outcome).toBe('gone');
  });
});

describe('fences', () => {
  it('rise within a microsecond', async () => {
    const first = await us.held();
    Object.assign(postgres, { now: () => String(first.grant!.fence! / 1000n) });
    first.release();
    await done();
    const second = await us.held();
    expect(second.grant!.fence).toBe(first.grant!.fence! + 1n);
    expect(us.events.filter(({ state }) => state === 'degraded')).toEqual([]);
  });

  it('rise in this process although the clock of the server goes back, which is told', async () => {
    const first = await us.held();
    Object.assign(postgres, { now: () => String(first.grant!.fence! / 1000n - 3_600_000_000n) });
    first.release();
    await done();
    const second = await us.held();
    expect(second.grant!.fence!).toBeGreaterThan(first.grant!.fence!);
    expect(us.events.at(-1)?.detail).toContain("the server's clock went back by 3600000 ms");
  });
});

describe('maxHeld', () => {
  it('bounds what is held, tried for and waited for together', async () => {
    us = await ModelProcess.start(postgres, { maxHeld: 2 });
    postgres.take(rival, ID);
    const held = await us.held('a');
    const waiting = us.enqueue();
    await done();
    const third = us.enqueue('b');
    expect(third.error).toBeInstanceOf(MaxLocksError);
    // Whoever waits for one of them takes no more room.
    const behind = us.enqueue('a');
    held.release();
    expect(behind.said).toBe('granted');
    behind.release();
    await done();
    expect((await us.held('b')).said).toBe('granted');
    waiting.cancel();
    await done();
    expect(await us.stats()).toMatchObject({ held: 1, maxHeld: 2 });
    expect(us.events.filter(({ detail }) => detail?.includes('option postgresBackend.maxHeld')).length).toBe(1);
  });
});

describe('tickets', () => {
  it('come before the callers that came after them, however late the first answer is', async () => {
    postgres.take(rival, ID);
    const ticket = us.enqueue('k', Infinity, 'ticket');
    const after = us.enqueue();
    await done();
    postgres.free(rival, ID);
    await done();
    expect(said([ticket, after])).toEqual(['granted', '']);
  });

  it('have places of their own, in the order in which they came, behind the callers before them', async () => {
    us = await ModelProcess.start(postgres, { maxWaitConnections: 5 });
    postgres.take(rival, ID);
    const callers = [
      us.enqueue(),
      us.enqueue('k', Infinity, 'ticket'),
      us.enqueue('k', Infinity, 'ticket'),
      us.enqueue(),
    ];
    await done();
    expect(callers.every(({ isQueued }) => isQueued)).toBe(true);
    expect(postgres.blocked).toBe(3);
    postgres.free(rival, ID);
    for (let i = 0; i < 4; i++) {
      await done();
      const holder = callers.find(({ said, outcome }) => said === 'granted' && outcome === undefined)!;
      holder.release();
    }
    await done();
    // The callers of the queue share its place: the second one enters behind the tickets.
    expect(us.order).toEqual(['1', '2', '3', '4']);
    await isIdle();
  });

  it('come before the callers that came after them, also while the try of another caller is under way', async () => {
    postgres.take(rival, ID);
    const tried = us.backend.tryAcquire(us.request());
    await settlePromises();
    const [ticket, after] = [us.enqueue('k', Infinity, 'ticket'), us.enqueue()];
    await done();
    expect(await tried).toBeNull();
    postgres.free(rival, ID);
    await done();
    expect(said([ticket, after])).toEqual(['granted', '']);
  });

  it('on a free lock need no place', async () => {
    const ticket = us.enqueue('k', Infinity, 'ticket');
    await done();
    expect([ticket.said, ticket.isQueued, us.waits.length]).toEqual(['granted', false, 0]);
    ticket.release();
    await done();
    await isIdle();
  });

  it('stand before the callers who come later, also while this process has the lock', async () => {
    const first = await us.held();
    const before = us.enqueue();
    const ticket = us.enqueue('k', Infinity, 'ticket');
    const after = us.enqueue();
    await done();
    expect(postgres.blocked).toBe(2);
    first.release();
    await done();
    expect(said([before, ticket, after])).toEqual(['granted', '', '']);
    before.release();
    await done();
    expect(said([ticket, after])).toEqual(['granted', '']);
    ticket.release();
    await done();
    expect(after.said).toBe('granted');
    after.release();
    await done();
    await isIdle();
  });

  it('are refused at their deadlines, when they are cancelled, and with their sessions', async () => {
    postgres.take(rival, ID);
    const [late, cancelled, lost] = [
      us.enqueue('k', 500, 'ticket'),
      us.enqueue('k', Infinity, 'ticket'),
      us.enqueue('k', Infinity, 'ticket'),
    ];
    await done();
    await pass(500);
    expect(late.error).toBeInstanceOf(AcquireTimeoutError);
    cancelled.cancel();
    await done();
    expect(postgres.blocked).toBe(1);
    const wait = us.waits.find(({ inFlight }) => inFlight)!;
    lose(wait, 'terminated');
    expect(lost.error).toBeInstanceOf(LockUnavailableError);
    await done();
    await isIdle();
  });

  it('wait for a connection during an outage, in their order, behind the callers before them', async () => {
    const holder = await us.held();
    us.dialer.error = new LockUnavailableError('the server is down');
    const asked = us.enqueue('other', Infinity, 'ticket');
    await settlePromises();
    lose(us.command, 'reset');
    expect(holder.release().outcome).toBe('gone');
    const callers = [us.enqueue(), us.enqueue('k', Infinity, 'ticket'), us.enqueue('k', Infinity, 'ticket')];
    const [late, cancelled] = [us.enqueue('k', 100, 'ticket'), us.enqueue('k', Infinity, 'ticket')];
    cancelled.cancel();
    await pass(100);
    expect(said([asked, ...callers, late])).toEqual(['', '', '', '', 'refused']);
    expect(late.error?.message).toMatch(/reset|the server is down/);
    us.dialer.error = undefined;
    await live(6000);
    expect(said([asked, ...callers])).toEqual(['granted', 'granted', '', '']);
    for (const caller of callers) {
      caller.release();
      await done();
    }
    expect(us.order.filter((name) => name !== asked.name)).toEqual(['1', '3', '4', '5']);
    asked.release();
    await done();
    await isIdle();
  });

  it('wait for a connection also if the outage ends the try of a caller before them', async () => {
    const [before, ticket] = [us.enqueue(), us.enqueue('k', Infinity, 'ticket')];
    await settlePromises();
    us.dialer.error = new LockUnavailableError('the server is down');
    lose(us.command, 'reset');
    await pass(1000);
    expect(said([before, ticket])).toEqual(['', '']);
    us.dialer.error = undefined;
    await live(6000);
    before.release();
    await done();
    expect(us.order).toEqual(['1', '2']);
  });

  it('wait for a connection also while the server has to compute the id', async () => {
    us = await ModelProcess.start(postgres, { lockId: 'hashtext' });
    us.dialer.error = new LockUnavailableError('the server is down');
    const asked = us.enqueue('k', Infinity, 'ticket');
    await settlePromises();
    lose(us.command, 'reset');
    expect(asked.said).toBe('');
    us.dialer.error = undefined;
    await pass(100);
    // What else a new session is told comes first.
    while (us.command.inFlight!.name !== 'dflockd_hashtext') {
      us.command.run();
      us.command.reply();
    }
    us.command.answer([['7']]);
    await done();
    expect(asked.said).toBe('granted');
  });

  it('are refused when there will be no connection, and when the process closes', async () => {
    us.dialer.error = new LockUnavailableError('the server is down');
    us.command.end(new LockUnavailableError('reset'));
    const [one, other] = [us.enqueue('k', Infinity, 'ticket'), us.enqueue('k', Infinity, 'ticket')];
    one.cancel();
    void us.backend.close(1000);
    expect(said([one, other])).toEqual(['cancelled', 'refused']);
    expect(other.error?.message).toContain('shutting down');
  });

  it('tell their holders of a loss, and are counted off once', async () => {
    postgres.take(rival, ID);
    const ticket = us.enqueue('k', Infinity, 'ticket');
    await done();
    postgres.free(rival, ID);
    await done();
    let reason = '';
    ticket.grant!.owner.onLost((why) => (reason = why));
    const wait = us.waits.find((session) => postgres.heldBy(session).length > 0)!;
    lose(wait, 'terminated');
    expect(reason).toBe('disconnected');
    expect(ticket.release().outcome).toBe('gone');
    await isIdle();
  });
});

describe('a process that closes', () => {
  it('refuses its callers, releases what it can and holds nothing afterwards', async () => {
    postgres.take(rival, ID);
    const held = await us.held('a');
    const callers = [us.enqueue(), us.enqueue(), us.enqueue('k', Infinity, 'ticket'), us.enqueue('a')];
    await done();
    const released = await us.held('b');
    released.release();
    const closed = us.backend.close(1000);
    expect(said(callers)).toEqual(['refused', 'refused', 'refused', 'refused']);
    await done();
    await closed;
    expect(released.outcome).toBe('released');
    for (const session of us.dialer.made) {
      expect(session.isEnded).toBe(true);
      session.gone();
    }
    expect(postgres.held).toEqual([ID]);
    expect(() => us.enqueue()).toThrow('shutting down');
    expect(held.release().outcome).toBe('gone');
    expect(postgres.clock.pendingTimers).toBe(0);
  });
});

describe('a try whose caller has left', () => {
  /** Sent, and executed by the server; the answer is on its way. */
  async function left(): Promise<Caller> {
    const caller = us.enqueue();
    await settlePromises();
    us.command.run();
    caller.cancel();
    return caller;
  }
  const tried = (): { said: unknown } => {
    const outcome = { said: undefined as unknown };
    us.backend.tryAcquire(us.request()).then(
      (grant) => (outcome.said = grant ? 'granted' : 'busy'),
      (error: Error) => (outcome.said = error),
    );
    return outcome;
  };

  it('is answered for the next one: the lock is not busy', async () => {
    await left();
    const next = tried();
    await done();
    expect(next.said).toBe('granted');
    expect(namesOf(us.command)).toEqual(['try']);
  });

  it('is answered for the next one who waits, who has the whole of its lease', async () => {
    await left();
    await pass(1000);
    const next = us.enqueue();
    await done();
    expect(next.said).toBe('granted');
    expect(next.grant!.validFrom).toBe(postgres.clock.now());
    expect(us.waits).toEqual([]);
  });

  it('is not answered for who comes before it is sent: there is another one, if any', async () => {
    us.enqueue().cancel();
    const next = tried();
    await done();
    expect([next.said, namesOf(us.command)]).toEqual(['granted', ['try']]);
  });

  it('is followed by another one if it is refused: the lock may have been released since', async () => {
    postgres.take(rival, ID);
    await left();
    postgres.free(rival, ID);
    const next = tried();
    await done();
    expect([next.said, namesOf(us.command)]).toEqual(['granted', ['try', 'try']]);
  });

  it('says busy if the lock still is', async () => {
    postgres.take(rival, ID);
    await left();
    const next = tried();
    await done();
    expect([next.said, namesOf(us.command)]).toEqual(['busy', ['try', 'try']]);
  });

  it.each([
    ['sent', ['try', 'locks']],
    ['on its way', ['try', 'unlock', 'try']],
  ])('is released first if the answer is there already, while that is to be %s', async (when, names) => {
    await left();
    us.command.reply();
    if (when === 'on its way') await settlePromises();
    const next = tried();
    await done();
    expect([next.said, namesOf(us.command)]).toEqual(['granted', names]);
  });

  it('or was told that the answer is overdue is answered for the next one', async () => {
    const first = tried();
    await settlePromises();
    await pass(5000);
    expect(first.said).toBeInstanceOf(LockUnavailableError);
    const next = tried();
    await settlePromises();
    expect(next.said).toBeUndefined();
    await done();
    expect(next.said).toBe('granted');
  });

  it('is answered for a ticket, too', async () => {
    await left();
    const ticket = us.enqueue('k', Infinity, 'ticket');
    await done();
    expect([ticket.said, us.waits.length]).toEqual(['granted', 0]);
    ticket.release();
    await done();
    await isIdle();
  });

  it('for a semaphore is answered for the next one', async () => {
    us.slots = 1;
    const first = us.enqueue();
    await settlePromises();
    us.command.settle();
    await settlePromises();
    expect(us.command.name).toBe('batch');
    us.command.run();
    first.cancel();
    const next = tried();
    await done();
    expect(next.said).toBe('granted');
  });

  it('for a lock that may be kept is answered for the next one', async () => {
    us = await ModelProcess.start(postgres, { keep: true });
    await left();
    us.command.reply();
    await settlePromises();
    const next = tried();
    await done();
    expect(next.said).toBe('granted');
  });

  it('is no longer in the way when the session ends', async () => {
    await left();
    const next = us.enqueue();
    lose(us.command, 'reset');
    await live(300);
    expect(next.said).toBe('granted');
    next.release();
    await done();
    await isIdle();
  });
});

it('a place that gets the lock leaves the try that is under way to the next caller', async () => {
  us = await ModelProcess.start(postgres, { waitersPerKey: Infinity, maxWaitConnections: Infinity });
  postgres.take(rival, ID);
  const first = us.enqueue();
  await done();
  postgres.free(rival, ID);
  await done();
  const second = us.enqueue();
  await settlePromises();
  us.command.run();
  expect(us.command.name).toBe('try');
  first.release();
  us.waits[0]!.settle();
  await settlePromises();
  expect(said([first, second])).toEqual(['granted', 'granted']);
  second.release();
  us.waits[0]!.settle();
  expect(postgres.held).toEqual([]);
  const tried = us.backend.tryAcquire(us.request());
  await settlePromises();
  // Refused, but that was before the call.
  us.command.reply();
  await done();
  expect(await tried).not.toBeNull();
});
