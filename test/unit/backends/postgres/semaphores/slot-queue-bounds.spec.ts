import { beforeEach, describe, expect, it } from '@jest/globals';
import { publishedId } from '../../../../../lib/backends/postgres/ids/published-id.js';
import type { SlotQueue } from '../../../../../lib/backends/postgres/queues/slot-queue.js';
import {
  AcquireTimeoutError,
  LimitMismatchError,
  LockUnavailableError,
  PoolExhaustedError,
  ShuttingDownError,
} from '../../../../../lib/common/errors.js';
import { settlePromises } from '../../../../support/fake-clock.js';
import type { ModelPostgres } from '../commands/model-postgres.js';
import { type Caller, lose, type ModelProcess } from '../process.js';
import { SemaphoreOfTwo } from './semaphore-of-two.js';

let semaphore: SemaphoreOfTwo;
let postgres: ModelPostgres;
let us: ModelProcess;
let other: ModelProcess;

beforeEach(async () => {
  semaphore = new SemaphoreOfTwo();
  ({ postgres } = semaphore);
  [us, other] = [await semaphore.start(), await semaphore.start()];
});

const settle = (): Promise<void> => semaphore.settle();
const pass = (ms: number): Promise<void> => semaphore.pass(ms);
const isAtGate = (): boolean => semaphore.atGate(us) !== undefined;
const queuesOf = (process: ModelProcess): SlotQueue[] => [...process.backend['core'].slots];
const isIdle = async (process: ModelProcess): Promise<void> => {
  expect(await process.stats()).toMatchObject({ held: 0, queues: 0, waiters: 0, places: 0, polling: 0 });
  expect(process.waits.every((session) => postgres.heldBy(session).length === 0)).toBe(true);
};
/** The other process has both slots, and a caller of this one waits at the gate. */
const contended = (): Promise<{ held: Caller[]; waiting: Caller }> => semaphore.contended(other, us, 3_000_000);
const release = async (...callers: Caller[]): Promise<void> => {
  for (const one of callers) one.release();
  await settle();
};
/** The other process releases a slot, and this one's try for it is executed, but not answered yet. */
async function tryFor(slot: Caller): Promise<void> {
  slot.release();
  await settlePromises();
  other.command.settle();
  await semaphore.clock.advanceAsync(100);
  expect(us.command.name).toBe('batch');
  us.command.run();
}

describe('the limit of a semaphore in use', () => {
  const { classId } = publishedId('limit:k', 2);
  const published = (): number => postgres.published.filter((one) => one.classId === classId).length;

  it('stays published while a slot is held, and for a minute after', async () => {
    const holder = await us.held();
    await pass(600_000);
    expect(published()).toBe(1);
    holder.release();
    await pass(59_000);
    expect(published()).toBe(1);
    await pass(2000);
    expect([published(), queuesOf(us)]).toEqual([0, []]);
    us.slots = 3;
    expect((await us.held()).said).toBe('granted');
  });

  it('stays published while a slot is held, although it was not used for a while before', async () => {
    (await us.held()).release();
    await pass(30_000);
    const holder = await us.held();
    await pass(600_000);
    expect(published()).toBe(1);
    us.slots = 3;
    expect(() => us.enqueue()).toThrow(LimitMismatchError);
    holder.release();
    await pass(61_000);
    expect(published()).toBe(0);
  });

  it('stays published for a minute after its own last use, whatever else is used', async () => {
    (await us.held()).release();
    await pass(30_000);
    (await us.held('other')).release();
    await pass(30_000);
    expect(published()).toBe(0);
  });

  it('stays published while somebody waits', async () => {
    us = await semaphore.start({ semPollMs: 2_000_000 });
    const { held, waiting } = await contended();
    await pass(600_000);
    expect([waiting.said, published()]).toEqual(['', 2]);
    waiting.cancel();
    await pass(61_000);
    expect(published()).toBe(1);
    for (const one of held) one.release();
    await pass(61_000);
    expect(published()).toBe(0);
  });

  it('may not be another one in the same process', async () => {
    await us.held();
    us.slots = 3;
    expect(() => us.enqueue()).toThrow(LimitMismatchError);
    expect(() => us.ticket(100)).toThrow(LimitMismatchError);
  });
});

