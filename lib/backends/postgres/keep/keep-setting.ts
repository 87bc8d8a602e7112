import { numberOf, type PublishedId, publishedId, publishedNumber } from '../ids/published-id.js';
import { PUBLISH, PUBLISHED_NOT } from '../ids/published-statement.js';
import { Question } from '../sessions/question.js';
import type { StatementRunner } from './looks.js';
import type { TableName } from './table-name.js';

const NONE = numberOf('no');

/** The option `keep` of this process, published to the others in the database: who does not look does not see. */
export class KeepSetting {
  private readonly id: PublishedId;
  private hasWarned = false;

  constructor(
    private readonly table: TableName | undefined,
    private readonly runner: StatementRunner,
    private readonly warn: (message: string) => void,
  ) {
    this.id = publishedId('keep', table ? numberOf(table.sql) : NONE);
  }

  /** To be called for each command session. Warns, once, if another process has another setting. */
  publish(): void {
    const { classId, objectId } = this.id;
    this.runner.query(
      new Question(PUBLISH, [classId, objectId], ({ rows }) => {
        const others = rows?.[0]?.[0] ?? PUBLISHED_NOT;
        if (others === PUBLISHED_NOT || this.hasWarned) return;
        this.hasWarned = true;
        this.warn(this.warning(others.split(',').some((other) => publishedNumber(Number(other)) === NONE)));
      }),
    );
  }

  private warning(isOff: boolean): string {
    const here = this.table ? `${this.table.sql} here` : 'off here';
    const there = isOff ? 'off' : this.table ? 'another table' : 'on';
    return (
      `option postgresBackend.keep is ${here} and ${there} in another process of this database: ` +
      'minimum holds of one are not seen by the other; set it the same everywhere'
    );
  }
}
