import { beforeEach, describe, expect, it } from '@jest/globals';
import type { TryOp, UnlockOp } from '../../../../../lib/backends/postgres/commands/commands.js';
import { numberOf, publishedId } from '../../../../../lib/backends/postgres/ids/published-id.js';
import type { AdvisoryId } from '../../../../../lib/backends/postgres/ids/lock-id.js';
import { CheckedTry } from '../../../../../lib/backends/postgres/keep/checked-try.js';
import { KeepSetting } from '../../../../../lib/backends/postgres/keep/keep-setting.js';
import { keptError, missingTable } from '../../../../../lib/backends/postgres/keep/kept-errors.js';
import { KeptHolds } from '../../../../../lib/backends/postgres/keep/kept-holds.js';
import type { Looker } from '../../../../../lib/backends/postgres/keep/looks.js';
import { create, rowId } from '../../../../../lib/backends/postgres/keep/statements.js';
import { checkKeep, type TableName } from '../../../../../lib/backends/postgres/keep/table-name.js';
import type { Session, Statement } from '../../../../../lib/backends/postgres/sessions/session.js';
import { Alarms } from '../../../../../lib/common/alarms.js';
import { ConfigError, LockError, LockUnavailableError } from '../../../../../lib/common/errors.js';
import { FakeClock, settlePromises } from '../../../../support/fake-clock.js';

/** Not made by `checkKeep`: what runs while a spec is loaded is slow to mutate. */
const TABLE: TableName = { schema: 'app', table: 'kept', sql: '"app"."kept"' };
const CREATE = 'create table if not exists "app"."kept" (id bigint primary key, until timestamptz not null)';
const GRANT = 'grant select, insert, update, delete on "app"."kept" to';
const CUT = new LockUnavailableError('cut');

describe('what a refused statement on the table of kept holds means', () => {
  const said = new LockError('permission denied', { server: 'db:5432/app' });
  const of = (sqlState: string | undefined): LockError => keptError(TABLE, said, sqlState, 'app');

  it.each([
    ['55P03', LockUnavailableError, 'option postgresBackend.keep: the table "app"."kept" is locked by another session'],
    [
      '42P01',
      LockUnavailableError,
      `option postgresBackend.keep: the table "app"."kept" is gone; create it with ${CREATE}`,
    ],
    [
      '3F000',
      LockUnavailableError,
      `option postgresBackend.keep: the table "app"."kept" is gone; create it with ${CREATE}`,
    ],
    [
      '42501',
      ConfigError,
      'option postgresBackend.keep: the table "app"."kept" may not be used: permission denied. ' +
        `An administrator creates it with: ${CREATE}; ${GRANT} app;`,
    ],
    [
      '25006',
      ConfigError,
      'option postgresBackend.keep: the table "app"."kept" cannot be written: transactions of app are read-only by default',
    ],
  ])('%s: %p, %s', (sqlState, type, message) => {
    const error = of(sqlState);
    expect(error).toBeInstanceOf(type);
    expect(error).toMatchObject({ message, cause: said, server: 'db:5432/app' });
  });

  it.each(['42703', '42P10', '42804', '42883', '42809', '55000', '22P02', '23502'])('%s: another shape', (sqlState) => {
    const error = of(sqlState);
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toBe(
      `option postgresBackend.keep: the table "app"."kept" has another shape than ${CREATE}: permission denied`,
    );
    expect(error).toMatchObject({ cause: said, server: 'db:5432/app' });
  });

  it.each(['57014', '', undefined])('%p: nothing about the table', (sqlState) => {
    expect(of(sqlState)).toBe(said);
  });

  it('a missing table: with the statements that create it, and why they were refused here', () => {
    const cure = `An administrator creates it with: ${CREATE}; ${GRANT} app;`;
    expect(missingTable(TABLE, 'app').message).toBe(
      `option postgresBackend.keep: the table "app"."kept" does not exist. ${cure}`,
    );
    const refused = missingTable(TABLE, 'app', said);
    expect(refused).toBeInstanceOf(ConfigError);
    expect(refused.message).toBe(
      `option postgresBackend.keep: the table "app"."kept" could not be created: permission denied. ${cure}`,
    );
    expect(refused.cause).toBe(said);
  });
});

