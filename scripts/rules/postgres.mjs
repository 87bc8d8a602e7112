/**
 * What locks in Postgres depend on, broken one at a time: `from` occurs once in `file` of lib/backends/postgres. If `to` replaces it,
 * the tests of `spec` whose names contain `test` must fail. The table in docs/reliability.md lists them.
 */
const mutants = [
  {
    name: 'no book: a session takes its own lock again',
    file: 'commands/id-book.ts',
    from: 'return this.ids.add(bookKey(id)).size > size;',
    to: 'return this.ids.add(bookKey(id)).size >= size;',
    spec: 'test/unit/backends/postgres/commands/command-connection.spec.ts',
    test: 'and of two tries of one turn, the second one is',
  },
  {
    // One batch at a time is in flight, so the refusal of an earlier try comes before a later one is sent. What is left of this
    // mistake is a try that the book refuses.
    name: 'a mark that anybody clears: a refused try removes an id from the book that it did not enter',
    file: 'commands/id-book.ts',
    from: 'return this.ids.add(bookKey(id)).size > size;',
    to: 'return this.ids.add(bookKey(id)).size > size || !this.leave(id);',
    spec: 'test/unit/backends/postgres/commands/command-connection.spec.ts',
    test: 'and a try that is refused because of it clears nothing, however often',
  },
  {
    name: 'a release for a session that has ended is sent on the next one',
    file: 'commands/command-connection.ts',
    from: 'unlock(session: Session, op: UnlockOp): void {',
    to: 'unlock(session: Session, op: UnlockOp): void {\n    if (this.current) return this.current.ask(new AskedUnlock(op));',
    spec: 'test/unit/backends/postgres/commands/command-connection.spec.ts',
    test: 'a release for a session that has ended is dropped, and frees nobody on the next one',
  },
  {
    name: 'no repair after a batch that failed',
    file: 'commands/batch.ts',
    from: 'this.repair(error, 1);',
    to: 'for (const one of this.asked) one.undone(this.of, error);\n    this.of.batchOver();',
    spec: 'test/unit/backends/postgres/commands/command-connection.spec.ts',
    test: 'so that all that it tried or released is given back before anything else is sent',
  },
  {
    name: 'a session is not cleaned after a wait that was cancelled',
    file: 'commands/wait-connection.ts',
    from: 'this.send(STATEMENTS.unlockAll, [], {',
    to: 'this.send(STATEMENTS.prove, [], {',
    spec: 'test/integration/postgres/commands.spec.ts',
    test: 'a wait that is cancelled while its grant is on the way gives it back',
  },
  {
    name: 'evidence by arrival: a session is proven from the time of the answer',
    file: 'sessions/pg-session.ts',
    from: 'this.provenAt = statement.sentAt;',
    to: 'this.provenAt = this.clock.now();',
    spec: 'test/unit/backends/postgres/sessions/pg-session.spec.ts',
    test: 'by when an answered statement was sent, not by when the answer came',
  },
  {
    name: 'the grant of a long wait is not confirmed',
    file: 'queues/place.ts',
    from: 'wait.confirm((error) => {',
    to: '((confirmed: (error?: LockError) => void) => confirmed())((error) => {',
    spec: 'test/unit/backends/postgres/queues/lock-queue.spec.ts',
    test: 'confirms a grant that was waited for for long before anybody gets it',
  },
  {
    name: 'a grant is believed, however late it is read',
    file: 'commands/wait-connection.ts',
    from: 'this.prover.distrust();',
    to: 'void 0;',
    spec: 'test/unit/backends/postgres/queues/late-grants.spec.ts',
    test: 'is told once the session has proven that it still lives',
  },
  {
    name: 'a session goes on after the server has closed the connection, until the socket is closed too',
    file: 'sessions/pg-session.ts',
    from: "client.connection.stream.on?.('end', closed);",
    to: '',
    spec: 'test/unit/backends/postgres/sessions/ended-by-server.spec.ts',
    test: 'without a word, knows of the end in the turn in which it is read, not once the socket is closed',
  },
  {
    name: 'the row of a kept hold and the unlock are one statement',
    file: 'keep/statements.ts',
    from: 'where $3::boolean `',
    to: 'where $3::boolean and pg_advisory_unlock($1::bigint) is not null `',
    spec: 'test/integration/postgres/keep/keep.spec.ts',
    test: 'have their row before the lock is free, however long its commit takes',
  },
  {
    // A row that is committed during the wait is not seen by the statement that waits.
    name: 'the row of a kept hold is read as it was before the wait',
    file: 'queues/place.ts',
    from: 'if (!kept) return this.prove(fence);',
    to: 'return this.prove(fence);',
    spec: 'test/unit/backends/postgres/keep/keeping.spec.ts',
    test: 'is waited out by those who wait already, in the same process too: it is not handed on',
  },
  {
    name: 'guard 0: a silent session counts as proven for the whole session time',
    file: 'sessions/pg-session.ts',
    from: 'return this.sessionTimeoutMs - safetyMargin(this.sessionTimeoutMs);',
    to: 'return this.sessionTimeoutMs;',
    spec: 'test/unit/backends/postgres/sessions/pg-session.spec.ts',
    test: 'when nothing is answered, at the time until which it was proven',
  },
  {
    name: 'waits have a `lock_timeout`',
    file: 'sessions/settings.ts',
    from: "kind === 'command' ? COMMAND_LOCK_TIMEOUT_MS : 0",
    to: 'COMMAND_LOCK_TIMEOUT_MS',
    spec: 'test/integration/postgres/sessions/dialer.spec.ts',
    test: 'have the settings that they need, whatever the role has',
  },
  {
    name: 'a standby is used: nobody asks whether the server is in recovery',
    file: 'sessions/dialer.ts',
    from: 'if (seen.isStandby) throw standby(this.server);',
    to: '',
    spec: 'test/integration/postgres/sessions/poolers.spec.ts',
    test: 'is refused until it is promoted',
  },
];

export const MUTANTS = mutants.map((mutant) => ({ ...mutant, file: `backends/postgres/${mutant.file}` }));
