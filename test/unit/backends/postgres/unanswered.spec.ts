import { beforeEach, describe, expect, it } from '@jest/globals';
import { FakeClock, settlePromises } from '../../../support/fake-clock.js';
import { ModelPostgres, type ModelSession } from './commands/model-postgres.js';
import { idOf, ModelProcess, settle } from './process.js';

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
  const answered = async (session: ModelSession): Promise<void> => {
    await settlePromises();
    session.run();
    session.reply();
    await settlePromises();
  };
  const outcomeOf = (promise: Promise<unknown>): { said: unknown } => {
    const outcome = { said: undefined as unknown };
    promise.then(
      (value) => (outcome.said = value),
      (error: Error) => (outcome.said = error.message),
    );
    return outcome;
  };

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