describe('the holds that are kept', () => {
  let clock: FakeClock;
  let alarms: Alarms;
  let sent: Statement[];
  /** When the callers of the statements began to wait. */
  let sinces: unknown[];
  let degraded: string[];
  let kept: KeptHolds;

  beforeEach(() => {
    clock = new FakeClock({ now: 5000 });
    alarms = new Alarms(clock);
    sent = [];
    degraded = [];
    sinces = [];
    const runner = {
      query: (statement: Statement, since?: number) => {
        sent.push(statement);
        sinces.push(since);
      },
    };
    kept = new KeptHolds(TABLE, { clock, alarms, runner, degraded: (detail) => degraded.push(detail) });
  });

  /** Takes the next statement. */
  const next = async (): Promise<Statement> => {
    await settlePromises();
    expect(sent).toHaveLength(1);
    return sent.shift()!;
  };
  const isFind = ({ text, values }: Statement): boolean => text.includes('to_regclass') && values[0] === TABLE.sql;
  const outcomeOf = (promise: Promise<void>): { error?: LockError; isDone?: true } => {
    const outcome: { error?: LockError; isDone?: true } = {};
    promise.then(
      () => (outcome.isDone = true),
      (error: LockError) => (outcome.error = error),
    );
    return outcome;
  };

  describe('at the start', () => {
    const found = async (isThere: 't' | 'f'): Promise<void> => {
      const statement = await next();
      expect(isFind(statement)).toBe(true);
      statement.answered([[isThere, 'app']]);
    };
    const tried = async (outcome: { error?: LockError; isDone?: true }): Promise<void> => {
      const look = await next();
      expect([look.name, look.values]).toEqual(['dflockd_look', ['{}']]);
      look.answered([]);
      const keep = await next();
      expect([keep.name, keep.values]).toEqual(['dflockd_keep', ['0', 0, false, false]]);
      expect(outcome).toEqual({});
      keep.answered([]);
      await settlePromises();
      expect(outcome).toEqual({ isDone: true });
    };

    it('try their statements without an effect', async () => {
      const outcome = outcomeOf(kept.prepare(true));
      await found('t');
      await tried(outcome);
    });

    it('create their table', async () => {
      const outcome = outcomeOf(kept.prepare(true));
      await found('f');
      const statement = await next();
      expect(statement.text).toContain(`; ${CREATE}; end`);
      statement.answered([]);
      await tried(outcome);
    });

    it('do not create their table if they may not', async () => {
      const outcome = outcomeOf(kept.prepare(false));
      await found('f');
      await settlePromises();
      expect(outcome.error).toBeInstanceOf(ConfigError);
      expect(outcome.error!.message).toContain(
        `does not exist. An administrator creates it with: ${CREATE}; ${GRANT} app;`,
      );
      expect(sent).toEqual([]);
    });

    it('use a table that another program has created meanwhile', async () => {
      const outcome = outcomeOf(kept.prepare(true));
      await found('f');
      (await next()).failed(new LockError('exists'), '42P07');
      await found('t');
      await tried(outcome);
    });

    it.each(['42501', '3F000', '25006', '42704'])('ask for an administrator if %s forbids it', async (sqlState) => {
      const outcome = outcomeOf(kept.prepare(true));
      await found('f');
      (await next()).failed(new LockError('no'), sqlState);
      await found('f');
      await settlePromises();
      expect(outcome.error).toBeInstanceOf(ConfigError);
      expect(outcome.error!.message).toContain('could not be created: no. An administrator');
      expect([degraded, sent]).toEqual([[], []]);
    });

    it('say what else the server said', async () => {
      const outcome = outcomeOf(kept.prepare(true));
      await found('f');
      (await next()).failed(new LockError('locked'), '55P03');
      await found('f');
      await settlePromises();
      expect(outcome.error).toBeInstanceOf(LockUnavailableError);
      expect(outcome.error!.message).toContain('is locked by another session');
      expect(degraded).toEqual([]);
    });

    it('fail with the session, and look for the table no more', async () => {
      const outcome = outcomeOf(kept.prepare(true));
      await found('f');
      (await next()).ended(CUT);
      await settlePromises();
      expect([outcome.error, sent]).toEqual([CUT, []]);
    });

    it('name the role that has no right', async () => {
      const outcome = outcomeOf(kept.prepare(true));
      await found('t');
      (await next()).failed(new LockError('denied'), '42501');
      await settlePromises();
      expect(outcome.error!.message).toContain(`${GRANT} app;`);
    });
  });

  it('are written with their time, and swept at most once a second', async () => {
    const keep = (): Promise<Statement> => {
      kept.keep(7n, 400, () => undefined);
      return next();
    };
    expect((await keep()).values).toEqual(['7', 400, true, true]);
    clock.stall(999);
    expect((await keep()).values).toEqual(['7', 400, true, false]);
    clock.stall(1);
    expect((await keep()).values).toEqual(['7', 400, true, true]);
  });

  it('are known to be kept once the row is written', async () => {
    const told: unknown[] = [];
    kept.keep(7n, 400, (error) => told.push(error));
    const statement = await next();
    expect(told).toEqual([]);
    statement.answered([]);
    expect(told).toEqual([undefined]);
  });

  it('tell of the same trouble once a minute, and not of what is not about the table', async () => {
    const told: (LockError | undefined)[] = [];
    const fails = async (sqlState: string): Promise<void> => {
      kept.keep(7n, 400, (error) => told.push(error));
      (await next()).failed(CUT, sqlState);
    };
    await fails('57014');
    expect([told, degraded]).toEqual([[CUT], []]);
    await fails('42P01');
    expect(degraded).toEqual([told[1]!.message]);
    expect(told[1]!.message).toContain('is gone');
    clock.stall(59_999);
    await fails('42P01');
    expect(degraded).toHaveLength(1);
    clock.stall(1);
    await fails('42P01');
    expect(degraded).toHaveLength(2);
  });

  it('whose role is not known yet are told of with a blank', async () => {
    const told: (LockError | undefined)[] = [];
    kept.keep(7n, 400, (error) => told.push(error));
    (await next()).failed(CUT, '42501');
    expect(told[0]!.message).toContain(`${GRANT} <role>;`);
  });

  describe('are looked for', () => {
    const look = (id: AdvisoryId): unknown[] => {
      const said: unknown[] = [];
      kept.look({ id, looked: (restMs) => said.push(restMs), lookFailed: (error) => said.push(error) });
      return said;
    };

    it('by one statement for those of a turn', async () => {
      const [one, two, pair] = [look(1n), look(-2n), look([1, -1])];
      expect(sent).toEqual([]);
      const statement = await next();
      expect(statement.values).toEqual(['{1,-2,8589934591}']);
      const later = look(1n);
      statement.answered([
        ['-2', '250'],
        ['8589934591', '0'],
      ]);
      // A row that is there counts, however short its time is.
      expect([one, two, pair, later]).toEqual([[0], [250], [1], []]);
      (await next()).answered([]);
      expect(later).toEqual([0]);
    });

    it.each([
      [[undefined], undefined],
      [[undefined, 70, undefined], 70],
      [[90, 70, 80], 70],
      [[70, 70, 90], 70],
    ])('for as long as the first of the callers waits: %j', async (all, oldest) => {
      const nothing = (): void => undefined;
      for (const since of all) kept.look({ id: 1n, since, looked: nothing, lookFailed: nothing });
      await next();
      expect(sinces).toEqual([oldest]);
    });

    it('and if that fails, nobody knows', async () => {
      const [one, two] = [look(1n), look(2n)];
      (await next()).failed(CUT, '57014');
      expect([one, two]).toEqual([[CUT], [CUT]]);
    });

    it('and the table is gone: that is what everybody is told, and operators once', async () => {
      const [one, two] = [look(1n), look(2n)];
      (await next()).failed(CUT, '42P01');
      expect(String(one[0])).toMatch(/is gone/);
      expect(two).toEqual(one);
      expect(degraded).toHaveLength(1);
    });
  });

  describe('are waited out', () => {
    const ended: unknown[] = [];
    const wait = (): (() => void) => kept.waitOut(7n, (error) => ended.push(error));
    const rest = async (ms: number): Promise<void> => (await next()).answered(ms > 0 ? [['7', String(ms)]] : []);

    beforeEach(() => {
      ended.length = 0;
    });

    it('by the time of the server: after each time it is asked again', async () => {
      wait();
      await rest(300);
      await clock.advanceAsync(299);
      expect(sent).toEqual([]);
      await clock.advanceAsync(1);
      await rest(5);
      await clock.advanceAsync(5);
      expect(ended).toEqual([]);
      await rest(0);
      expect(ended).toEqual([undefined]);
      await clock.advanceAsync(60_000);
      expect(sent).toEqual([]);
    });

    it('until nobody knows', async () => {
      wait();
      await rest(300);
      await clock.advanceAsync(300);
      (await next()).ended(CUT);
      expect(ended).toEqual([CUT]);
    });

    it.each([
      ['answered', (statement: Statement) => statement.answered([])],
      ['refused', (statement: Statement) => statement.ended(CUT)],
      ['told to wait', (statement: Statement) => statement.answered([['7', '300']])],
    ])('and stopped: nothing comes of a look that is %s', async (_, answer) => {
      const stop = wait();
      const statement = await next();
      stop();
      answer(statement);
      await clock.advanceAsync(60_000);
      expect([ended, sent]).toEqual([[], []]);
    });

    it('and stopped between two looks', async () => {
      const stop = wait();
      await rest(300);
      stop();
      await clock.advanceAsync(60_000);
      expect([ended, sent]).toEqual([[], []]);
    });
  });
});