describe('the queue of a semaphore at its gate', () => {
  it('has nothing any more when its last caller leaves while a try is on its way', async () => {
    const { held, waiting } = await contended();
    await tryFor(held[0]!);
    waiting.cancel();
    await settle();
    expect(postgres.heldBy(us.command)).toEqual([]);
    expect(isAtGate()).toBe(false);
    await isIdle(us);
    await pass(1000);
    expect(postgres.held).toEqual([slotOf(held[1]!)]);
  });

  it('leaves it once it has a slot and nobody else waits here', async () => {
    const { held, waiting } = await contended();
    await release(held[0]!);
    await pass(100);
    expect(waiting.said).toBe('granted');
    expect(isAtGate()).toBe(false);
    const left = us.waits.flatMap(({ sent }) => sent.map(({ name }) => name));
    expect(left).toContain('dflockd_unlock');
    expect(left).not.toContain('dflockd_unlock_and_lock');
    expect(await us.stats()).toMatchObject({ held: 1, places: 0 });
    await release(waiting);
    await isIdle(us);
  });

  it('does not enter it again while this process has all slots', async () => {
    const { held, waiting } = await contended();
    const more = [us.enqueue(), us.enqueue()];
    await release(...held);
    await pass(100);
    expect([waiting.said, ...more.map(({ said }) => said)]).toEqual(['granted', 'granted', '']);
    expect(isAtGate()).toBe(false);
    expect(await us.stats()).toMatchObject({ held: 2, places: 0, waiters: 1 });
    const { length } = us.command.sent;
    waiting.release();
    expect([more[1]!.said, us.command.sent.length]).toEqual(['granted', length]);
  });

  it('refuses at their deadlines, and leaves it with the last one', async () => {
    await contended();
    const late = us.enqueue('k', 300);
    await pass(300);
    expect(late.error).toBeInstanceOf(AcquireTimeoutError);
    expect(isAtGate()).toBe(true);
  });

  it('refuses everybody who waits when the process closes, and leaves nothing behind', async () => {
    const { held, waiting } = await contended();
    const callers = [us.enqueue(), us.ticket()];
    await settle();
    const closed = us.backend.close(1000);
    for (const { error } of [waiting, ...callers]) expect(error).toBeInstanceOf(ShuttingDownError);
    await settle();
    await closed;
    for (const session of us.dialer.made) session.gone();
    expect(postgres.held).toEqual(held.map(slotOf).sort());
    expect(postgres.blocked).toBe(0);
  });

  it('is lost with its session: the try that is on its way gives back what it gets', async () => {
    const { held, waiting } = await contended();
    await tryFor(held[0]!);
    lose(semaphore.atGate(us)!);
    us.command.reply();
    await settlePromises();
    expect(waiting.said).toBe('');
    await settle();
    expect(postgres.held).toEqual([slotOf(held[1]!)]);
    await pass(300);
    expect(waiting.said).toBe('granted');
    await release(waiting);
    await isIdle(us);
  });

  it('waits for no slots that this process has lost, although their holders have not heard of it', async () => {
    const held = await us.holders(2);
    const waiting = us.enqueue();
    lose(us.command);
    await pass(6000);
    expect([waiting.said, us.waits]).toEqual(['granted', []]);
    expect((await us.stats()).held).toBe(1);
    for (const one of held) expect(one.release().outcome).toBe('gone');
    expect((await us.stats()).held).toBe(1);
    await release(waiting);
    await isIdle(us);
  });

  it('without a bound on places keeps the order of all processes', async () => {
    us = await semaphore.start({ waitersPerKey: Infinity, maxWaitConnections: Infinity });
    const held = await us.holders(2);
    const next = us.enqueue();
    await settle();
    expect([isAtGate(), next.said]).toEqual([true, '']);
    held[0]!.release();
    expect(next.said).toBe('');
    await settle();
    await pass(100);
    expect(next.said).toBe('granted');
  });

  it('is not needed by who tries with the release of a slot', async () => {
    us = await semaphore.start({ localTurns: 0 });
    const held = await us.holders(2);
    const next = us.enqueue();
    const before = us.command.sent.length;
    await release(held[0]!);
    expect([next.said, us.waits, us.command.sent.length]).toEqual(['granted', [], before + 1]);
  });

  it('is in use while somebody tries, has a slot, waits, or has a ticket', async () => {
    const isUnused = (): boolean => queuesOf(us)[0]!.isUnused;
    const caller = us.enqueue();
    expect(isUnused()).toBe(false);
    await settle();
    expect(isUnused()).toBe(false);
    caller.release();
    expect(isUnused()).toBe(true);
    await settle();
    const held = await other.holders(2);
    const waiting = us.enqueue();
    await settle();
    expect(isUnused()).toBe(false);
    waiting.cancel();
    expect(isUnused()).toBe(true);
    await settle();
    const ticket = us.ticket();
    await settle();
    expect(isUnused()).toBe(false);
    ticket.cancel();
    expect(isUnused()).toBe(true);
    for (const one of held) one.release();
  });

  it('hands slots that this process has lost to nobody', async () => {
    const held = await us.holders(2);
    const waiting = us.enqueue();
    us.command.end(new LockUnavailableError('cut'));
    held[0]!.release();
    expect([held[0]!.outcome, waiting.said]).toEqual(['gone', '']);
    us.command.gone();
    await pass(6000);
    expect(waiting.said).toBe('granted');
    expect(held[1]!.release().outcome).toBe('gone');
    expect((await us.stats()).held).toBe(1);
    expect(postgres.heldBy(us.command)).toHaveLength(1);
  });
});

