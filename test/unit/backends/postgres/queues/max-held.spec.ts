import { beforeEach, describe, expect, it } from '@jest/globals';
import { slotIdsOf } from '../../../../../lib/backends/postgres/ids/slot-ids.js';
import type { PostgresBackendOptions } from '../../../../../lib/backends/postgres/options.js';
import { LockUnavailableError, MaxLocksError } from '../../../../../lib/common/errors.js';
import { FakeClock, settlePromises } from '../../../../support/fake-clock.js';
import { ModelPostgres, type ModelSession } from '../commands/model-postgres.js';
import { type Caller, idOf, ModelProcess, settle } from '../process.js';

const gate = String(slotIdsOf('k', 1).gate);
const slot = String(slotIdsOf('k', 1).slots[0]);

describe('maxHeld counts what nobody wants any more until the server certainly has nothing because of it:', () => {
  let clock: FakeClock;
  let postgres: ModelPostgres;
  let us: ModelProcess;
  let rival: ModelSession;
  let limit: number;

  const start = async (options: PostgresBackendOptions): Promise<void> => {
    us = await ModelProcess.start(postgres, options);
    limit = options.maxHeld!;
  };
  beforeEach(() => {
    clock = new FakeClock();
    postgres = new ModelPostgres(clock);
    rival = postgres.connect();
  });

  const all = (): Promise<void> => settle(postgres);
  /** What is asked for has left, and the server has executed it. */
  const executed = async (session = us.command): Promise<void> => {
    await settlePromises();
    session.run();
  };
  const answered = async (session = us.command): Promise<void> => {
    await executed(session);
    session.reply();
    await settlePromises();
  };
  /** There is no room for others, and there would be none at the server. */
  const isFull = async (): Promise<void> => {
    const other = us.enqueue('other', 0);
    await settlePromises();
    for (const session of us.dialer.made) session.run();
    expect(us.entries).toBeLessThanOrEqual(limit);
    expect((await us.stats()).held).toBeGreaterThanOrEqual(us.entries);
    expect(other.error).toBeInstanceOf(MaxLocksError);
  };
  /** In the end, everything is given back. */
  const hasRoom = async (callers: readonly Caller[] = []): Promise<void> => {
    for (const one of callers) if (one.said === 'granted') one.release();
    for (let i = 0; i < 10; i++) {
      await all();
      await clock.advanceAsync(100);
    }
    await all();
    expect([us.entries, (await us.stats()).held]).toEqual([0, 0]);
    expect((await us.held('other')).said).toBe('granted');
  };

  it('a try whose caller has left while it is on its way', async () => {
    await start({ maxHeld: 1 });
    const caller = us.enqueue();
    await executed();
    caller.cancel();
    await isFull();
    us.command.reply();
    await isFull();
    await hasRoom();
  });

  it('a try whose caller was told that the answer is overdue', async () => {
    await start({ maxHeld: 1 });
    const caller = us.enqueue('k', 0);
    await executed();
    await clock.advanceAsync(5000);
    expect(caller.error).toBeInstanceOf(LockUnavailableError);
    await isFull();
    us.command.reply();
    await isFull();
    await hasRoom();
  });

  it('a release whose caller was told that the answer is overdue', async () => {
    await start({ maxHeld: 1 });
    const holder = await us.held();
    holder.release();
    await settlePromises();
    await clock.advanceAsync(5000);
    expect(holder.outcome).toBeInstanceOf(LockUnavailableError);
    expect(us.entries).toBe(1);
    await isFull();
    await hasRoom();
  });

  it('what a statement that failed has taken, until it is repaired', async () => {
    await start({ maxHeld: 1 });
    const caller = us.enqueue('k', 300);
    await settlePromises();
    us.command.run(1);
    us.command.reply();
    await clock.advanceAsync(300);
    expect([caller.said, us.entries]).toEqual(['refused', 1]);
    await isFull();
    await hasRoom();
  });

  it('a lock that turned out to be kept, until it is given back', async () => {
    await start({ maxHeld: 1, keep: true });
    const other = await ModelProcess.start(postgres, { keep: true });
    (await other.held()).release(400);
    await all();
    const caller = us.enqueue('k', 0);
    await answered();
    await answered();
    expect([us.command.name, us.entries]).toEqual(['unlock', 1]);
    await isFull();
    await all();
    expect(caller.said).toBe('refused');
    await hasRoom();
  });

  it('a lock of which nobody knows whether it is kept, until it is given back', async () => {
    await start({ maxHeld: 1, keep: true });
    const caller = us.enqueue('k', 0);
    await answered();
    expect(us.command.name).toBe('look');
    us.command.fail('42P01');
    expect(caller.error).toBeInstanceOf(LockUnavailableError);
    expect(us.entries).toBe(1);
    await isFull();
    await hasRoom();
  });

  it('a place that waits a kept lock out when it fails', async () => {
    await start({ maxHeld: 1, keep: true });
    postgres.take(rival, idOf('k'));
    const caller = us.enqueue('k', 300);
    await all();
    postgres.free(rival, idOf('k'));
    us.waits[0]!.settle();
    await settlePromises();
    expect(us.command.name).toBe('look');
    us.command.fail('42P01');
    expect(us.entries).toBe(1);
    await isFull();
    await clock.advanceAsync(300);
    expect(caller.said).toBe('refused');
    await hasRoom();
  });

  it('a place whose cancellation may come too late', async () => {
    await start({ maxHeld: 1 });
    postgres.take(rival, idOf('k'));
    const caller = us.enqueue();
    await all();
    caller.cancel();
    await settlePromises();
    // It is granted before the server hears that it is cancelled.
    postgres.free(rival, idOf('k'));
    expect([us.entries, us.command.inFlight?.name]).toEqual([1, 'dflockd_cancel']);
    await isFull();
    us.command.reply();
    await isFull();
    await hasRoom();
  });

  it('the place of a ticket that is cancelled, or has failed', async () => {
    await start({ maxHeld: 1 });
    postgres.take(rival, idOf('k'));
    const ticket = us.enqueue('k', 60_000, 'ticket');
    await all();
    ticket.cancel();
    await settlePromises();
    expect(us.entries).toBe(1);
    await isFull();
    postgres.free(rival, idOf('k'));
    await isFull();
    await hasRoom();
  });

  describe('of semaphores,', () => {
    beforeEach(async () => {
      await start({ maxHeld: 2 });
      us.slots = 1;
    });

    /** A caller of this process at the gate, while somebody else has the slot. */
    const atGate = async (): Promise<Caller> => {
      postgres.take(rival, slot);
      const caller = us.enqueue();
      await all();
      expect(us.waits.flatMap((session) => postgres.heldBy(session))).toEqual([gate]);
      return caller;
    };

    it('the gate beside the slot that its waiter gets', async () => {
      const caller = await atGate();
      postgres.free(rival, slot);
      await clock.advanceAsync(100);
      await answered();
      expect([caller.said, us.entries]).toEqual(['granted', 2]);
      await isFull();
      await hasRoom([caller]);
    });

    it('the slot that the head tries for when its caller leaves', async () => {
      const caller = await atGate();
      postgres.free(rival, slot);
      await clock.advanceAsync(100);
      await executed();
      expect(us.entries).toBe(2);
      caller.cancel();
      await isFull();
      us.command.reply();
      await isFull();
      await hasRoom();
    });

    it('the slot that the head tries for when the answer is overdue', async () => {
      const caller = us.enqueue('k', 5000);
      postgres.take(rival, slot);
      await all();
      postgres.free(rival, slot);
      await clock.advanceAsync(100);
      await executed();
      await clock.advanceAsync(5000);
      expect(caller.said).toBe('refused');
      expect(us.entries).toBe(2);
      await isFull();
      await hasRoom();
    });

    it('a try for a slot whose caller has left, sent or not', async () => {
      const [caller, second] = [us.enqueue(), us.enqueue('other slot')];
      await answered();
      await executed();
      caller.cancel();
      second.cancel();
      await isFull();
      await hasRoom();
    });
  });

  it('without room for gate and slot, a semaphore is polled', async () => {
    await start({ maxHeld: 2 });
    const holder = await us.held('a');
    us.slots = 1;
    postgres.take(rival, slot);
    const [late, caller] = [us.enqueue('k', 1000), us.enqueue()];
    const live = async (): Promise<void> => {
      for (let ms = 0; ms < 1000; ms += 20) {
        await clock.advanceAsync(20);
        await all();
        expect(us.entries).toBeLessThanOrEqual(limit);
      }
    };
    await live();
    expect([late.said, caller.said, us.waits.flatMap((session) => postgres.heldBy(session))]).toEqual([
      'refused',
      '',
      [],
    ]);
    postgres.free(rival, slot);
    await live();
    expect(caller.said).toBe('granted');
    us.slots = 0;
    await hasRoom([holder, caller]);
  });

  it('without room for gate and slot, a semaphore is polled less and less often', async () => {
    await start({ maxHeld: 2 });
    await us.held('a');
    us.slots = 1;
    postgres.take(rival, slot);
    us.enqueue();
    await all();
    const { length } = us.command.sent;
    for (let ms = 0; ms < 3000; ms += 25) {
      await clock.advanceAsync(25);
      us.command.settle();
    }
    expect(us.command.sent.length - length).toBeLessThan(30);
  });
});
