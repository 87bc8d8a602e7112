import { beforeEach, describe, expect, it } from '@jest/globals';
import type { Released } from '../../../../../lib/backends/backend.js';
import type { TryOp, UnlockOp } from '../../../../../lib/backends/postgres/commands/commands.js';
import { CheckedTry } from '../../../../../lib/backends/postgres/keep/checked-try.js';
import { checkKeep } from '../../../../../lib/backends/postgres/keep/table-name.js';
import { Keeping } from '../../../../../lib/backends/postgres/keeping.js';
import type { QueueSite } from '../../../../../lib/backends/postgres/queues/queue-site.js';
import { Tenure } from '../../../../../lib/backends/postgres/queues/tenure.js';
import type { Session, Statement } from '../../../../../lib/backends/postgres/sessions/session.js';
import { Alarms } from '../../../../../lib/common/alarms.js';
import { type LockError, LockUnavailableError } from '../../../../../lib/common/errors.js';
import { FakeClock, settlePromises } from '../../../../support/fake-clock.js';

const CUT = new LockUnavailableError('cut');

let clock: FakeClock;
let sent: Statement[];
let tried: TryOp[];
let unlocked: UnlockOp[];
let degraded: string[];
let warnings: string[];
let commandSession: Session | undefined;
let keeping: Keeping;

const newKeeping = (keep: string | boolean, ensureSchema = true): Keeping => {
  const commands = {
    get session() {
      return commandSession;
    },
    query: (statement: Statement) => void sent.push(statement),
    try: (op: TryOp) => void tried.push(op),
    unlock: (_: Session, op: UnlockOp) => void unlocked.push(op),
  };
  const site = {
    clock,
    alarms: new Alarms(clock),
    commands,
    degraded: (detail: string) => degraded.push(detail),
    warn: (message: string) => warnings.push(message),
  };
  return new Keeping({ keep: checkKeep('keep', keep), ensureSchema }, site as unknown as QueueSite);
};

beforeEach(() => {
  clock = new FakeClock();
  [sent, tried, unlocked, degraded, warnings] = [[], [], [], [], []];
  commandSession = {} as Session;
  keeping = newKeeping('app.kept');
});

const next = async (): Promise<Statement> => {
  await settlePromises();
  return sent.shift()!;
};
/** The three statements of a table that is there. */
const prepared = async (): Promise<void> => {
  (await next()).answered([['t', 'app']]);
  (await next()).answered([]);
  (await next()).answered([]);
  await settlePromises();
};

describe('the release of what is to be kept', () => {
  let session: { isEnded: boolean };
  let tenure: Tenure;
  let releases: ((outcome: Released) => void)[];
  let said: Released[];

  beforeEach(() => {
    [releases, said] = [[], []];
    session = { isEnded: false };
    const keeper = { release: (_: Tenure, done: (outcome: Released) => void) => void releases.push(done) };
    tenure = new Tenure(keeper, 7n, session as Session, 5n, 0, 0);
  });

  const release = (kind: 'lock' | 'sem' = 'lock'): void =>
    keeping.release(tenure, kind, 400, (outcome) => said.push(outcome));

  it('writes the row first, and hands the lock to nobody meanwhile', async () => {
    release();
    expect(tenure.isKept).toBe(true);
    const statement = await next();
    expect([statement.name, statement.values]).toEqual(['dflockd_keep', ['7', 400, true, true]]);
    expect([releases, said]).toEqual([[], []]);
    statement.answered([]);
    expect([releases.length, said]).toEqual([1, []]);
    releases[0]!('gone');
    // The row is there, whatever has become of the lock.
    expect(said).toEqual(['released']);
    await clock.advanceAsync(10_000);
    expect(releases).toHaveLength(1);
  });

  it('says what has become of the lock if its session has ended before the row was written', async () => {
    release();
    const statement = await next();
    session.isEnded = true;
    statement.answered([]);
    releases[0]!('gone');
    expect(said).toEqual(['gone']);
  });

  it('keeps the lock itself if the row could not be written', async () => {
    release();
    (await next()).failed(CUT, '42P01');
    expect([releases, said]).toEqual([[], ['released']]);
    expect(degraded).toEqual([expect.stringContaining('is gone')]);
    await clock.advanceAsync(399);
    expect(releases).toEqual([]);
    await clock.advanceAsync(1);
    expect(releases).toHaveLength(1);
    releases[0]!('released');
    expect(said).toEqual(['released']);
  });

  it('says that nobody knows if the session ends meanwhile, and forgets the lock', async () => {
    release();
    const statement = await next();
    session.isEnded = true;
    statement.ended(CUT);
    expect([releases.length, said]).toEqual([1, [CUT]]);
    releases[0]!('gone');
    expect(said).toEqual([CUT]);
  });

  it.each([
    ['a slot', 'sem', 'app.kept'],
    ['a lock without a table', 'lock', false],
  ] as const)('keeps %s in this process', async (_, kind, keep) => {
    keeping = newKeeping(keep);
    release(kind);
    await settlePromises();
    expect([said, sent, tenure.isKept]).toEqual([['released'], [], false]);
    await clock.advanceAsync(399);
    expect(releases).toEqual([]);
    await clock.advanceAsync(1);
    expect(releases).toHaveLength(1);
  });
});

