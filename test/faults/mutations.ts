/** A text of lib that is replaced by another one, and the check of the lab that must notice. */
export interface Mutation {
  /** What is broken. */
  readonly name: string;
  /** In lib. */
  readonly file: string;
  /** Occurs once. */
  readonly from: string;
  readonly to: string;
  /**
   * Where it shows: rounds of random faults, on dflockd, Redis or Postgres, a row of the table, or a row of that on Redis
   * or Postgres, which `check` names too.
   */
  readonly shows:
    | 'rounds'
    | 'rounds on Redis'
    | 'rounds on Postgres'
    | { readonly row: string }
    | { readonly redis: string }
    | { readonly postgres: string };
  readonly check: string;
}

/** For every checker at least one. */
export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'the daemon grants a held lock once more',
    file: 'core/granting.ts',
    from: 'res.holders.size < res.limit;',
    to: 'res.limit > 1 ? res.holders.size < res.limit : res.holders.size < 1 || Number(res.key.slice(1)) % 5 === 0;',
    shows: 'rounds',
    check: 'exclusion',
  },
  {
    name: 'a semaphore has one slot more than its limit',
    file: 'core/granting.ts',
    from: 'res.holders.size < res.limit;',
    to: 'res.limit > 1 ? res.holders.size <= res.limit : res.holders.size < 1;',
    shows: 'rounds',
    check: 'exclusion',
  },
  {
    name: 'the daemon numbers its grants downwards',
    file: 'core/tokens.ts',
    from: 'this.low = (this.low + 1) >>> 0;',
    to: 'this.low = (this.low - 1) >>> 0;',
    shows: 'rounds',
    check: 'fences',
  },
  {
    name: 'the last in the queue is served first',
    file: 'core/granting.ts',
    from: 'const waiter = res.queue.head;',
    to: 'const waiter = [...res.queue].at(-1)!;',
    shows: 'rounds',
    check: 'order',
  },
  {
    name: 'a lease has no end',
    file: 'core/lease-expiry.ts',
    from: 'left > 0 && this.running.firstDue <= seen;',
    to: 'left > 0 && this.running.firstDue <= seen - 60_000;',
    shows: { row: 'blocked' },
    check: 'leaks',
  },
  {
    name: 'who waits is told 400 ms after the deadline',
    file: 'backends/dflockd/remote-acquire.ts',
    from: 'this.site.pool.clock.afterPoll(() => this.onDeadline());',
    to: 'this.site.pool.clock.setTimer(() => this.onDeadline(), 400);',
    shows: 'rounds',
    check: 'answers',
  },
  {
    name: 'a silent connection counts as proven for twice as long',
    file: 'backends/dflockd/lanes/lane.ts',
    from: 'return this.lastAckedSend + readTimeoutMs - safetyMargin(readTimeoutMs);',
    to: 'return this.lastAckedSend + 2 * readTimeoutMs - safetyMargin(readTimeoutMs);',
    shows: { row: 'silence black hole both ways' },
    check: 'window',
  },
  {
    name: 'holders behind a black hole go on beside their rivals',
    file: 'backends/dflockd/lanes/lane.ts',
    from: 'return this.lastAckedSend + readTimeoutMs - safetyMargin(readTimeoutMs);',
    to: 'return this.lastAckedSend + 2 * readTimeoutMs - safetyMargin(readTimeoutMs);',
    shows: { row: 'silence black hole both ways' },
    check: 'exclusion',
  },
  {
    name: 'the end of a connection is told 200 ms later',
    file: 'backends/dflockd/lanes/lane.ts',
    from: 'this.owners.tell(reason, error);',
    to: 'this.context.clock.setTimer(() => this.owners.tell(reason, error), 200);',
    shows: { row: 'reset' },
    check: 'window',
  },
  {
    name: 'a lock reads as held until somebody says otherwise',
    file: 'locks/lease/lease.ts',
    from: 'return Math.max(0, this.sureUntil - now);',
    to: 'return Math.max(1, this.sureUntil - now);',
    shows: { row: 'stopped' },
    check: 'table',
  },
  {
    name: 'a renewal to a longer lease counts before it is answered',
    file: 'locks/lease/lease.ts',
    from: 'this.leaseMs = certainLease(this, now, this.askMs);',
    to: '[this.validFrom, this.leaseMs] = [now, this.askMs];',
    shows: { row: 'lostRenewals' },
    check: 'window',
  },
  {
    name: 'the `error` before an end counts as the answer to a heartbeat',
    file: 'backends/dflockd/lanes/exchange.ts',
    from: "r.t === 'ping' || r.t === 'renew'",
    to: "r.t === 'renew'",
    shows: { row: 'blockedTwice' },
    check: 'window',
  },
  {
    name: 'withLock reports success after a loss',
    file: 'locks/lock-scope.ts',
    from: "if (loss && onLost === 'throw') {",
    to: "if (loss && onLost === 'never') {",
    shows: { row: 'reset' },
    check: 'table',
  },
  {
    name: 'a heartbeat gives up what a draining server still keeps',
    file: 'backends/dflockd/lanes/heartbeat.ts',
    from: 'if (lane.grants === 0) ping();',
    to: 'if (lane.grants >= 0) ping();',
    shows: { row: 'drain' },
    check: 'table',
  },
  {
    name: 'a sleep of the machine is not noticed',
    file: 'locks/lease/clock-watch.ts',
    from: 'if (slept > 0) this.note({ noticedAt: now, ms: slept });',
    to: '',
    shows: { row: 'suspended' },
    check: 'table',
  },
  {
    name: 'a renewal that Redis has refused keeps the lock',
    file: 'backends/redis/renewals.ts',
    from: '        renewal.gone();\n      } else {',
    to: '        renewal.renewed(sentAt);\n      } else {',
    shows: { redis: 'deleted' },
    check: 'deleted',
  },
  {
    name: 'locks in Redis are proven from the arrival of an answer on',
    file: 'backends/redis/calls.ts',
    from: '        call.answered(reply);',
    to: '        call.sentAt = this.clock.now();\n        call.answered(reply);',
    shows: { redis: 'slowHole' },
    check: 'slowHole',
  },
  {
    name: 'who is connected to Redis again asks for nothing',
    file: 'backends/redis/redis-core.ts',
    from: 'if (!isFirst) this.suspects.tell();',
    to: '',
    shows: { redis: 'failoverLost' },
    check: 'failoverLost',
  },
  {
    name: 'changes of watched keys are not heard',
    file: 'backends/redis/watch.ts',
    from: 'if (grant) this.suspect(grant);',
    to: '',
    shows: { redis: 'deleted' },
    check: 'deleted',
  },
  {
    name: 'the fence of a key in Redis is behind those before',
    file: 'backends/redis/scripts/fence.ts',
    from: '    fence = us\n',
    to: '    fence = us - 1000000000000\n',
    shows: { redis: 'flushed' },
    check: 'flushed',
  },
  {
    name: 'Redis gives a lock that is held',
    file: 'backends/redis/scripts/lock-script.ts',
    from: "if redis.pcall('EXISTS', K, queue) == 0 then",
    to: "if redis.pcall('EXISTS', K, queue) < 2 then",
    shows: 'rounds on Redis',
    check: 'exclusion',
  },
  {
    name: 'sessions of Postgres are proven from the arrival of an answer on',
    file: 'backends/postgres/sessions/pg-session.ts',
    from: 'this.provenAt = statement.sentAt;',
    to: 'this.provenAt = this.clock.now();',
    shows: { postgres: 'slowHole' },
    check: 'slowHole',
  },
  {
    name: 'a silent session of Postgres counts as proven for longer than the server keeps it',
    file: 'backends/postgres/sessions/pg-session.ts',
    from: 'return this.sessionTimeoutMs - safetyMargin(this.sessionTimeoutMs);',
    to: 'return this.sessionTimeoutMs + 2 * safetyMargin(this.sessionTimeoutMs);',
    shows: { postgres: 'holeBoth' },
    check: 'holeBoth',
  },
  {
    name: 'the end of a session of Postgres is told 200 ms later',
    file: 'backends/postgres/sessions/pg-session.ts',
    from: 'this.end(endedError(error, this.server));',
    to: 'this.clock.setTimer(() => this.end(endedError(error, this.server)), 200);',
    shows: { postgres: 'reset' },
    check: 'reset',
  },
  {
    name: 'a session of Postgres does not ask the server to end it when it is silent',
    file: 'backends/postgres/sessions/settings.ts',
    from: 'idle_session_timeout: `${sessionTimeoutMs}`,',
    to: "idle_session_timeout: '0',",
    shows: { postgres: 'stopped' },
    check: 'stopped',
  },
  {
    name: 'a batch that failed on Postgres is not repaired',
    file: 'backends/postgres/commands/batch.ts',
    from: 'this.repair(error, 1);',
    to: 'for (const one of this.asked) one.undone(this.of, error);\n    this.of.batchOver();',
    shows: { postgres: 'cancelled' },
    check: 'cancelled',
  },
  {
    name: 'Postgres gives a lock that is held',
    file: 'backends/postgres/commands/statements.ts',
    from: 'when 1 then case when pg_try_advisory_lock(x) then',
    to: 'when 1 then case when x % 5 = 0 or pg_try_advisory_lock(x) then',
    shows: 'rounds on Postgres',
    check: 'exclusion',
  },
  {
    name: 'the fence of a lock in Postgres is behind those before',
    file: 'backends/postgres/commands/statements.ts',
    from: 'BigInt(`${clock}000`)',
    to: '10n ** 19n - BigInt(`${clock}000`)',
    shows: { postgres: 'reset' },
    check: 'reset',
  },
];
