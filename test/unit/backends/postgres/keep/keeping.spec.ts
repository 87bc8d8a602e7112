import { beforeEach, describe, expect, it } from '@jest/globals';
import { checkKeep } from '../../../../../lib/backends/postgres/keep/table-name.js';
import { Keeping } from '../../../../../lib/backends/postgres/keeping.js';
import type { Statement } from '../../../../../lib/backends/postgres/sessions/session.js';
import { Alarms } from '../../../../../lib/common/alarms.js';
import { AcquireTimeoutError, type LockError, LockUnavailableError } from '../../../../../lib/common/errors.js';
import { FakeClock, settlePromises } from '../../../../support/fake-clock.js';
import { ModelPostgres, type ModelSession } from '../commands/model-postgres.js';
import { idOf, ModelProcess, settle } from '../process.js';

const ID = idOf();

describe('a lock that is kept after its release', () => {
  let clock: FakeClock;
  let postgres: ModelPostgres;
  let a: ModelProcess;
  let b: ModelProcess;

  beforeEach(async () => {
    clock = new FakeClock();
    postgres = new ModelPostgres(clock);
    [a, b] = [await ModelProcess.start(postgres, { keep: true }), await ModelProcess.start(postgres, { keep: true })];
  });

  const all = (): Promise<void> => settle(postgres);
  /** The server has executed what is in flight, and its answer is not there yet. */
  const executed = async (session: ModelSession): Promise<void> => {
    await settlePromises();
    session.run();
  };
  const names = (session: ModelSession): string[] => session.sent.map(({ name }) => name.replace('dflockd_', ''));
  const lost = (session: ModelSession): void => {
    session.end(new LockUnavailableError('cut'));
    session.gone();
  };

  it('is released in two statements: the lock is free after the row is seen', async () => {
    const holder = await a.held();
    const before = a.command.sent.length;
    holder.release(400);
    await executed(a.command);
    expect(postgres.restOf(ID)).toBe(400);
    expect(postgres.heldBy(a.command)).toContain(ID);
    expect(holder.outcome).toBeUndefined();
    await all();
    expect(names(a.command).slice(before)).toEqual(['keep', 'unlock']);
    expect(holder.outcome).toBe('released');
    expect(postgres.held).toEqual([]);
  });

  it('is looked for by a statement of its own, after the grant and before anybody hears of it', async () => {
    const caller = a.enqueue();
    await executed(a.command);
    a.command.reply();
    await settlePromises();
    expect(a.command.name).toBe('look');
    expect(caller.said).toBe('');
    await all();
    expect(caller.said).toBe('granted');
  });

  it('is refused to a try, in every process, and free when its time is over', async () => {
    (await a.held()).release(400);
    await all();
    for (const one of [a, b]) {
      const tried = one.backend.tryAcquire(one.request());
      await all();
      expect(await tried).toBeNull();
    }
    expect(await isLocked()).toBe(true);
    await clock.advanceAsync(399);
    const early = b.backend.tryAcquire(b.request());
    await all();
    expect(await early).toBeNull();
    await clock.advanceAsync(1);
    expect(await isLocked()).toBe(false);
    const late = b.backend.tryAcquire(b.request());
    await all();
    expect(await late).not.toBeNull();
  });

  async function isLocked(): Promise<boolean> {
    const answer = b.backend.isLocked('k', 'lock');
    await settlePromises();
    // The model has no pg_locks.
    b.command.answer([['f']]);
    await all();
    return answer;
  }

  it('is waited out at the head of the queue: nobody overtakes', async () => {
    (await a.held()).release(400);
    await all();
    const first = b.enqueue();
    await all();
    const second = a.enqueue();
    await all();
    expect(postgres.heldBy(b.waits[0]!)).toEqual([ID]);
    await clock.advanceAsync(399);
    await all();
    expect([first.said, second.said]).toEqual(['', '']);
    await clock.advanceAsync(1);
    await all();
    expect([first.said, second.said]).toEqual(['granted', '']);
    first.release();
    await all();
    expect(second.said).toBe('granted');
    expect(second.grant!.fence!).toBeGreaterThan(first.grant!.fence!);
  });

  it('is waited out by those who wait already, in the same process too: it is not handed on', async () => {
    const holder = await a.held();
    const [own, other] = [a.enqueue(), b.enqueue()];
    await all();
    holder.release(400);
    await all();
    await clock.advanceAsync(399);
    await all();
    expect([own.said, other.said]).toEqual(['', '']);
    await clock.advanceAsync(1);
    await all();
    expect([own.said, other.said].sort()).toEqual(['', 'granted']);
  });

  it('is left by a caller whose deadline comes first', async () => {
    (await a.held()).release(1000);
    await all();
    const hasty = b.enqueue('k', 300);
    await all();
    await clock.advanceAsync(300);
    await all();
    expect(hasty.error).toBeInstanceOf(AcquireTimeoutError);
    expect(postgres.held).toEqual([]);
    const patient = a.enqueue();
    await clock.advanceAsync(700);
    await all();
    expect(patient.said).toBe('granted');
  });

  it('stays kept if the session ends between the two statements', async () => {
    const holder = await a.held();
    holder.release(400);
    await executed(a.command);
    lost(a.command);
    await all();
    expect(holder.outcome).toBeInstanceOf(LockUnavailableError);
    expect(postgres.held).toEqual([]);
    const next = b.enqueue();
    await all();
    expect(next.said).toBe('');
    await clock.advanceAsync(400);
    await all();
    expect(next.said).toBe('granted');
  });

  it('is free at once if the session ends before the first statement', async () => {
    const holder = await a.held();
    holder.release(400);
    lost(a.command);
    await all();
    expect(holder.outcome).toBeInstanceOf(LockUnavailableError);
    const next = b.enqueue();
    await all();
    expect(next.said).toBe('granted');
  });

  it('is kept by its session if the server refuses the row', async () => {
    const holder = await a.held();
    holder.release(400);
    await settlePromises();
    a.command.fail('55P03');
    await all();
    expect(holder.outcome).toBe('released');
    expect(a.events.at(-1)).toMatchObject({ state: 'degraded', detail: expect.stringMatching(/is locked/) });
    const next = b.enqueue();
    await clock.advanceAsync(399);
    await all();
    expect(next.said).toBe('');
    await clock.advanceAsync(1);
    await all();
    expect(next.said).toBe('granted');
  });

  it('is given back if nobody knows whether it is kept, by a try and by a place', async () => {
    const tried = a.backend.tryAcquire(a.request()).catch((error: unknown) => error);
    await executed(a.command);
    a.command.reply();
    await settlePromises();
    a.command.fail('42P01');
    expect(await tried).toBeInstanceOf(LockUnavailableError);
    await all();
    expect(postgres.held).toEqual([]);

    const holder = await a.held();
    const waiting = b.enqueue();
    await all();
    holder.release();
    await settlePromises();
    a.command.settle();
    b.waits[0]!.settle();
    await settlePromises();
    expect(b.command.name).toBe('look');
    b.command.fail('42P01');
    await all();
    expect(waiting.said).toBe('');
    expect(postgres.held).toEqual([]);
    await clock.advanceAsync(300);
    await all();
    expect(waiting.said).toBe('granted');
  });

  it('is given back by a caller that has gone while it was looked for', async () => {
    const caller = a.enqueue();
    await executed(a.command);
    a.command.reply();
    await settlePromises();
    caller.cancel();
    await all();
    expect([caller.said, postgres.held]).toEqual(['cancelled', []]);
  });

  it('loses its place with the session on which it is waited out', async () => {
    (await a.held()).release(1000);
    await all();
    const waiting = b.enqueue();
    await all();
    lost(b.waits[0]!);
    await all();
    await clock.advanceAsync(300);
    await all();
    expect(b.waits).toHaveLength(1);
    expect(waiting.said).toBe('');
    await clock.advanceAsync(1000);
    await all();
    expect(waiting.said).toBe('granted');
  });

  it('is kept from tickets too', async () => {
    (await a.held()).release(400);
    await all();
    const ticket = b.enqueue('k', 60_000, 'ticket');
    await all();
    expect(ticket.said).toBe('');
    await clock.advanceAsync(400);
    await all();
    expect(ticket.said).toBe('granted');
  });

  it('costs one look for all grants of a batch', async () => {
    const callers = Array.from({ length: 50 }, (_, i) => a.enqueue(`k${i}`));
    const before = a.command.sent.length;
    await all();
    expect(callers.every(({ said }) => said === 'granted')).toBe(true);
    expect(names(a.command).slice(before)).toEqual(['locks', 'look']);
  });

  it('is a slot only as long as its process lives', async () => {
    a.slots = b.slots = 1;
    const holder = await a.held();
    holder.release(400);
    await all();
    expect(holder.outcome).toBe('released');
    const next = b.enqueue();
    await all();
    await clock.advanceAsync(200);
    await all();
    expect(next.said).toBe('');
    lost(a.command);
    await clock.advanceAsync(150);
    await all();
    expect(next.said).toBe('granted');
  });
});