describe('a try for a lock', () => {
  const op = { id: 7n, isDropped: false } as TryOp;

  it('is checked where there is a table', () => {
    keeping.try(op);
    expect(tried).toEqual([expect.any(CheckedTry)]);
  });

  it('is sent as it is where there is none', () => {
    newKeeping(false).try(op);
    expect(tried[0]).toBe(op);
  });
});

describe('whether a lock is kept', () => {
  it('is said by the table', async () => {
    const [kept, free, unknown] = [keeping.isKept(7n, 0), keeping.isKept(8n, 0), newKeeping('app.kept').isKept(7n, 0)];
    (await next()).answered([['7', '100']]);
    expect([await kept, await free]).toEqual([true, false]);
    (await next()).ended(CUT);
    await expect(unknown).rejects.toBe(CUT);
  });

  it('needs no question where there is no table', async () => {
    expect([await newKeeping(false).isKept(7n, 0), sent]).toEqual([false, []]);
  });
});

describe('the table of kept holds at the start', () => {
  it('is prepared once, for all who ask', async () => {
    const both = Promise.all([keeping.prepare(), keeping.prepare()]);
    await prepared();
    await both;
    await keeping.prepare();
    expect(sent).toEqual([]);
  });

  it('is prepared again if it could not be', async () => {
    const failed = keeping.prepare();
    (await next()).ended(CUT);
    await expect(failed).rejects.toBe(CUT);
    const again = keeping.prepare();
    await prepared();
    await again;
    expect(sent).toEqual([]);
  });

  it('is created only if it may be', async () => {
    const failed = newKeeping('app.kept', false).prepare();
    (await next()).answered([['f', 'app']]);
    await expect(failed).rejects.toThrow(/does not exist/);
    expect(sent).toEqual([]);
  });

  it('is nothing where there is none', async () => {
    await newKeeping(false).prepare();
    expect(sent).toEqual([]);
  });
});

describe('a new command session', () => {
  let unusable: LockError[];
  const up = async (): Promise<void> => {
    keeping.up((error) => unusable.push(error));
    const published = await next();
    expect(published.name).toBe('dflockd_publish');
    published.answered([[null]]);
  };

  beforeEach(() => {
    unusable = [];
  });

  it('publishes the option, and prepares the table', async () => {
    await up();
    await prepared();
    expect([sent, unusable, warnings]).toEqual([[], [], []]);
    await up();
    await settlePromises();
    expect(sent).toEqual([]);
  });

  it('warns if another process has another option', async () => {
    keeping.up(() => undefined);
    (await next()).answered([['1']]);
    expect(warnings).toEqual([
      expect.stringMatching(/^option postgresBackend\.keep is "app"\."kept" here and another table/),
    ]);
  });

  it('says that the table cannot be used', async () => {
    await up();
    (await next()).answered([['t', 'app']]);
    (await next()).failed(CUT, '42501');
    await settlePromises();
    expect(unusable.map(({ code }) => code)).toEqual(['CONFIG']);
    await clock.advanceAsync(60_000);
    expect(sent).toEqual([]);
  });

  it('tries again after a second what may pass, as long as there is a session', async () => {
    await up();
    (await next()).failed(CUT, '55P03');
    await settlePromises();
    await clock.advanceAsync(999);
    expect(sent).toEqual([]);
    await clock.advanceAsync(1);
    (await next()).failed(CUT, '55P03');
    await settlePromises();
    commandSession = undefined;
    await clock.advanceAsync(60_000);
    expect([sent, unusable]).toEqual([[], []]);
  });
});
