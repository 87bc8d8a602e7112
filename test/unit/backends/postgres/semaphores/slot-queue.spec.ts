import { beforeEach, describe, expect, it } from '@jest/globals';
import { slotIdsOf } from '../../../../../lib/backends/postgres/ids/slot-ids.js';
import { LimitMismatchError, LockUnavailableError, PoolExhaustedError } from '../../../../../lib/common/errors.js';
import { settlePromises } from '../../../../support/fake-clock.js';
import type { ModelPostgres } from '../commands/model-postgres.js';
import { lose, type ModelProcess } from '../process.js';
import { SemaphoreOfTwo } from './semaphore-of-two.js';

describe('the queue of a semaphore', () => {
  let semaphore: SemaphoreOfTwo;
  let postgres: ModelPostgres;
  let a: ModelProcess;
  let b: ModelProcess;

  beforeEach(async () => {
    semaphore = new SemaphoreOfTwo();
    ({ postgres } = semaphore);
    [a, b] = [await semaphore.start(), await semaphore.start()];
  });

  const isAtGate = (process: ModelProcess): boolean => semaphore.atGate(process) !== undefined;

  it('has the slots on the command session', async () => {
    const held = await a.holders(2);
    expect(postgres.heldBy(a.command).sort()).toEqual(semaphore.slots);
    expect(held.map(({ grant }) => grant!.owner.id)).toEqual([held[0]!.grant!.owner.id, held[0]!.grant!.owner.id]);
    for (const one of held) one.release();
    await semaphore.settle();
    expect(postgres.held).toEqual([]);
  });

  const tries = (count: number): Promise<unknown>[] =>
    Array.from({ length: count }, () => a.backend.tryAcquire(a.request()).then((grant) => grant !== null, String));

  it('has a slot for each of several tries of one turn, while there are any', async () => {
    const said = Promise.all(tries(4));
    await semaphore.settle();
    expect(await said).toEqual([true, true, false, false]);
    expect((await a.stats()).held).toBe(2);
  });

  it('fails tries that come while another one is under way, if there is no connection any more', async () => {
    const said = Promise.all(tries(3));
    await settlePromises();
    lose(a.command);
    await semaphore.settle();
    expect(await said).toEqual(Array(3).fill(expect.stringMatching('LockUnavailableError: cut')));
    expect(a.holdings.count).toBe(0);
  });

  it('has no try overtake a caller that waits', async () => {
    await b.held();
    const waiting = a.enqueue();
    const said = Promise.all(tries(2));
    await semaphore.settle();
    expect([waiting.said, await said]).toEqual(['granted', [false, false]]);
  });

  it('asks nobody while this process has all slots: they are handed on, and then others get their turn', async () => {
    const held = await a.holders(2);
    const waiting = a.enqueue();
    await semaphore.settle();
    expect([a.waits.length === 0 || !isAtGate(a), waiting.said]).toEqual([true, '']);
    const { length } = a.command.sent;
    held[0]!.release();
    expect(waiting.said).toBe('granted');
    expect(a.command.sent).toHaveLength(length);
    expect(waiting.grant!.fence!).toBeGreaterThan(held[1]!.grant!.fence!);
  });

  it('hands a slot on no more often than it may while others wait', async () => {
    const { waiting, ...before } = await semaphore.contended(a, b);
    let { held } = before;
    const others = Array.from({ length: 12 }, () => a.enqueue());
    await semaphore.settle();
    for (let turn = 0; turn < 8; turn++) {
      for (const one of held) one.release();
      await semaphore.settle();
      held = others.filter(({ said, outcome }) => said === 'granted' && outcome === undefined);
      await semaphore.clock.advanceAsync(1);
    }
    await semaphore.pass(100);
    // Two slots, with four turns after the first each.
    expect(waiting.said).toBe('granted');
    const earlier = [...before.held, ...others].filter(({ grant, number }) => grant && number < waiting.number);
    expect(earlier.length).toBeLessThanOrEqual(10);
  });

  it('notifies the head only', async () => {
    const { held, waiting } = await semaphore.contended(a, b);
    held[0]!.release();
    await semaphore.settle();
    expect(postgres.notified).toEqual([slotIdsOf('k', 2).channel]);
    // The model delivers none: the head polls.
    await semaphore.pass(100);
    expect(waiting.said).toBe('granted');
    expect(isAtGate(b)).toBe(false);
    waiting.release();
    await semaphore.settle();
    expect(postgres.notified).toHaveLength(1);
  });

  it('tries again once it listens: a slot may have been released before, and its notification is lost', async () => {
    const held = await a.holders(2);
    const slow = await semaphore.start({ semPollMs: 60_000 });
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
    await semaphore.settle();
    expect(waiting.said).toBe('granted');
  });

  it('leaves the gate if the head has no connection to try with, and comes back to it', async () => {
    const { held, waiting } = await semaphore.contended(a, b);
    await semaphore.clock.advanceAsync(100);
    expect(b.command.name).toBe('batch');
    b.command.end(new LockUnavailableError('cut'));
    for (const session of b.waits) session.settle();
    expect(isAtGate(b)).toBe(false);
    held[0]!.release();
    await semaphore.settle();
    await semaphore.pass(6000);
    expect(waiting.said).toBe('granted');
  });

  it('leaves the gate with its last caller', async () => {
    const { waiting } = await semaphore.contended(a, b);
    waiting.cancel();
    await semaphore.settle();
    expect(isAtGate(b)).toBe(false);
    expect(postgres.held.sort()).toEqual(semaphore.slots);
    await semaphore.clock.advanceAsync(1000);
    expect((await b.stats()).held).toBe(0);
  });

  it('takes a new place if the session at the gate ends', async () => {
    const { held, waiting } = await semaphore.contended(a, b);
    lose(b.waits[0]!);
    await semaphore.pass(300);
    expect(isAtGate(b)).toBe(true);
    held[0]!.release();
    await semaphore.settle();
    await semaphore.pass(100);
    expect(waiting.said).toBe('granted');
  });

  it('loses its slots with the command session, and takes new ones', async () => {
    const held = await a.holders(2);
    lose(a.command);
    for (const one of held) one.release();
    expect(held.map(({ outcome }) => outcome)).toEqual(['gone', 'gone']);
    const next = [a.enqueue(), a.enqueue(), a.enqueue()];
    await semaphore.pass(6000);
    expect(next.map(({ said }) => said)).toEqual(['granted', 'granted', '']);
    expect((await a.stats()).held).toBe(2);
  });

  it('goes on at the end of the queue, in one statement, while it has more callers', async () => {
    const { held, waiting } = await semaphore.contended(a, b);
    const second = b.enqueue();
    held[0]!.release();
    await semaphore.pass(100);
    expect([waiting.said, second.said]).toEqual(['granted', '']);
    expect(b.waits[0]!.sent.map(({ name }) => name)).toContain('dflockd_unlock_and_lock');
    held[1]!.release();
    await semaphore.pass(100);
    expect(second.said).toBe('granted');
    waiting.release();
    second.release();
    await semaphore.settle();
    expect([(await b.stats()).held, b.entries]).toEqual([0, 0]);
  });

  it('refuses all its callers if others use another limit', async () => {
    const mine = await a.held();
    b.slots = 3;
    const refused = [b.enqueue(), b.enqueue()];
    await semaphore.settle();
    for (const { error } of refused) expect(error).toBeInstanceOf(LimitMismatchError);
    mine.release();
    await semaphore.settle();
    expect(postgres.held).toEqual([]);
    expect((await b.stats()).held).toBe(0);
  });

  it('counts gates and slots among what the process may have', async () => {
    const small = await semaphore.start({ maxHeld: 2 });
    const held = await small.holders(2);
    expect((await small.stats()).held).toBe(2);
    const third = small.enqueue('other');
    await semaphore.settle();
    expect(third.error).toMatchObject({ code: 'MAX_LOCKS' });
    for (const one of held) one.release();
    await semaphore.settle();
    expect((await small.stats()).held).toBe(0);
  });

  it('has tickets before the callers that came after them, however late the first answer is', async () => {
    const held = await a.holders(2);
    const [ticket, after] = [b.ticket(), b.enqueue()];
    await semaphore.settle();
    held[0]!.release();
    await semaphore.pass(100);
    expect([ticket.said, after.said]).toEqual(['granted', '']);
    held[1]!.release();
    await semaphore.pass(100);
    expect(after.said).toBe('granted');
  });

  it('has tickets with a place of their own, and refuses one without a connection', async () => {
    const { held, waiting } = await semaphore.contended(a, b);
    const ticket = b.ticket();
    await semaphore.settle();
    expect(b.waits).toHaveLength(2);
    held[0]!.release();
    await semaphore.pass(100);
    expect([waiting.said, ticket.said]).toEqual(['granted', '']);
    held[1]!.release();
    await semaphore.pass(100);
    expect(ticket.said).toBe('granted');
    ticket.release();
    await semaphore.settle();
    const one = await semaphore.start({ maxWaitConnections: 1 });
    const other = await a.held();
    const [first, second] = [one.ticket(), one.ticket()];
    await semaphore.settle();
    expect(second.error).toBeInstanceOf(PoolExhaustedError);
    first.cancel();
    other.release();
    await semaphore.settle();
    expect((await one.stats()).held).toBe(0);
  });
});
