import { beforeEach, describe, expect, it } from '@jest/globals';
import { LockUnavailableError } from '../../../../../lib/common/errors.js';
import type { ModelPostgres, ModelSession } from '../commands/model-postgres.js';
import { type Caller, idOf, type ModelProcess, namesOf, settle, startWithRival } from '../process.js';

const ID = idOf();

/** The session may have ended since the server granted the lock, and somebody else may have had it. */
describe('a grant that is read long after the server made it', () => {
  let postgres: ModelPostgres;
  let us: ModelProcess;
  let rival: ModelSession;
  let wait: ModelSession;
  let caller: Caller;

  /** A caller waits for what the rival has. */
  async function queue(): Promise<Caller> {
    postgres.take(rival, ID);
    const waiter = us.enqueue();
    await settle(postgres);
    return waiter;
  }

  beforeEach(async () => {
    ({ postgres, us, rival } = await startWithRival());
    const first = await queue();
    postgres.free(rival, ID);
    await settle(postgres);
    expect(first.said).toBe('granted');
    first.release();
    await settle(postgres);
    caller = await queue();
    wait = us.waits[0]!;
    wait.sent.length = 0;
  });

  /** The server grants it; the answer is read so much later. */
  async function grant(afterMs: number): Promise<void> {
    postgres.free(rival, ID);
    await postgres.clock.advanceAsync(afterMs);
    wait.reply();
  }

  it('is told at once if it is not late', async () => {
    await grant(15);
    expect([namesOf(wait), caller.said]).toEqual([[], 'granted']);
  });

  it('is told once the session has proven that it still lives', async () => {
    await grant(200);
    expect([namesOf(wait), caller.said]).toEqual([['prove'], '']);
    await settle(postgres);
    expect(caller.said).toBe('granted');
    expect(us.entries).toBe(1);
  });

  it('is told to nobody if the session has ended', async () => {
    await grant(200);
    // The end comes with the answer, or right behind it.
    wait.gone();
    postgres.take(rival, ID);
    wait.end(new LockUnavailableError('57P01'));
    expect(caller.said).toBe('');
    postgres.free(rival, ID);
    await postgres.clock.advanceAsync(250);
    await settle(postgres);
    expect(caller.said).toBe('granted');
  });

  it('is told to nobody if the session says nothing any more', async () => {
    await grant(200);
    await postgres.clock.advanceAsync(5000);
    expect([caller.said, wait.isEnded]).toEqual(['', true]);
  });

  it('does not make later grants of the session late', async () => {
    await grant(200);
    await settle(postgres);
    caller.release();
    await settle(postgres);
    caller = await queue();
    wait.sent.length = 0;
    await grant(1);
    expect([namesOf(wait), caller.said]).toEqual([[], 'granted']);
  });
});
