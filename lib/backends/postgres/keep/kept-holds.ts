import type { Alarms } from '../../../common/alarms.js';
import type { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { AdvisoryId } from '../ids/lock-id.js';
import { type Answer, type Prepared, Question } from '../sessions/question.js';
import type { TextRow } from '../sessions/session.js';
import { keptError, missingTable } from './kept-errors.js';
import { type Looker, Looks, type StatementRunner } from './looks.js';
import { Remainder } from './remainder.js';
import { createTable } from './schema.js';
import { create, FIND, keep, look, rowId } from './statements.js';
import type { TableName } from './table-name.js';

/** Rows that are over are removed at most this often. */
const SWEEP_MS: Ms = 1000;
/** The same trouble is reported again after this time. */
const SILENCE_MS: Ms = 60_000;
/** What the server says to a role that may not create the table, or to a schema that it does not have. */
const MAY_NOT_CREATE: readonly unknown[] = ['42501', '3F000', '25006', '42704'];

/** What the holds that outlive their process need. */
export interface KeptHost {
  readonly clock: { now(): Ms };
  readonly alarms: Alarms;
  /** The command session. */
  readonly runner: StatementRunner;
  /** Calls back when the table cannot be used any more. */
  readonly degraded: (detail: string) => void;
}

/** An answer that is an error. */
class Refused extends Error {
  constructor(readonly answer: Answer) {
    super('refused');
  }
}

/**
 * The table of holds that outlive their sessions: a row says until when an id is kept, by the clock of the server. Whoever gets the lock
 * looks there before relying on it.
 */
export class KeptHolds {
  private readonly looks: Looks;
  private readonly statement: Prepared;
  private sweptAt: Ms = -Infinity;
  private role = '<role>';
  private degradedAt: Ms = -Infinity;

  constructor(
    readonly table: TableName,
    private readonly host: KeptHost,
  ) {
    this.statement = keep(table);
    this.looks = new Looks(host.runner, look(table), (answer) => this.errorOf(answer));
  }

  /**
   * Finds the table, creates it if it may, and tries each statement on it without effect.
   * @throws ConfigError if the table is missing, has another shape or may not be used; LockUnavailableError
   */
  async prepare(mayCreate: boolean): Promise<void> {
    try {
      const [isThere, role] = (await this.ask(FIND, [this.table.sql]))[0]!;
      this.role = role!;
      if (isThere !== 't') await this.create(mayCreate);
      await this.ask(look(this.table), ['{}']);
      await this.ask(this.statement, ['0', 0, false, false]);
    } catch (error) {
      throw error instanceof Refused ? this.errorOf(error.answer, true) : error;
    }
  }

  /** Tells `looker` whether its id is kept. To be called after each grant of a lock, before anybody is told of it. */
  look(looker: Looker): void {
    this.looks.add(looker);
  }

  /**
   * For an id whose lock this process has: calls back once the id is no longer kept, or with the error if that cannot be found out.
   * Returns a function that stops it.
   */
  waitOut(id: AdvisoryId, done: (error?: LockError) => void): () => void {
    const { clock, alarms } = this.host;
    const remainder = new Remainder(id, { clock, alarms, look: (looker) => this.look(looker) }, done);
    remainder.start();
    return () => remainder.stop();
  }

  /**
   * Keeps an id whose lock this process has. The lock may be released once `done` was called, and not before: the row is seen from
   * its commit on, an unlock at once.
   * @param done with an error, nothing is known to be kept
   */
  keep(id: AdvisoryId, keepMs: Ms, done: (error?: LockError) => void): void {
    const { clock, runner } = this.host;
    const now = clock.now();
    const sweeps = now - this.sweptAt >= SWEEP_MS;
    if (sweeps) this.sweptAt = now;
    const values = [`${rowId(id)}`, keepMs, true, sweeps];
    runner.query(new Question(this.statement, values, (answer) => done(answer.error && this.errorOf(answer))));
  }

  private async create(mayCreate: boolean): Promise<void> {
    if (!mayCreate) throw missingTable(this.table, this.role);
    try {
      await this.ask(create(createTable(this.table)), []);
    } catch (error) {
      if (!(error instanceof Refused) || error.answer.sqlState === undefined) throw error;
      // Another program may have created it meanwhile, without waiting for this one.
      if ((await this.ask(FIND, [this.table.sql]))[0]![0] === 't') return;
      if (!MAY_NOT_CREATE.includes(error.answer.sqlState)) throw error;
      throw missingTable(this.table, this.role, error.answer.error);
    }
  }

  private ask(prepared: Prepared, values: readonly unknown[]): Promise<readonly TextRow[]> {
    return new Promise((resolve, reject) => {
      this.host.runner.query(
        new Question(prepared, values, (answer) => (answer.rows ? resolve(answer.rows) : reject(new Refused(answer)))),
      );
    });
  }

  private errorOf({ error, sqlState }: Answer, isStart = false): LockError {
    const said = keptError(this.table, error!, sqlState, this.role);
    const now = this.host.clock.now();
    if (said !== error && !isStart && now - this.degradedAt >= SILENCE_MS) {
      this.degradedAt = now;
      this.host.degraded(said.message);
    }
    return said;
  }
}
