import type { AdvisoryId } from '../ids/lock-id.js';
import type { Prepared } from '../sessions/question.js';
import type { TableName } from './table-name.js';

/** Whether the table is there, and the role that would need rights on it, for SQL. */
export const FIND: Prepared = { name: '', text: 'select to_regclass($1) is not null, quote_ident(current_user)' };

/** Longer times are cut: a row may say `infinity`. */
const LONGEST = "interval '20 days'";

/** The ids among $1 that are kept, and the milliseconds that are left. */
export const look = ({ sql }: TableName): Prepared => ({
  name: 'dflockd_look',
  text:
    `select id, ceil(extract(epoch from least(until, clock_timestamp() + ${LONGEST}) - clock_timestamp()) * 1000)::bigint ` +
    `from ${sql} where id = any($1::bigint[]) and until > clock_timestamp()`,
});

/**
 * Keeps the id $1 for $2 milliseconds if $3 is true, and never shortens what is there. If $4 is true, it removes rows that
 * are over; those that another session is working on are left to it, so that nobody waits while holding rows.
 */
export const keep = ({ sql }: TableName): Prepared => ({
  name: 'dflockd_keep',
  text:
    `with over as (delete from ${sql} where $4::boolean and id in (select id from ${sql} ` +
    `where $4::boolean and until <= clock_timestamp() and id <> $1::bigint limit 100 for update skip locked)) ` +
    `insert into ${sql} as kept (id, until) ` +
    `select $1::bigint, clock_timestamp() + $2::float8 * interval '1 millisecond' where $3::boolean ` +
    `on conflict (id) do update set until = greatest(kept.until, excluded.until)`,
});

/** What sessions that create the table wait for: `create table if not exists` alone fails if two run at once. */
const CREATION = 4_916_284_190_711_206_381n;

/** One statement, and with it one transaction. The name of the table cannot be a parameter here. */
export const create = (statement: string): Prepared => ({
  name: '',
  text: `do ${dollarQuoted(`begin perform pg_advisory_xact_lock(${CREATION}); ${statement}; end`)}`,
});

/** Text in dollar quotes that it does not contain. */
function dollarQuoted(text: string): string {
  let tag = 'dflockd';
  while (text.includes(`$${tag}$`)) tag += '_';
  return `$${tag}$${text}$${tag}$`;
}

/** An id as the table has it. A pair of integers shares the space of the others; two of the same only wait for each other. */
export const rowId = (id: AdvisoryId): bigint =>
  typeof id === 'bigint' ? id : (BigInt(id[0]) << 32n) | BigInt(id[1] >>> 0);
