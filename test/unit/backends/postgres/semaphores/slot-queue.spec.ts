import { beforeEach, describe, expect, it } from '@jest/globals';
import { slotIdsOf } from '../../../../../lib/backends/postgres/ids/slot-ids.js';
import { LimitMismatchError, LockUnavailableError, PoolExhaustedError } from '../../../../../lib/common/errors.js';
import { FakeClock, settlePromises } from '../../../../support/fake-clock.js';
import { ModelPostgres, type ModelSession } from '../commands/model-postgres.js';
import { type Caller, ModelProcess, settle } from '../process.js';

const { gate, slots } = slotIdsOf('k', 2);

describe('the queue of a semaphore', () => {
  let clock: FakeClock;
  let postgres: ModelPostgres;
  let a: ModelProcess;
  let b: ModelProcess;

  const start = async (options = {}): Promise<ModelProcess> => {
    const process = await ModelProcess.start(postgres, options);
    process.slots = 2;
    return process;
  };
  beforeEach(async () => {
    clock = new FakeClock();
    postgres = new ModelPostgres(clock);
    [a, b] = [await start(), await start()];
  });

  const all = (): Promise<void> => settle(postgres);
  const isAtGate = (process: ModelProcess): boolean =>
    process.waits.some((session) => postgres.heldBy(session).includes(String(gate)));
  const lost = (session: ModelSession): void => {
    session.end(new LockUnavailableError('cut'));
    session.gone();
  };
  /** Both slots are taken by one process, and the other is at the gate. */
  async function contended(): Promise<{ held: Caller[]; waiting: Caller }> {
    const held = [await a.held(), await a.held()];
    const waiting = b.enqueue();
    await all();
    expect(isAtGate(b)).toBe(true);
    return { held, waiting };
  }

  it('has the slots on the command session', async () => {
    const held = [await a.held(), await a.held()];
    expect(postgres.heldBy(a.command).sort()).toEqual(slots.map(String).sort());
    expect(held.map(({ grant }) => grant!.owner.id)).toEqual([held[0]!.grant!.owner.id, held[0]!.grant!.owner.id]);
    for (const one of held) one.release();
    await all();
    expect(postgres.held).toEqual([]);
  });

  const tries = (count: number): Promise<unknown>[] =>
    Array.from({ length: count }, () => a.backend.tryAcquire(a.request()).then((grant) => grant !== null, String));

  it('has a slot for each of several tries of one turn, while there are any', async () => {
    const said = Promise.all(tries(4));
    await all();
    expect(await said).toEqual([true, true, false, false]);
    expect((await a.stats()).held).toBe(2);
  });

  it('fails tries that come while another one is under way, if there is no connection any more', async () => {
    const said = Promise.all(tries(3));
    await settlePromises();
    lost(a.command);
    await all();
    expect(await said).toEqual(Array(3).fill(expect.stringMatching('LockUnavailableError: cut')));
    expect(a.holdings.count).toBe(0);
  });

  it('has no try overtake a caller that waits', async () => {
    await b.held();
    const waiting = a.enqueue();
    const said = Promise.all(tries(2));
    await all();
    expect([waiting.said, await said]).toEqual(['granted', [false, false]]);
  });

  it('asks nobody while this process has all slots: they are handed on, and then others get their turn', async () => {
    const held = [await a.held(), await a.held()];
    const waiting = a.enqueue();
    await all();
    expect([a.waits.length === 0 || !isAtGate(a), waiting.said]).toEqual([true, '']);
    const { length } = a.command.sent;
    held[0]!.release();
    expect(waiting.said).toBe('granted');
    expect(a.command.sent).toHaveLength(length);
    expect(waiting.grant!.fence!).toBeGreaterThan(held[1]!.grant!.fence!);
  });

  it('hands a slot on no more often than it may while others wait', async () => {
    const { waiting, ...before } = await contended();
    let { held } = before;
    const others = Array.from({ length: 12 }, () => a.enqueue());
    await all();
    for (let turn = 0; turn < 8; turn++) {
      for (const one of held) one.release();
      await all();
      held = others.filter(({ said, outcome }) => said === 'granted' && outcome === undefined);
      await clock.advanceAsync(1);
    }
    await clock.advanceAsync(100);
    await all();
    // Two slots, with four turns after the first each.
    expect(waiting.said).toBe('granted');
    const earlier = [...before.held, ...others].filter(({ grant, number }) => grant && number < waiting.number);
    expect(earlier.length).toBeLessThanOrEqual(10);
  });

  it('notifies the head only', async () => {
    const { held, waiting } = await contended();
    held[0]!.release();
    await all();
    expect(postgres.notified).toEqual([slotIdsOf('k', 2).channel]);
    // The model delivers none: the head polls.
    await clock.advanceAsync(100);
    await all();
    expect(waiting.said).toBe('granted');
    expect(isAtGate(b)).toBe(false);
    waiting.release();
    await all();
    expect(postgres.notified).toHaveLength(1);
  });

  it('tries again once it listens: a slot may have been released before, and its notification is lost', async () => {
    const held = [await a.held(), await a.held()];
    const slow = await start({ semPollMs: 60_000 });
    const waiting = slow.enqueue();
    await settlePromises();
    const listens = (): boolean => slow.waits[0]?.inFlight?.text.startsWith('listen') === true;
    for (let i = 0; i < 20 && !listens(); i++) {
      for (const session of [...slow.waits, slow.command]) {
        session.run();
        session.reply();
      }
      await settlePromises();
    }
    expect(slow.waits[0]!.inFlight?.text).toMatch(/^listen/);
    held[0]!.release();
    await all();
    expect(waiting.said).toBe('granted');
  });

  it('leaves the gate if the head has no connection to try with, and comes back to it', async () => {
    const { held, waiting } = await contended();
    await clock.advanceAsync(100);
    expect(b.command.name).toBe('batch');
    b.command.end(new LockUnavailableError('cut'));
    for (const session of b.waits) session.settle();
    expect(isAtGate(b)).toBe(false);
    held[0]!.release();
    await all();
    await clock.advanceAsync(6000);
    await all();
    expect(waiting.said).toBe('granted');
  });

  it('leaves the gate with its last caller', async () => {
    const { waiting } = await contended();
    waiting.cancel();
    await all();
    expect(isAtGate(b)).toBe(false);
    expect(postgres.held.sort()).toEqual(slots.map(String).sort());
    await clock.advanceAsync(1000);
    expect((await b.stats()).held).toBe(0);
  });

  it('takes a new place if the session at the gate ends', async () => {
    const { held, waiting } = await contended();
    lost(b.waits[0]!);
    await clock.advanceAsync(300);
    await all();
    expect(isAtGate(b)).toBe(true);
    held[0]!.release();
    await all();
    await clock.advanceAsync(100);
    await all();
    expect(waiting.said).toBe('granted');
  });

  it('loses its slots with the command session, and takes new ones', async () => {
    const held = [await a.held(), await a.held()];
    lost(a.command);
    for (const one of held) one.release();
    expect(held.map(({ outcome }) => outcome)).toEqual(['gone', 'gone']);
    const next = [a.enqueue(), a.enqueue(), a.enqueue()];
    await clock.advanceAsync(6000);
    await all();
    expect(next.map(({ said }) => said)).toEqual(['granted', 'granted', '']);
    expect((await a.stats()).held).toBe(2);
  });

  it('goes on at the end of the queue, in one statement, while it has more callers', async () => {
    const { held, waiting } = await contended();
    const second = b.enqueue();
    held[0]!.release();
    await clock.advanceAsync(100);
    await all();
    expect([waiting.said, second.said]).toEqual(['granted', '']);
    expect(b.waits[0]!.sent.map(({ name }) => name)).toContain('dflockd_unlock_and_lock');
    held[1]!.release();
    await clock.advanceAsync(100);
    await all();
    expect(second.said).toBe('granted');
    waiting.release();
    second.release();
    await all();
    expect([(await b.stats()).held, b.entries]).toEqual([0, 0]);
  });

  it('refuses all its callers if others use another limit', async () => {
    const mine = await a.held();
    b.slots = 3;
    const refused = [b.enqueue(), b.enqueue()];
    await all();
    for (const { error } of refused) expect(error).toBeInstanceOf(LimitMismatchError);
    mine.release();
    await all();
    expect(postgres.held).toEqual([]);
    expect((await b.stats()).held).toBe(0);
  });

  it('counts gates and slots among what the process may have', async () => {
    const small = await start({ maxHeld: 2 });
    const held = [await small.held(), await small.held()];
    expect((await small.stats()).held).toBe(2);
    const third = small.enqueue('other');
    await all();
    expect(third.error).toMatchObject({ code: 'MAX_LOCKS' });
    for (const one of held) one.release();
    await all();
    expect((await small.stats()).held).toBe(0);
  });

  it('has tickets before the callers that came after them, however late the first answer is', async () => {
    const held = [await a.held(), await a.held()];
    const [ticket, after] = [b.enqueue('k', 60_000, 'ticket'), b.enqueue()];
    await all();
    held[0]!.release();
    await clock.advanceAsync(100);
    await all();
    expect([ticket.said, after.said]).toEqual(['granted', '']);
    held[1]!.release();
    await clock.advanceAsync(100);
    await all();
    expect(after.said).toBe('granted');
  });

  it('has tickets with a place of their own, and refuses one without a connection', async () => {
    const { held, waiting } = await contended();
    const ticket = b.enqueue('k', 60_000, 'ticket');
    await all();
    expect(b.waits).toHaveLength(2);
    held[0]!.release();
    await clock.advanceAsync(100);
    await all();
    expect([waiting.said, ticket.said]).toEqual(['granted', '']);
    held[1]!.release();
    await clock.advanceAsync(100);
    await all();
    expect(ticket.said).toBe('granted');
    ticket.release();
    await all();
    const one = await start({ maxWaitConnections: 1 });
    const other = await a.held();
    const [first, second] = [one.enqueue('k', 60_000, 'ticket'), one.enqueue('k', 60_000, 'ticket')];
    await all();
    expect(second.error).toBeInstanceOf(PoolExhaustedError);
    first.cancel();
    other.release();
    await all();
    expect((await one.stats()).held).toBe(0);
  });
});
