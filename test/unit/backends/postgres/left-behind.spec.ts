import { beforeEach, describe, expect, it } from '@jest/globals';
import { slotIdsOf } from '../../../../lib/backends/postgres/ids/slot-ids.js';
import { LockUnavailableError } from '../../../../lib/common/errors.js';
import { FakeClock, settlePromises } from '../../../support/fake-clock.js';
import { ModelPostgres, type ModelSession } from './commands/model-postgres.js';
import { answered, ModelProcess, outcomeOf, settle } from './process.js';

const SILENCE = 'Postgres has not answered for 5000 ms';

describe('whoever comes after a caller that has left', () => {
  let clock: FakeClock;
  let postgres: ModelPostgres;
  let rival: ModelSession;

  beforeEach(() => {
    clock = new FakeClock();
    postgres = new ModelPostgres(clock);
    rival = postgres.connect();
  });

  const all = (): Promise<void> => settle(postgres);
  const pass = (ms: number): Promise<void> => clock.advanceAsync(ms);
  /** Somebody has left while the lock, which turned out to be kept, is given back. */
  const beforeKept = async (): Promise<ModelProcess> => {
    const process = await ModelProcess.start(postgres, { keep: true, sessionTimeoutMs: 600_000 });
    const other = await ModelProcess.start(postgres, { keep: true });
    (await other.held()).release(60_000);
    await all();
    const left = process.enqueue();
    await answered(process.command);
    await answered(process.command);
    expect(process.command.name).toBe('unlock');
    left.cancel();
    return process;
  };
  /** Of a semaphore of two whose limit is known. */
  const semaphore = async (): Promise<ModelProcess> => {
    const process = await ModelProcess.start(postgres);
    process.slots = 2;
    (await process.held()).release();
    await all();
    return process;
  };

  it('is told at its deadline, in the queue of the tries for a semaphore', async () => {
    const process = await semaphore();
    const left = process.enqueue();
    await settlePromises();
    process.command.run();
    const ticket = process.enqueue('k', 5500, 'ticket');
    left.cancel();
    await pass(5499);
    expect(ticket.said).toBe('');
    await pass(1);
    expect(ticket.said).toBe('refused');
  });

  it('leaves the gate to others when the answer is overdue', async () => {
    const process = await semaphore();
    for (const slot of slotIdsOf('k', 2).slots) postgres.take(rival, String(slot));
    const waiting = process.enqueue('k', 60_000, 'ticket');
    await all();
    const gate = String(slotIdsOf('k', 2).gate);
    expect(process.waits.flatMap((session) => postgres.heldBy(session))).toEqual([gate]);
    let isNext = false;
    postgres.block({ session: rival, id: gate, go: () => (isNext = true) });
    const left = process.enqueue();
    await settlePromises();
    process.command.run();
    expect(process.command.name).toBe('batch');
    await pass(10);
    // The head tries again, behind.
    process.waits[0]!.notify(slotIdsOf('k', 2).channel);
    left.cancel();
    await pass(6000);
    for (const session of process.waits) session.settle();
    expect(isNext).toBe(true);
    expect(waiting.said).toBe('');
  });

  it('is told at its deadline while it waits for the try of those who came before', async () => {
    const process = await semaphore();
    for (const slot of slotIdsOf('k', 2).slots) postgres.take(rival, String(slot));
    const ticket = process.enqueue('k', 5500, 'ticket');
    process.enqueue('k', 60_000);
    await answered(process.command);
    await settlePromises();
    expect(process.command.name).toBe('batch');
    await pass(5499);
    expect(ticket.said).toBe('');
    await pass(1);
    expect(ticket.said).toBe('refused');
  });

  it.each([true, false])(
    'is told on time, although it was overdue before what is given back (try: %s)',
    async (isTry) => {
      const process = await beforeKept();
      await pass(5000);
      const tried = isTry ? outcomeOf(process.backend.tryAcquire(process.request())) : undefined;
      const waiting = isTry ? undefined : process.enqueue('k', 5500);
      await pass(5000);
      if (tried) expect(tried.said).toBe(SILENCE);
      await pass(500);
      if (waiting) expect(waiting.said).toBe('refused');
    },
  );

  it.each([true, false])('is told on time, if an outage ends what is given back (try: %s)', async (isTry) => {
    const process = await beforeKept();
    const tried = isTry ? outcomeOf(process.backend.tryAcquire(process.request())) : undefined;
    const waiting = isTry ? undefined : process.enqueue('k', 5500);
    process.dialer.error = new LockUnavailableError('no server');
    process.command.end(new LockUnavailableError('cut'));
    await settlePromises();
    if (tried) expect(tried.said).toBe('cut');
    await pass(5499);
    if (waiting) expect(waiting.said).toBe('');
    await pass(1);
    if (waiting) expect(waiting.error?.message).toBe('no server');
  });

  it('has the whole of its time where a lock may be kept', async () => {
    const process = await ModelProcess.start(postgres, { keep: true });
    const left = process.enqueue();
    await settlePromises();
    process.command.run();
    left.cancel();
    await pass(4900);
    const tried = outcomeOf(process.backend.tryAcquire(process.request()));
    process.command.reply();
    await settlePromises();
    expect(process.command.name).toBe('look');
    await pass(4999);
    expect(tried.said).toBeUndefined();
    await pass(1);
    expect(tried.said).toBe(SILENCE);
  });

  it('has the whole of its time while the server answers others', async () => {
    const process = await ModelProcess.start(postgres);
    const b = process.enqueue('b');
    await settlePromises();
    process.command.run();
    await pass(10);
    const left = process.enqueue();
    await pass(4900);
    process.command.reply();
    await settlePromises();
    left.cancel();
    expect(b.said).toBe('granted');
    expect(process.command.name).toBe('try');
    const tried = outcomeOf(process.backend.tryAcquire(process.request()));
    await pass(4999);
    expect(tried.said).toBeUndefined();
    await pass(1);
    expect(tried.said).toBe(SILENCE);
  });

  it('is tried for again if the try of the one who left has failed', async () => {
    const process = await ModelProcess.start(postgres);
    const left = process.enqueue();
    await settlePromises();
    process.command.run(1);
    process.command.reply();
    left.cancel();
    await settlePromises();
    expect(process.command.name).toBe('repair');
    const tried = outcomeOf(process.backend.tryAcquire(process.request()));
    await all();
    expect(tried.said).toMatchObject({ req: { key: 'k' } });
  });
});