describe('a table that could not be prepared at the start', () => {
  it('is prepared later, if what failed may pass, and is not asked for during an outage', async () => {
    const clock = new FakeClock();
    const asked: string[] = [];
    const refused: LockError[] = [];
    let error: LockError | undefined = new LockUnavailableError('somebody is creating it');
    const commands = {
      session: {} as object | undefined,
      query(statement: Statement) {
        asked.push(statement.name);
        if (error) statement.failed(error, '55P03');
        else statement.answered([['t', 'app']]);
      },
    };
    const site = { clock, alarms: new Alarms(clock), commands, degraded: () => undefined, warn: () => undefined };
    const keeping = new Keeping({ keep: checkKeep('keep', true), ensureSchema: true }, site as never);
    keeping.up((fatal) => refused.push(fatal));
    await expect(keeping.prepare()).rejects.toThrow('is locked by another session');
    const first = asked.length;
    commands.session = undefined;
    await clock.advanceAsync(5000);
    expect(asked).toHaveLength(first);
    commands.session = {};
    keeping.up((fatal) => refused.push(fatal));
    await clock.advanceAsync(1);
    error = undefined;
    await clock.advanceAsync(1000);
    const last = asked.length;
    expect(asked.slice(-2)).toEqual(['dflockd_look', 'dflockd_keep']);
    await clock.advanceAsync(60_000);
    expect([asked.length, refused]).toEqual([last, []]);
  });
});
