import type { Prepared } from './commands/statements.js';
import type { AdvisoryId } from './ids/lock-id.js';

/** A statement and its values. */
export type Question = readonly [statement: Prepared, values: readonly unknown[]];

/** As `pg_locks` has it: the halves of an id as unsigned numbers, and which of the two spaces it is in. */
const IS_HELD: Prepared = {
  name: 'dflockd_is_held',
  text:
    "select exists(select from pg_locks where locktype = 'advisory' and granted and classid = $1::oid and objid = $2::oid " +
    'and objsubid = $3::int2 and database = (select oid from pg_database where datname = current_database()))',
};

/** Whether anybody has this lock. It reads all locks of the server, but makes nobody's try fail. */
export function isHeld(id: AdvisoryId): Question {
  if (typeof id !== 'bigint') return [IS_HELD, [id[0] >>> 0, id[1] >>> 0, 2]];
  const bits = BigInt.asUintN(64, id);
  return [IS_HELD, [String(bits >> 32n), String(bits & 0xffff_ffffn), 1]];
}