describe('a try for a lock that may be kept', () => {
  const session = {} as Session;
  let said: unknown[];
  let op: TryOp & { isDropped: boolean };
  let looker: Looker | undefined;
  let unlocked: [on: Session, op: UnlockOp][];
  let checked: CheckedTry;

  beforeEach(() => {
    [said, unlocked, looker] = [[], [], undefined];
    op = {
      id: 7n,
      isDropped: false,
      granted: (...all) => said.push(all),
      refused: () => said.push('refused'),
      failed: (error) => said.push(['failed', error]),
      dropped: () => said.push('dropped'),
      overdue: (error) => said.push(['overdue', error]),
    };
    const kept = { look: (one: Looker) => (looker = one) } as unknown as KeptHolds;
    checked = new CheckedTry(op, kept, { unlock: (...all) => void unlocked.push(all) }, 900);
  });

  /** What it was granted is given back; the server says so, perhaps late. */
  const givenBack = (late?: LockError): void => {
    expect(unlocked).toEqual([[session, expect.objectContaining({ id: 7n })]]);
    const [[, release]] = unlocked as [[Session, UnlockOp]];
    if (late) release.overdue!(late);
    release.over();
    release.done('released');
  };

  it('is granted once it is known that it is not kept', () => {
    checked.granted(session, 5n, 990);
    expect([checked.id, looker!.id, looker!.since, said]).toEqual([7n, 7n, 900, []]);
    looker!.looked(0);
    expect([said, unlocked]).toEqual([[[session, 5n, 990]], []]);
  });

  it('is refused, and what it was granted given back, if it is kept', () => {
    checked.granted(session, 5n, 990);
    looker!.looked(0.5);
    expect(said).toEqual([]);
    givenBack();
    expect(said).toEqual(['refused']);
  });

  it('fails, and what it was granted is given back, if nobody knows', () => {
    checked.granted(session, 5n, 990);
    looker!.lookFailed(CUT);
    expect(said).toEqual([['overdue', CUT]]);
    givenBack();
    expect(said).toEqual([
      ['overdue', CUT],
      ['failed', CUT],
    ]);
  });

  it('tells its caller if nobody knows when it is given back', () => {
    checked.granted(session, 5n, 990);
    looker!.looked(300);
    givenBack(CUT);
    expect(said).toEqual([['overdue', CUT], 'refused']);
  });

  it('that nobody wants any more is ended, and says that it takes long to those who wait behind it', () => {
    checked.granted(session, 5n, 990);
    expect(checked.isDropped).toBe(false);
    op.isDropped = true;
    expect(checked.isDropped).toBe(true);
    checked.overdue(CUT);
    looker!.lookFailed(CUT);
    expect(said).toEqual([
      ['overdue', CUT],
      ['overdue', CUT],
    ]);
    givenBack();
    expect(said.at(-1)).toEqual(['failed', CUT]);
  });

  it('that is refused or fails tells so at once', () => {
    checked.refused();
    checked.failed(CUT);
    checked.dropped();
    checked.overdue(CUT);
    expect([said, looker, unlocked]).toEqual([
      ['refused', ['failed', CUT], 'dropped', ['overdue', CUT]],
      undefined,
      [],
    ]);
  });
});

