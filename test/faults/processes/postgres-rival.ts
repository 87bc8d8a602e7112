/**
 * Wants the keys of others: tries `pg_try_advisory_lock` on all of them every few milliseconds, as a program that does
 * not use this package. Argument: the port of the server.
 */
import pg from 'pg';
import { lockId } from '../../../lib/entries/postgres.js';
import { nanos } from '../log/time.js';
import { addressAt } from '../postgres/backend.js';
import { holderAt } from '../postgres/holders.js';
import { serve } from './serve.js';

/** A key in the rival's hands. */
export interface Entry {
  readonly key: string;
  /** Nanoseconds: when it knew. */
  readonly at: number;
}

/** So long its session must live on for a lock to count. */
const LIVES_ON_NS = 100e6;
const TRY_EVERY_MS = 3;
const RECONNECT_MS = 5;
const TRY = `select array(select n from unnest($1::bigint[]) with ordinality as o(id, n) where pg_try_advisory_lock(id))::int[] as got`;

let port = Number(process.argv[2]);
let client: pg.Client | undefined;
const wanted = new Set<string>();
const entries: Entry[] = [];
/** What it got a moment ago: a server that shuts down ends its session with the others. */
const unconfirmed: Entry[] = [];
const taken = new Map<string, bigint>();

async function connect(): Promise<void> {
  const next = new pg.Client({ connectionString: addressAt(port), application_name: 'rival' });
  next.on('error', () => undefined);
  next.on('end', () => {
    if (client === next) client = undefined;
    for (const { key } of unconfirmed.splice(0)) wanted.add(key);
  });
  await next.connect();
  client = next;
}

async function tryAll(): Promise<void> {
  if (wanted.size === 0 && unconfirmed.length === 0) return;
  if (!client) return connect();
  const keys = [...wanted];
  const { rows } = await client.query<{ got: number[] }>(TRY, [keys.map((key) => `${lockId(key)}`)]);
  const at = nanos();
  while (unconfirmed.length > 0 && at - unconfirmed[0]!.at > LIVES_ON_NS) entries.push(unconfirmed.shift()!);
  for (const n of rows[0]!.got) {
    const key = keys[n - 1]!;
    if (wanted.delete(key)) unconfirmed.push({ key, at });
  }
}

async function run(): Promise<void> {
  for (;;) {
    const wait = await tryAll().then(
      () => TRY_EVERY_MS,
      () => RECONNECT_MS,
    );
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

await connect();
void run();

serve({
  want: (keys: string[]) => keys.forEach((key) => wanted.add(key)),
  entries: () => entries,
  /** Takes what nobody has yet, so that others wait for it. */
  take: async (keys: string[]): Promise<void> => {
    for (const key of keys) {
      taken.set(key, lockId(key));
      await client!.query('select pg_advisory_lock($1)', [`${lockId(key)}`]);
    }
  },
  leave: async (): Promise<void> => {
    for (const id of taken.values()) await client!.query('select pg_advisory_unlock($1)', [`${id}`]);
    taken.clear();
  },
  /** From now on at another server. */
  move: async (to: number): Promise<void> => {
    port = to;
    const old = client;
    client = undefined;
    await old?.end();
  },
  /** Leaves all keys to one who takes these with this package; answers with the fences. */
  fences: async (keys: string[]): Promise<string[]> => {
    wanted.clear();
    const old = client;
    client = undefined;
    await old?.end();
    const holder = await holderAt(port, 10_000);
    const held = await Promise.all(keys.map((key) => holder.hold(key)));
    const fences = held.map(({ fence }) => `${fence}`);
    await holder.close();
    return fences;
  },
});
