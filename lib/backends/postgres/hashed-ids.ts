import type { LockError } from '../../common/errors.js';
import type { Commands } from './commands/commands.js';
import { PlainStatement } from './commands/plain-statement.js';
import { STATEMENTS } from './commands/statements.js';
import type { AdvisoryId } from './ids/lock-id.js';
import type { ServerHash } from './ids/lock-id-option.js';

type Told = (id: AdvisoryId | undefined, error?: LockError) => void;

/** Ids that the server computes, for programs that take `pg_advisory_lock(hashtext(key))`. */
export class HashedIds {
  /** By key: who waits for its id, in order. */
  private readonly asked = new Map<string, Told[]>();

  constructor(private readonly commands: Pick<Commands, 'query'>) {}

  ask(hash: ServerHash['hash'], key: string, told: Told): void {
    const waiting = this.asked.get(key);
    if (waiting) return void waiting.push(told);
    const all = [told];
    this.asked.set(key, all);
    const tell = (id: AdvisoryId | undefined, error?: LockError): void => {
      this.asked.delete(key);
      for (const one of all) one(id, error);
    };
    this.commands.query(
      new PlainStatement(STATEMENTS[hash], [key], {
        answered: (rows) => tell(BigInt(rows[0]![0]!)),
        failed: (error) => tell(undefined, error),
        ended: (error) => tell(undefined, error),
      }),
    );
  }
}