describe('a try for a slot', () => {
  it('that nobody wants any more gives back what it gets', async () => {
    const caller = us.enqueue();
    await settlePromises();
    us.command.settle();
    await settlePromises();
    expect(us.command.name).toBe('batch');
    us.command.run();
    expect(postgres.held).toHaveLength(1);
    caller.cancel();
    await settle();
    expect([caller.said, postgres.held]).toEqual(['cancelled', []]);
    await isIdle(us);
  });

  it('that nobody wants any more is not taken for that of the next caller', async () => {
    const first = us.enqueue();
    await settlePromises();
    first.cancel();
    const second = us.enqueue();
    await settle();
    expect(second.said).toBe('granted');
    expect(postgres.held).toHaveLength(1);
    await release(second);
    expect(postgres.held).toEqual([]);
    await isIdle(us);
  });

  it('that fails is sent again after a pause', async () => {
    const caller = us.enqueue();
    await settlePromises();
    us.command.settle();
    await settlePromises();
    us.command.fail('57014');
    await settle();
    expect([caller.said, (await us.stats()).held]).toEqual(['', 0]);
    await pass(300);
    expect(caller.said).toBe('granted');
  });

  it('is refused to a caller that does not wait', async () => {
    await other.held();
    await other.held();
    const caller = us.enqueue('k', 0);
    await settle();
    expect(caller.error).toBeInstanceOf(AcquireTimeoutError);
    await isIdle(us);
  });

  it('for each free slot follows the one before, without a place', async () => {
    const callers = [us.enqueue(), us.enqueue(), us.enqueue()];
    await settle();
    expect(callers.map(({ said }) => said)).toEqual(['granted', 'granted', '']);
    expect([postgres.held, us.waits]).toEqual([semaphore.slots, []]);
  });
});

