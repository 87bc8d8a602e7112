import { beforeEach, describe, expect, it } from '@jest/globals';
import { FakeClock, settlePromises } from '../../../support/fake-clock.js';
import { ModelPostgres } from './commands/model-postgres.js';
import { answered, idOf, ModelProcess, outcomeOf, settle } from './process.js';

const ID = idOf();
const SILENCE = 'Postgres has not answered for 5000 ms';

describe('statements beside the batches that Postgres does not answer', () => {
  let clock: FakeClock;
  let postgres: ModelPostgres;

  beforeEach(() => {
    clock = new FakeClock();
    postgres = new ModelPostgres(clock);
  });

  const all = (): Promise<void> => settle(postgres);
  const pass = (ms: number): Promise<void> => clock.advanceAsync(ms);

  it('refuse the waiter of a semaphore at its deadline, also while the limit is not published', async () => {
    const process = await ModelProcess.start(postgres);
    process.slots = 2;
    const waiting = process.enqueue('k', 5500);
    await settlePromises();
    expect(process.command.name).toBe('publish');
    await pass(5499);
    expect(waiting.said).toBe('');
    await pass(1);
    expect(waiting.said).toBe('refused');
  });

  it('publish a limit once: what is answered too late is taken back', async () => {
    const process = await ModelProcess.start(postgres);
    process.slots = 2;
    const before = postgres.published.length;
    const waiting = process.enqueue('k', 60_000);
    await settlePromises();
    await pass(5001);
    await all();
    await pass(300);
    await all();
    expect(waiting.said).toBe('granted');
    expect(postgres.published).toHaveLength(before + 1);
    waiting.release();
    await all();
    process.command.provenAt = clock.now();
    await pass(60_000);
    await all();
    expect(postgres.published).toHaveLength(before);
  });

  it('take a limit back that was published by a statement which failed', async () => {
    const process = await ModelProcess.start(postgres);
    process.slots = 2;
    const before = postgres.published.length;
    const waiting = process.enqueue('k', 60_000);
    await settlePromises();
    process.command.run(1);
    process.command.reply();
    await all();
    expect(postgres.published).toHaveLength(before);
    await pass(300);
    await all();
    expect(waiting.said).toBe('granted');
    expect(postgres.published).toHaveLength(before + 1);
  });

  it('refuse the waiter of a lock that may be kept at its deadline', async () => {
    const process = await ModelProcess.start(postgres, { keep: true });
    const waiting = process.enqueue('k', 5500);
    await answered(process.command);
    expect(process.command.name).toBe('look');
    await pass(5499);
    expect(waiting.said).toBe('');
    await pass(1);
    expect(waiting.said).toBe('refused');
    await all();
    expect(postgres.held).toEqual([]);
  });

  it('fail a try, ping and isLocked after requestTimeoutMs, however long a session may be silent', async () => {
    const process = await ModelProcess.start(postgres, { keep: true, sessionTimeoutMs: 600_000 });
    const { backend } = process;
    const tried = outcomeOf(backend.tryAcquire(process.request()));
    await answered(process.command);
    const others = [outcomeOf(backend.ping()), outcomeOf(backend.isLocked('k', 'lock'))];
    await pass(4999);
    expect([tried, ...others].map(({ said }) => said)).toEqual([undefined, undefined, undefined]);
    await pass(1);
    expect([tried, ...others].map(({ said }) => said)).toEqual([SILENCE, SILENCE, SILENCE]);
    await all();
    expect(postgres.held).toEqual([]);
  });

  describe('and are slow, one after the other,', () => {
    /** The first statement of a caller is answered after 4,900 ms, and the next one is not. */
    const slow = async (process: ModelProcess, first: string, next: string): Promise<void> => {
      await settlePromises();
      expect(process.command.name).toBe(first);
      await pass(4900);
      if (first === 'hashtext') process.command.answer([['7']]);
      else process.command.settle();
      await settlePromises();
      expect(process.command.name).toBe(next);
    };

    it.each([
      ['a limit is published before a slot is tried for', { slots: 2 }, ['publish', 'batch']],
      ['a lock may be kept', { keep: true }, ['try', 'look']],
      ['the server computes the id', { lockId: 'hashtext' as const }, ['hashtext', 'try']],
    ])('tell a try requestTimeoutMs after its call, and a waiter at its deadline, where %s', async (_, how, names) => {
      for (const isTry of [true, false]) {
        const { slots = 0, ...options } = how as { slots?: number; keep?: boolean; lockId?: 'hashtext' };
        const process = await ModelProcess.start(postgres, options);
        process.slots = slots;
        const tried = isTry ? outcomeOf(process.backend.tryAcquire(process.request())) : undefined;
        const waiting = isTry ? undefined : process.enqueue('k', 5500);
        await slow(process, names[0]!, names[1]!);
        await pass(99);
        expect(tried?.said).toBeUndefined();
        await pass(1);
        if (tried) expect(tried.said).toBe(SILENCE);
        await pass(499);
        if (waiting) expect(waiting.said).toBe('');
        await pass(1);
        if (waiting) expect(waiting.said).toBe('refused');
        await all();
        expect(postgres.held).toEqual([]);
      }
    });

    it('tell a try that follows the one of a caller who left', async () => {
      const process = await ModelProcess.start(postgres);
      const rival = postgres.connect();
      postgres.take(rival, ID);
      const left = process.enqueue();
      await settlePromises();
      process.command.run();
      left.cancel();
      await pass(1000);
      const tried = outcomeOf(process.backend.tryAcquire(process.request()));
      await pass(3900);
      // Refused, but that was before the call.
      process.command.reply();
      await settlePromises();
      expect([process.command.sent.length, process.command.name]).toEqual([3, 'try']);
      await pass(1099);
      expect(tried.said).toBeUndefined();
      await pass(1);
      expect(tried.said).toBe(SILENCE);
    });

    it('tell isLocked, which looks twice where a lock may be kept', async () => {
      const process = await ModelProcess.start(postgres, { keep: true });
      const asked = outcomeOf(process.backend.isLocked('k', 'lock'));
      await slow(process, 'is_held', 'look');
      await pass(99);
      expect(asked.said).toBeUndefined();
      await pass(1);
      expect(asked.said).toBe(SILENCE);
    });

    it('tell a try for a slot behind that of another caller', async () => {
      const process = await ModelProcess.start(postgres);
      process.slots = 2;
      (await process.held()).release();
      await all();
      process.enqueue('k', 60_000, 'ticket');
      await settlePromises();
      await pass(100);
      const tried = outcomeOf(process.backend.tryAcquire(process.request()));
      await pass(4999);
      await settlePromises();
      expect(tried.said).toBe(SILENCE);
    });
  });

  it('refuse a waiter at its deadline, also while a closed session is opened again', async () => {
    const process = await ModelProcess.start(postgres, { idleCloseMs: 1000 });
    await pass(2000);
    expect(process.command.isEnded).toBe(true);
    process.dialer.connect = () => new Promise(() => undefined);
    const waiting = process.enqueue('k', 5500);
    await pass(5499);
    expect(waiting.said).toBe('');
    await pass(1);
    expect(waiting.error?.message).toBe('no answer in time');
  });

  it('keep a lock in this process if its row may not have been written', async () => {
    const process = await ModelProcess.start(postgres, { keep: true, sessionTimeoutMs: 600_000 });
    const holder = await process.held();
    holder.release(20_000);
    await pass(5000);
    expect(holder.outcome).toBe('released');
    await all();
    expect(postgres.heldBy(process.command)).toEqual([ID]);
    await pass(20_000);
    await all();
    expect(postgres.held).toEqual([]);
  });

  it('are waited for by close, so that a lock whose release has begun is kept', async () => {
    const process = await ModelProcess.start(postgres, { keep: true });
    const holder = await process.held();
    const looked = outcomeOf(process.backend.isLocked('other', 'lock'));
    await settlePromises();
    // Behind a statement that is in flight.
    holder.release(20_000);
    const closed = outcomeOf(process.backend.close(2000));
    await settlePromises();
    expect([holder.outcome, closed.said]).toEqual([undefined, undefined]);
    await all();
    expect(postgres.restOf(ID)).toBe(20_000);
    expect(holder.outcome).toBe('released');
    expect([looked.said, process.command.isEnded]).toEqual([false, true]);
  });
});
