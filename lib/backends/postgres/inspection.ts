import type { Prepared } from './commands/statements.js';
import { type AdvisoryId, lockIdOf } from './ids/lock-id.js';
import { MAX_PUBLISHED, publishedId } from './ids/published-id.js';

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

/**
 * The limit is the one that is published ($1, $2). The slots ($3: the gate, unsigned) are behind the gate, and go on at 1 after the
 * largest number.
 */
const HAS_HELD_SLOT: Prepared = {
  name: 'dflockd_has_held_slot',
  text:
    "with own as (select classid, objid, objsubid from pg_locks where locktype = 'advisory' and granted " +
    'and database = (select oid from pg_database where datname = current_database())), ' +
    `published as (select objid::bigint & ${MAX_PUBLISHED} as slots from own ` +
    'where objsubid = 2 and classid = $1::int::oid and objid::bigint >> 20 = $2::int >> 20 limit 1) ' +
    'select exists(select from own, published where objsubid = 1 and ' +
    '(classid::bigint::numeric * 4294967296 + objid::bigint - $3::numeric + 18446744073709551616) % 18446744073709551616 ' +
    'between 1 and slots)',
};

/** Whether anybody holds a slot of a semaphore. */
export function hasHeldSlot(key: string): Question {
  const { classId, objectId } = publishedId(`limit:${key}`, 0);
  return [HAS_HELD_SLOT, [classId, objectId, String(BigInt.asUintN(64, lockIdOf('sem', key)))]];
}
