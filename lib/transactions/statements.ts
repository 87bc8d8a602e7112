import { advisoryIdOf, type LockIds } from '../backends/postgres/ids/lock-id-option.js';
import type { Ms } from '../common/system.js';

/** If neither the caller nor the session says how long to wait. */
const DEFAULT_TIMEOUT_MS = 10_000;

/**
 * The id of a lock as SQL: one argument, or two.
 * @param key with its namespace
 */
export function idInSql(ids: LockIds, key: string): string {
  const id = advisoryIdOf(ids, 'lock', key, 'lockId');
  if (typeof id === 'bigint') return `'${id}'::bigint`;
  if ('hash' in id) return `${id.hash}(${textInSql(key)}${id.hash === 'hashtextextended' ? ', 0' : ''})`;
  return `'${id[0]}'::int, '${id[1]}'::int`;
}

/** Text that means the same with every setting and in every library, whatever it contains. */
const textInSql = (text: string): string =>
  `convert_from(decode('${Buffer.from(text).toString('hex')}', 'hex'), 'UTF8')`;

/** The server's clock, in µs: the fence of a lock is read after the lock is taken. */
const CLOCK = '(extract(epoch from clock_timestamp()) * 1000000)::bigint::text';

/**
 * Takes the lock if `guard` is true. The time-out of the session is changed for the wait only: nested, because only a
 * nested `case` is certainly computed in order.
 * @param timeoutMs undefined: as the session has it
 */
export function lockStatement(id: string, guard: string, timeoutMs: Ms | undefined): string {
  const timeout =
    timeoutMs === undefined ? `case former when '0' then '${DEFAULT_TIMEOUT_MS}' else former end` : `'${timeoutMs}'`;
  return (
    `select case when ${guard} then case when ${setting(timeout)} then ` +
    `case when pg_advisory_xact_lock(${id}) is not null then case when ${setting('former')} then ${CLOCK} ` +
    `end end end end as fence from (select current_setting('lock_timeout') as former offset 0) session`
  );
}

const setting = (value: string): string => `set_config('lock_timeout', ${value}, true) is not null`;

/** Tries to take the lock if `guard` is true: the fence, or '-' if another has it. */
export function tryStatement(id: string, guard: string): string {
  return `select case when ${guard} then case when pg_try_advisory_xact_lock(${id}) then ${CLOCK} else '-' end end as fence`;
}
