import { ConfigError, LockUnavailableError } from '../../../common/errors.js';
import type { Entropy } from '../../../common/system.js';
import type { PgSession } from './pg-session.js';
import type { Look } from './server-look.js';

/** A new session with what it told. */
export interface Looked {
  readonly session: PgSession;
  readonly look: Look;
  /** The process that the connection was told at its start. Behind a pooler, it is not that of the session. */
  readonly toldPid: number | undefined;
}

export const isPooled = ({ look, toldPid }: Looked): boolean => toldPid !== look.pid;

/** How often a lock that a pooler has left somewhere is looked for. */
const ATTEMPTS = 5;

/**
 * Finds out with two sessions whether advisory locks protect anything here: a lock of one must keep the other out, and each must
 * stay the session that it is. In a transaction, so that a pooler cannot give both the same one.
 * @param namesPooler the connection string says `pgbouncer=true`
 * @throws ConfigError
 */
export async function probeLocks(a: Looked, b: Looked, entropy: Entropy, namesPooler: boolean): Promise<void> {
  checkOneServer(a, b);
  await checkApart(a, b, namesPooler);
  const id = randomId(entropy);
  await inTransaction(b, namesPooler, async () => {
    await checkPids(a, b, namesPooler);
    await a.session.ask(`select pg_try_advisory_lock(${id})`);
    try {
      const [row] = await b.session.ask(`select pg_try_advisory_lock(${id})`);
      if (row?.[0] === 'f') return;
      await b.session.ask(`select pg_advisory_unlock(${id})`);
      throw stubs(a.look, a.session.server);
    } finally {
      await unlock(a, id, namesPooler);
    }
  });
}

/**
 * Whether a pooler keeps the sessions of two connections apart; the second one is the new one.
 * @throws ConfigError if it does not
 */
export async function probePooler(a: Looked, b: Looked, namesPooler: boolean): Promise<void> {
  await checkApart(a, b, namesPooler);
  await inTransaction(b, namesPooler, () => checkPids(a, b, namesPooler));
}

/**
 * Without a second connection: the lock must at least be there. What is behind a pooler cannot be told.
 * @throws ConfigError if locks are stubs; LockUnavailableError if it cannot be told
 */
export async function probeAlone(a: Looked, entropy: Entropy): Promise<void> {
  const { session, look } = a;
  if (isPooled(a)) {
    throw new LockUnavailableError(
      `Postgres at ${session.server} has no room for a second connection, with which the pooler in front of it is checked`,
      { server: session.server },
    );
  }
  const id = randomId(entropy);
  await session.ask(`select pg_try_advisory_lock(${id})`);
  const [row] = await session.ask(
    `select count(*) from pg_locks where locktype = 'advisory' and granted and objsubid = 1 and pid = pg_backend_pid()
       and (classid::bigint << 32 | objid::bigint) = ${id}`,
  );
  await session.ask(`select pg_advisory_unlock(${id})`);
  if (row?.[0] !== '1') throw stubs(look, session.server);
}

async function inTransaction(b: Looked, namesPooler: boolean, check: () => Promise<void>): Promise<void> {
  await b.session.ask('begin').catch((error: unknown) => {
    // In statement mode, a pooler refuses it, and may close the connection.
    if (isPooled(b) && /transaction/i.test(String((error as Error).message))) {
      throw pooler(b.session.server, namesPooler);
    }
    throw error;
  });
  try {
    await check();
  } finally {
    if (!b.session.isEnded) await b.session.ask('rollback');
  }
}

/** How often each is asked who it is, where a pooler is between. */
const ROUNDS = 4;

/**
 * Both are connected, so one session for two is shared. Each is asked twice in a row: a pooler that takes sessions in turn could
 * otherwise give both always the same ones, and one that others use gives the same one again by chance.
 */
async function checkApart(a: Looked, b: Looked, namesPooler: boolean): Promise<void> {
  if (a.look.pid === b.look.pid) {
    throw isPooled(b) ? pooler(b.session.server, namesPooler) : stubs(b.look, b.session.server);
  }
  const rounds = isPooled(a) || isPooled(b) ? ROUNDS : 1;
  for (let round = 0; round < rounds; round++) {
    for (const each of [a, a, b, b]) await checkPid(each, namesPooler);
  }
}

async function checkPid(one: Looked, namesPooler: boolean): Promise<void> {
  if ((await pidOf(one.session)) !== one.look.pid) throw pooler(one.session.server, namesPooler);
}

/** While a transaction keeps the session of one, another one would be given to the other. */
async function checkPids(a: Looked, b: Looked, namesPooler: boolean): Promise<void> {
  await checkPid(a, namesPooler);
  await checkPid(b, namesPooler);
}

async function pidOf(session: PgSession): Promise<number> {
  const [row] = await session.ask('select pg_backend_pid()');
  return Number(row?.[0]);
}

/** In the pool of a pooler, the lock may be on another session than the one that is asked. */
async function unlock(a: Looked, id: bigint, namesPooler: boolean): Promise<void> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const [row] = await a.session.ask(`select pg_advisory_unlock(${id})`);
    if (row?.[0] !== 't') continue;
    if (attempt === 1) return;
    break;
  }
  throw pooler(a.session.server, namesPooler);
}

function randomId(entropy: Entropy): bigint {
  const bytes = new Uint8Array(8);
  entropy.fill(bytes);
  return Buffer.from(bytes).readBigInt64BE();
}

/**
 * Where a name leads to several servers, each has locks of its own. It may also lead to a new one, whose time comes when the
 * session with the old one ends.
 * @throws LockUnavailableError
 */
export function checkOneServer(a: Looked, b: Looked): void {
  const { server } = a.session;
  const [one, other] = [a.look.systemIdentifier, b.look.systemIdentifier];
  if (one === undefined || other === undefined || one === other) return;
  throw new LockUnavailableError(
    `two connections to ${server} reached different servers, each with locks of its own; it must lead to one primary`,
    { server },
  );
}

const pooler = (server: string, namesPooler: boolean): ConfigError =>
  new ConfigError(
    `the pooler at ${server} gives each transaction another session, and locks of a session protect nothing there. Use the ` +
      'direct address of the server, or a pooler in session mode (Neon: the host without -pooler; Supabase: port 5432; ' +
      `PgBouncer: pool_mode=session)${namesPooler ? '; with Prisma, it is the one in directUrl, without pgbouncer=true' : ''}. ` +
      'Behind this pooler, lockInTransaction works',
    { server },
  );

function stubs({ fullVersion }: Look, server: string): ConfigError {
  const cockroach = /cockroach/i.test(fullVersion);
  const why = cockroach
    ? 'CockroachDB accepts advisory locks without doing anything'
    : /emscripten|emcc|pglite/i.test(fullVersion)
      ? 'PGlite has one session for all connections; use embedded: true, without a backend: the locks are then in this process'
      : 'two connections were granted the same advisory lock: it is no Postgres, or something between shares one session';
  return new ConfigError(`the server at ${server} does not keep locks: ${why}`, { server });
}
