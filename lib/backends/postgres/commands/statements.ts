import type { AdvisoryId } from '../ids/lock-id.js';

/** Microseconds of the server's wall clock. It must be read after the lock was taken: a nested `case` forces this order. */
const CLOCK = '(extract(epoch from clock_timestamp()) * 1000000)::bigint';

const FIRST_FREE =
  "coalesce((select c from unnest(string_to_array(s, ';')::bigint[]) c where pg_try_advisory_lock(c) limit 1)::text, '-')";

/** What is done to one id in a batch: the `t` of the statement. */
export const OPS = {
  unlock: 0,
  try: 1,
  /** x: gate, s: candidates. */
  trySlot: 2,
  /** x: slot, y: gate, s: channel. */
  freeSlot: 3,
  /** As trySlot, by whoever has the gate. */
  trySlotAsHead: 4,
  /** x, y: two 32-bit ids. */
  tryPair: 5,
  unlockPair: 6,
} as const;

const LOCK_CASES =
  'when 0 then pg_advisory_unlock(x)::int::text ' +
  `when 1 then case when pg_try_advisory_lock(x) then ${CLOCK}::text else '0' end`;

const OTHER_CASES =
  `when 2 then case when pg_try_advisory_lock_shared(x) then ${FIRST_FREE} || '/' || ${CLOCK} || '/' || ` +
  `pg_advisory_unlock_shared(x)::text else '-' end ` +
  'when 3 then pg_advisory_unlock(x)::int::text || case when pg_try_advisory_lock_shared(y) ' +
  "then pg_advisory_unlock_shared(y)::text else pg_notify(s, '')::text end " +
  `when 4 then ${FIRST_FREE} || '/' || ${CLOCK} ` +
  `when 5 then case when pg_try_advisory_lock(x::int, y::int) then ${CLOCK}::text else '0' end ` +
  'when 6 then pg_advisory_unlock(x::int, y::int)::int::text';

/** A statement that is prepared: the same text under the same name each time. */
export interface Prepared {
  readonly name: string;
  readonly text: string;
}

const prepared = (name: string, text: string): Prepared => ({ name: `dflockd_${name}`, text });

/** Functions are run in the order of the array. The outcomes are joined by commas, which none of them contains. */
const batch = (cases: string, from: string): string => `select string_agg(case t ${cases} end, ',') from ${from}`;

/**
 * Releases those of three lists of locks that the session has: exclusive, shared, and pairs as 64 bits. To release what it
 * does not have would write a warning into the log of the server for each.
 */
const REPAIR =
  "select count(case when mode = 'ShareLock' then pg_advisory_unlock_shared(x) when space = 1 then pg_advisory_unlock(x) " +
  'else pg_advisory_unlock((x >> 32)::int, (x << 32 >> 32)::int) end) ' +
  'from (select objsubid as space, mode, classid::bigint << 32 | objid::bigint as x from pg_locks ' +
  "where locktype = 'advisory' and pid = pg_backend_pid() and granted) mine " +
  "where space = 1 and x = any(case mode when 'ShareLock' then $2::bigint[] else $1::bigint[] end) " +
  'or space = 2 and x = any($3::bigint[])';

export const STATEMENTS = {
  /** Tries and releases of locks. */
  locks: prepared('locks', batch(LOCK_CASES, 'unnest($1::int[], $2::bigint[]) o(t, x)')),
  /** Every op. */
  batch: prepared(
    'batch',
    batch(`${LOCK_CASES} ${OTHER_CASES}`, 'unnest($1::int[], $2::bigint[], $3::bigint[], $4::text[]) o(t, x, y, s)'),
  ),
  repair: prepared('repair', REPAIR),
  /** One try: a fifth cheaper than a batch of one. */
  try: prepared('try', `select case when pg_try_advisory_lock($1) then ${CLOCK} else 0 end`),
  unlock: prepared('unlock', 'select pg_advisory_unlock($1)::int'),
  unlockPair: prepared('unlock_pair', 'select pg_advisory_unlock($1::int, $2::int)::int'),
  /** A wait. */
  lock: prepared('lock', `select case when pg_advisory_lock($1) is not null then ${CLOCK} end`),
  lockPair: prepared('lock_pair', `select case when pg_advisory_lock($1::int, $2::int) is not null then ${CLOCK} end`),
  /** A release, and the next wait for the same lock. Null: it was not held, and is not waited for. */
  unlockAndLock: prepared(
    'unlock_and_lock',
    `select case when pg_advisory_unlock($1) then case when pg_advisory_lock($1) is not null then ${CLOCK} end end`,
  ),
  unlockAndLockPair: prepared(
    'unlock_and_lock_pair',
    'select case when pg_advisory_unlock($1::int, $2::int) then ' +
      `case when pg_advisory_lock($1::int, $2::int) is not null then ${CLOCK} end end`,
  ),
  prove: prepared('prove', 'select 1'),
  /** No row: the session is gone. Another one may have its pid, on the server that took over for instance. */
  cancel: prepared(
    'cancel',
    'select pg_cancel_backend(pid)::int from pg_stat_activity where pid = $1 and backend_start = $2::timestamptz',
  ),
  unlockAll: prepared('unlock_all', 'select pg_advisory_unlock_all()'),
  /** Of sessions that wait: what the server believes they do. */
  activity: prepared(
    'activity',
    'select pid, state from pg_stat_activity ' +
      'where (pid, backend_start) in (select * from unnest($1::int[], $2::timestamptz[]))',
  ),
  terminate: prepared(
    'terminate',
    'select pg_terminate_backend(pid) from pg_stat_activity where pid = $1 and backend_start = $2::timestamptz',
  ),
  hashtext: prepared('hashtext', 'select hashtext($1)::bigint'),
  hashtextextended: prepared('hashtextextended', 'select hashtextextended($1, 0)'),
} as const;

/** The clock of the server as a fence, which leaves three digits to local hand-overs. Undefined: it is not a number. */
export const fenceOf = (clock: string): bigint | undefined =>
  /^[1-9]\d*$/.test(clock) ? BigInt(`${clock}000`) : undefined;

/** The statement for an id, or for a pair. */
export const choose = (id: AdvisoryId, single: Prepared, pair: Prepared): Prepared =>
  typeof id === 'bigint' ? single : pair;
