import { beforeEach, describe, expect, it } from '@jest/globals';
import {
  AcquireTimeoutError,
  LockUnavailableError,
  MaxLocksError,
  PoolExhaustedError,
} from '../../../../lib/common/errors.js';
import { settlePromises } from '../../../support/fake-clock.js';
import type { ModelPostgres, ModelSession } from './commands/model-postgres.js';
import { type Caller, idOf, lose, ModelProcess, namesOf, settle, startWithRival } from './process.js';

const ID = idOf();
const SERVER = 'model:5432/db';

describe('a ticket on Postgres', () => {
  let postgres: ModelPostgres;
  let us: ModelProcess;
  let rival: ModelSession;

  beforeEach(async () => {
    ({ postgres, us, rival } = await startWithRival());
  });

  const done = (): Promise<void> => settle(postgres);
  const pass = (ms: number): Promise<void> => postgres.clock.advanceAsync(ms);
  /** Somebody else has the lock, and a ticket has its place in the server's queue. */
  async function queued(waitMs = Infinity): Promise<Caller> {
    postgres.take(rival, ID);
    const caller = us.ticket(waitMs);
    await done();
    expect([caller.said, caller.isQueued]).toEqual(['', true]);
    return caller;
  }
  const nothingIsLeft = async (): Promise<void> => {
    expect(await us.stats()).toMatchObject({ held: 0, queues: 0, waiters: 0, places: 0 });
    expect(postgres.blocked).toBe(0);
  };
  /** It releases its lock, after which nothing is left. */
  const leavesNothing = async (caller: Caller): Promise<void> => {
    caller.release();
    await done();
    await nothingIsLeft();
  };
  /** The lock is handed on at its release: nobody stands before the next caller. */
  const isHandedOn = (holder: Caller): Caller => {
    const next = us.enqueue();
    holder.release();
    expect([holder.outcome, next.said]).toEqual(['released', 'granted']);
    return next;
  };
  /** The first statement of a ticket fails, and its session lives. */
  const isRefusedIfItsStatementFails = async (): Promise<void> => {
    const caller = us.ticket();
    await settlePromises();
    us.command.fail('57014');
    await done();
    expect(caller.error?.message).toContain('57014');
    await nothingIsLeft();
  };

  it('without an answer to its try is refused at its deadline, and what it is granted later is given back', async () => {
    const caller = us.ticket(200);
    await pass(199);
    expect(caller.said).toBe('');
    await pass(1);
    expect(caller.error).toBeInstanceOf(LockUnavailableError);
    expect(caller.error).toMatchObject({ message: 'no answer in time', key: 'k', server: SERVER });
    await done();
    expect(postgres.held).toEqual([]);
    await nothingIsLeft();
  });

  it('with a place is refused at its deadline, which names the key', async () => {
    const caller = await queued(200);
    await pass(200);
    expect(caller.error).toBeInstanceOf(AcquireTimeoutError);
    expect(caller.error).toMatchObject({ key: 'k', server: SERVER });
    await done();
    await nothingIsLeft();
  });

  it('is granted what lies in the socket at its deadline', async () => {
    const caller = us.ticket(200);
    await settlePromises();
    us.command.run();
    postgres.clock.stall(200);
    postgres.clock.afterPoll(() => us.command.reply());
    await pass(0);
    expect(caller.said).toBe('granted');
  });

  it('is refused without a connection for its place, and takes no room then', async () => {
    us = await ModelProcess.start(postgres, { maxWaitConnections: 1 });
    postgres.take(rival, ID);
    postgres.take(rival, idOf('other'));
    const other = us.enqueue('other');
    await done();
    const caller = us.ticket();
    await done();
    expect(caller.error).toBeInstanceOf(PoolExhaustedError);
    expect(caller.error).toMatchObject({ key: 'k', server: SERVER });
    expect((await us.stats()).held).toBe(1);
    other.cancel();
    await done();
    await nothingIsLeft();
  });

  it('is refused if there is no room for its place', async () => {
    us = await ModelProcess.start(postgres, { maxHeld: 1 });
    const holder = await us.held();
    const caller = us.ticket();
    expect(caller.error).toBeInstanceOf(MaxLocksError);
    expect(caller.error).toMatchObject({ key: 'k', server: SERVER });
    expect((await us.stats()).held).toBe(1);
    // It did not become a rival: the lock is handed on.
    await leavesNothing(isHandedOn(holder));
  });

  it('has its place after the callers before it, and none if it is cancelled before they are answered', async () => {
    postgres.take(rival, ID);
    const before = us.enqueue();
    const caller = us.ticket();
    caller.cancel();
    await done();
    expect([before.said, postgres.blocked, us.waits.length]).toEqual(['', 1, 1]);
    before.cancel();
    await done();
    await nothingIsLeft();
  });

  it('that is cancelled before others are answered does not try', async () => {
    postgres.take(rival, ID);
    const before = us.enqueue('k', 0);
    const caller = us.ticket();
    caller.cancel();
    await settlePromises();
    us.command.run();
    postgres.free(rival, ID);
    us.command.reply();
    await done();
    expect([before.said, caller.said, postgres.held]).toEqual(['refused', 'cancelled', []]);
    expect(namesOf(us.command)).toEqual(['try']);
  });

  it('that is cancelled with its place stands before nobody any more', async () => {
    const holder = await us.held();
    const caller = us.ticket();
    const after = us.enqueue();
    await done();
    holder.release();
    expect(after.said).toBe('');
    await done();
    // It has the lock now.
    expect([caller.said, after.said]).toEqual(['granted', '']);
    const another = us.ticket();
    await done();
    another.cancel();
    another.cancel();
    caller.release();
    await done();
    expect(after.said).toBe('granted');
    await leavesNothing(isHandedOn(after));
  });

  it('that was granted cannot be cancelled', async () => {
    const caller = us.ticket();
    await done();
    caller.pending!.cancel();
    await done();
    expect(postgres.held).toEqual([ID]);
    await leavesNothing(caller);
  });

  it('is told once when its session ends, and counts no more', async () => {
    const caller = await queued();
    lose(us.waits[0]!, 'terminated');
    expect(caller.error?.message).toBe('terminated');
    await pass(60_000);
    await done();
    await nothingIsLeft();
    // It stands before nobody any more.
    postgres.free(rival, ID);
    isHandedOn(await us.held());
  });

  it('whose try fails on a session that lives is refused', isRefusedIfItsStatementFails);

  it('keeps its one place when the command session is lost', async () => {
    const caller = await queued();
    lose(us.command);
    await pass(300);
    await done();
    expect([postgres.blocked, (await us.stats()).held]).toEqual([1, 1]);
    postgres.free(rival, ID);
    await done();
    expect(caller.said).toBe('granted');
    await leavesNothing(caller);
  });

  it('is refused if its place is lost too', async () => {
    const caller = await queued();
    us.dialer.error = new LockUnavailableError('the server is down');
    us.command.end(new LockUnavailableError('reset'));
    us.waits[0]!.end(new LockUnavailableError('terminated'));
    expect(caller.error?.message).toBe('terminated');
  });

  describe('whose id the server computes', () => {
    beforeEach(async () => {
      us = await ModelProcess.start(postgres, { lockId: 'hashtext' });
    });

    it('may be cancelled before', async () => {
      const caller = us.ticket();
      await settlePromises();
      caller.cancel();
      us.command.answer([['-7']]);
      await done();
      expect([caller.said, postgres.held]).toEqual(['cancelled', []]);
      await nothingIsLeft();
    });

    it('is refused if the server refuses to say', isRefusedIfItsStatementFails);

    it('asks again with the next session if the server has not said', async () => {
      const [caller, late] = [us.ticket(), us.ticket(100)];
      await pass(100);
      expect(late.error?.message).toBe('no answer in time');
      us.command.end(new LockUnavailableError('reset'));
      expect(caller.said).toBe('');
      await pass(100);
      for (let i = 0; i < 10 && us.command.name !== 'hashtext'; i++) {
        us.command.run();
        us.command.reply();
        await settlePromises();
      }
      us.command.answer([['-7']]);
      await done();
      expect([caller.said, postgres.held]).toEqual(['granted', ['-7']]);
    });
  });
});
