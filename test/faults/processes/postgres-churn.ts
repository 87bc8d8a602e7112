/**
 * Takes and releases locks in Postgres as fast as it can, or gives up waiting for them as they become free. Arguments: the port of
 * the server, the session time.
 */
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { LockClient, type LockHandle } from '../../../lib/entries/client.js';
import { lockId } from '../../../lib/entries/postgres.js';
import { addressAt, backendAt } from '../postgres/backend.js';
import { serve } from './serve.js';

const [port, sessionTimeoutMs] = process.argv.slice(2).map(Number) as [number, number];
const client = await LockClient.connect<any>({ backend: backendAt(port, { sessionTimeoutMs }) });
/** How far a deadline and a release are apart at most. */
const MEET_MS = 4;
const WAIT_MS = 20;

/** Cancelled statements, missed deadlines: what is asked here is what is left behind. */
const held = (asked: Promise<LockHandle>): Promise<LockHandle | undefined> => asked.catch(() => undefined);

/** So many callers with keys of their own, for so long. Answers with the number of locks that they had. */
async function churn(callers: number, ms: number): Promise<number> {
  const end = performance.now() + ms;
  let count = 0;
  const call = async (key: string): Promise<void> => {
    while (performance.now() < end) {
      const lock = await held(client.acquire(key));
      if (lock) count++;
      await lock?.release();
    }
  };
  await Promise.all(Array.from({ length: callers }, (_, i) => call(`churn-${i}`)));
  return count;
}

/** Gives up waiting for keys as somebody else releases them. Answers with how many were got, and how many were not. */
async function race(keys: number, rounds: number): Promise<[number, number]> {
  let got = 0;
  const run = async (key: string): Promise<void> => {
    const other = new pg.Client({ connectionString: addressAt(port) });
    await other.connect();
    for (let i = 0; i < rounds; i++) {
      await other.query('select pg_advisory_lock($1)', [`${lockId(key)}`]);
      const asked = held(client.acquire(key, { acquireTimeoutS: WAIT_MS / 1000 }));
      await pause(WAIT_MS + MEET_MS * (Math.random() - 0.5));
      await other.query('select pg_advisory_unlock($1)', [`${lockId(key)}`]);
      const lock = await asked;
      if (lock) got++;
      await lock?.release();
    }
    await other.end();
  };
  await Promise.all(Array.from({ length: keys }, (_, i) => run(`race-${i}`)));
  return [got, keys * rounds - got];
}

serve({ churn, race });
