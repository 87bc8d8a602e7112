/** The answer if another program has the lock for itself: nothing is published. */
export const PUBLISHED_NOT = '-';

/**
 * Publishes a number ($1, $2: see PublishedId) for as long as the session lives, and answers the object ids of other numbers
 * under the same name, or null if there are none. Nested, because only a nested `case` is certainly computed in order: of two
 * processes that publish different numbers at once, at least one sees the other.
 */
export const PUBLISH = {
  name: 'dflockd_publish',
  text:
    'select case when pg_try_advisory_lock_shared($1::int, $2::int) then ' +
    "(select string_agg(distinct objid::text, ',') from pg_locks where locktype = 'advisory' and objsubid = 2 and granted " +
    'and database = (select oid from pg_database where datname = current_database()) ' +
    'and classid = $1::int::oid and objid <> $2::int::oid and objid::bigint >> 20 = $2::int >> 20) ' +
    `else '${PUBLISHED_NOT}' end`,
};

/** Takes back what the session has published. */
export const UNPUBLISH = {
  name: 'dflockd_unpublish',
  text: 'select pg_advisory_unlock_shared($1::int, $2::int)',
};