describe('tickets of a semaphore', () => {
  /** Slots are handed on, because nobody stands before those who wait. */
  async function isHandedOn(): Promise<void> {
    const held = await us.holders(2);
    const next = us.enqueue();
    held[0]!.release();
    expect(next.said).toBe('granted');
    await release(held[1]!, next);
  }

  it('are granted without a place while a slot is free', async () => {
    const ticket = us.ticket();
    await settle();
    expect([ticket.said, us.waits]).toEqual(['granted', []]);
    await release(ticket);
    await isIdle(us);
    expect(queuesOf(us)).toHaveLength(1);
    await isHandedOn();
  });

  it('are lost with the session that has their slot', async () => {
    const ticket = us.ticket();
    await settle();
    lose(us.command);
    await pass(6000);
    expect((await us.stats()).held).toBe(0);
    expect(ticket.release().outcome).toBe('gone');
    expect((await us.stats()).held).toBe(0);
    expect(queuesOf(us)).toHaveLength(1);
  });

  it('stand before who comes later once, whatever is lost meanwhile', async () => {
    const held = await other.holders(2);
    const ticket = us.ticket();
    await settle();
    for (const session of [us.command, us.waits[0]!]) lose(session);
    await pass(6000);
    expect([ticket.said, isAtGate()]).toEqual(['', true]);
    ticket.cancel();
    await release(...held);
    await isHandedOn();
    await isIdle(us);
  });

  it('that are cancelled while they wait for the try of who came later have no place', async () => {
    const held = await other.holders(2);
    const ticket = us.ticket();
    const waiting = us.enqueue();
    await settlePromises();
    // The limit, and the first of two tries.
    for (let i = 0; i < 2; i++) {
      us.command.run();
      us.command.reply();
      await settlePromises();
    }
    expect(us.command.name).toBe('batch');
    ticket.cancel();
    await settle();
    expect(await us.stats()).toMatchObject({ held: 2, places: 1, waiters: 1 });
    waiting.cancel();
    await release(...held);
    await isIdle(us);
    await isHandedOn();
  });

  it('stand before who comes later, until they are served', async () => {
    const held = await us.holders(2);
    const ticket = us.ticket();
    await settle();
    const after = us.enqueue();
    await settle();
    // It has a place of its own behind it.
    expect(await us.stats()).toMatchObject({ places: 2, waiters: 2 });
    held[0]!.release();
    expect(after.said).toBe('');
    await settle();
    await pass(100);
    await pass(100);
    expect([ticket.said, after.said]).toEqual(['granted', '']);
    held[1]!.release();
    await pass(100);
    expect(after.said).toBe('granted');
    // Nobody stands before others any more: slots are handed on.
    const last = us.enqueue();
    after.release();
    expect(last.said).toBe('granted');
    await release(ticket, last);
    await isIdle(us);
    await isHandedOn();
    expect(queuesOf(us)).toHaveLength(1);
  });

  it.each([
    ['before their try is answered', settlePromises],
    ['at their place', settle],
  ])('that are cancelled %s stand before nobody any more', async (_when, isThere) => {
    const held = await us.holders(2);
    const ticket = us.ticket();
    await isThere();
    ticket.cancel();
    await settle();
    const next = us.enqueue();
    held[0]!.release();
    expect(next.said).toBe('granted');
    expect(queuesOf(us)).toHaveLength(1);
    expect((await us.stats()).held).toBe(2);
  });

  it('are refused at their deadlines', async () => {
    await contended();
    const ticket = us.ticket(300);
    await settle();
    await pass(300);
    expect(ticket.error).toBeInstanceOf(AcquireTimeoutError);
    await settle();
    // The gate, and the slot that it tries for.
    expect((await us.stats()).held).toBe(2);
  });

  it('without a connection are refused for good, by name of the option', async () => {
    us = await semaphore.start({ maxWaitConnections: 1 });
    await contended();
    const ticket = us.ticket();
    await settle();
    expect(ticket.error).toBeInstanceOf(PoolExhaustedError);
    expect(ticket.error).toMatchObject({
      message: 'all 1 wait connections to model:5432/db are in use (option postgresBackend.maxWaitConnections)',
      server: 'model:5432/db',
      isTransient: false,
    });
    expect((await us.stats()).held).toBe(2);
  });

  it('wait for the try of who came before', async () => {
    await other.held();
    const [first, ticket] = [us.enqueue(), us.ticket()];
    await settle();
    expect([first.said, ticket.said]).toEqual(['granted', '']);
    expect(isAtGate()).toBe(true);
    first.release();
    await pass(100);
    expect(ticket.said).toBe('granted');
  });
});

/** The id of the slot that a caller has. */
function slotOf({ grant }: Caller): string {
  return String(BigInt.asIntN(64, BigInt(`0x${/^\d+-([\da-f]+)-/.exec(grant!.token)![1]}`)));
}