describe('the option keep of several processes', () => {
  let sent: Statement[];
  let warnings: string[];
  const setting = (table?: string): KeepSetting =>
    new KeepSetting(checkKeep('keep', table), { query: (statement) => void sent.push(statement) }, (message) =>
      warnings.push(message),
    );
  const idOf = (text: string): number => publishedId('keep', numberOf(text)).objectId;
  const ON = '"app"."kept"';
  const OFF = 'no';
  const TEXT = 'minimum holds of one are not seen by the other; set it the same everywhere';

  beforeEach(() => {
    [sent, warnings] = [[], []];
  });

  it.each([
    ['app.kept', [OFF], 'option postgresBackend.keep is "app"."kept" here and off'],
    ['app.kept', ['"app"."other"'], 'option postgresBackend.keep is "app"."kept" here and another table'],
    ['app.kept', ['"app"."other"', OFF], 'option postgresBackend.keep is "app"."kept" here and off'],
    [undefined, [ON], 'option postgresBackend.keep is off here and on'],
  ])('%p and %p differ', (table, others, text) => {
    const one = setting(table);
    one.publish();
    const { classId } = publishedId('keep', 0);
    expect(sent[0]!.values).toEqual([classId, idOf(table ? ON : OFF)]);
    sent[0]!.answered([[others.map(idOf).join()]]);
    expect(warnings).toEqual([`${text} in another process of this database: ${TEXT}`]);
    // Once, however many sessions there are.
    one.publish();
    sent[1]!.answered([[others.map(idOf).join()]]);
    expect(warnings).toHaveLength(1);
  });

  it.each([[[[null]]], [[['-']]], [[]]])('are the same, or nobody knows: %j', (rows) => {
    const one = setting('app.kept');
    one.publish();
    sent[0]!.answered(rows);
    expect(warnings).toEqual([]);
    one.publish();
    sent[1]!.failed(CUT, '57014');
    expect(warnings).toEqual([]);
  });
});

describe('statements on the table of kept holds', () => {
  it('have ids of 64 bits, also for two integers', () => {
    expect(rowId(-7n)).toBe(-7n);
    expect(rowId([1, 2])).toBe(2n ** 32n + 2n);
    expect(rowId([1, -1])).toBe(2n ** 33n - 1n);
    expect(rowId([-1, -1])).toBe(-1n);
    expect(rowId([-(2 ** 31), 0])).toBe(-(2n ** 63n));
  });

  it('quote what is created with a tag that it does not contain', () => {
    const tagOf = (statement: string): string => /^do (\$\w+\$)begin .*; end\1$/.exec(create(statement).text)![1]!;
    expect(tagOf('create table a')).toBe('$dflockd$');
    expect(tagOf('create table "$dflockd$"')).toBe('$dflockd_$');
    expect(tagOf('create table "$dflockd$dflockd_$"')).toBe('$dflockd__$');
  });
});
