import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { COMPILERS } from './compile.js';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** The TypeScript examples of a document. */
const examplesOf = (path: string): string[] =>
  [...readFileSync(join(root, path), 'utf8').matchAll(/```ts\n(.*?)```/gs)].map(([, code]) => code!);

const DOCUMENTS = ['docs/compatibility.md', 'docs/decorators.md', 'docs/errors.md', 'docs/signals.md'];
const examples = DOCUMENTS.flatMap((path) => examplesOf(path).map((code, i) => ({ name: `${path}, ${i + 1}`, code })));

/** What programs written for dflockd-client do, with the types they see. */
const PROGRAMS = {
  'socket-level functions': `
    import * as net from 'node:net';
    import { acquire, enqueue, publish, release, renew, waitForLock } from 'nestjs-dflockd/client';
    import { semAcquire, semEnqueue, semRelease, semRenew, semWaitForLock } from 'nestjs-dflockd/client';
    export async function run(sock: net.Socket): Promise<void> {
      const got: { token: string; lease: number } = await acquire(sock, 'k', 10);
      const lease: number = await renew(sock, 'k', got.token, 60);
      const nothing: void = await release(sock, 'k', got.token);
      const place = await enqueue(sock, 'k', lease);
      const status: 'acquired' | 'queued' = place.status;
      const [token, seconds]: [string | null, number | null] = [place.token, place.lease];
      const waited: { token: string; lease: number } = await waitForLock(sock, 'k', 10);
      const slot = await semAcquire(sock, 'k', 10, 3, 30);
      await semRenew(sock, 'k', slot.token);
      await semRelease(sock, 'k', slot.token);
      const second: typeof place = await semEnqueue(sock, 'k', 3, 30);
      await semWaitForLock(sock, 'k', 5);
      const copies: number = await publish(sock, 'a.b', 'payload');
      void [nothing, status, token, seconds, waited, second, copies];
    }`,
  classes: `
    import type { ConnectionOptions } from 'node:tls';
    import { DistributedLock, DistributedSemaphore, stableHashShard, type ShardingStrategy } from 'nestjs-dflockd/client';
    import type { DistributedLockOptions, DistributedSemaphoreOptions } from 'nestjs-dflockd/client';
    const strategy: ShardingStrategy = (key, numServers) => stableHashShard(key, numServers);
    let lost = 0;
    const tls: ConnectionOptions = {};
    const options: DistributedLockOptions = {
      key: 'k', acquireTimeoutS: 1, leaseTtlS: 2, servers: [['a', 1], ['b', 2]], host: 'h', port: 3,
      shardingStrategy: strategy, renewRatio: 0.4, tls, auth: 'x', onLockLost: (key: string, token: string) => (lost += key.length + token.length),
      connectTimeoutMs: 5, socketTimeoutMs: 6,
    };
    const more: DistributedSemaphoreOptions = { ...options, limit: 3, onLockLost: async () => undefined };
    export async function run(): Promise<string> {
      const lock = new DistributedLock(options);
      const slot = new DistributedSemaphore(more);
      const got: boolean = await lock.acquire();
      const forced: boolean = await slot.acquire({ force: true });
      const how: 'acquired' | 'queued' = await lock.enqueue({ force: true });
      const waited: boolean = (await lock.wait()) || (await lock.wait(3));
      const [token, lease]: [string | null, number] = [lock.token, lock.lease];
      const limit: number = slot.limit;
      const servers: ReadonlyArray<readonly [string, number]> = lock.servers;
      await lock.release();
      lock.close();
      const value: number = await lock.withLock(async () => 5);
      void [got, forced, how, waited, token, lease, limit, servers, value];
      return slot.withLock(() => 'sync');
    }`,
  'signals, stats, errors': `
    import { AcquireTimeoutError, AuthError, LockError, SignalConnection, stats } from 'nestjs-dflockd/client';
    import type { Signal, SignalConnectionOptions, Stats, StatsIdleLock, StatsIdleSemaphore, StatsLock, StatsSemaphore } from 'nestjs-dflockd/client';
    import { connect } from 'node:net';
    export async function run(): Promise<void> {
      const options: SignalConnectionOptions = { host: 'h', port: 1, tls: {}, auth: 'a', connectTimeoutMs: 1, heartbeatIntervalMs: 0 };
      const connection: SignalConnection = await SignalConnection.connect(options);
      new SignalConnection(connect(1), 5000).close();
      const listener = (signal: Signal): void => void [signal.channel, signal.payload];
      connection.onSignal(listener);
      connection.offSignal(listener);
      await connection.listen('a.>', 'group');
      await connection.unlisten('a.>');
      const copies: number = await connection.emit('a', 'b');
      for await (const { channel, payload } of connection) console.log(channel.length, payload.length, copies);
      const closed: boolean = connection.isClosed;
      const all: Stats = await stats({ host: 'h', port: 1, tls: {}, auth: 'a', connectTimeoutMs: 1 });
      const locks: StatsLock[] = all.locks;
      const semaphores: StatsSemaphore[] = all.semaphores;
      const idle: [StatsIdleLock[], StatsIdleSemaphore[]] = [all.idle_locks, all.idle_semaphores];
      const errors: LockError[] = [new LockError('text'), new AcquireTimeoutError('key'), new AuthError()];
      void [closed, locks, semaphores, idle, errors, all.connections, await stats()];
    }`,
};

describe('TypeScript', () => {
  const names = [...examples.map(({ name }) => name), ...Object.keys(PROGRAMS)];
  let errors: string[][];

  it('has examples to compile', async () => {
    for (const path of DOCUMENTS) expect(examplesOf(path).length).toBeGreaterThanOrEqual(2);
    errors = await COMPILERS['7.0']!([
      ...examples.map(({ code }) => code),
      ...Object.values(PROGRAMS),
      `import { DistributedSemaphore } from 'nestjs-dflockd/client'; new DistributedSemaphore({ key: 'k' });`,
    ]);
    // Proof that mistakes are found.
    expect(errors.at(-1)!.join()).toMatch(/limit/);
  }, 60_000);

  it.each(names)('compiles %s', (name) => expect(errors[names.indexOf(name)]).toEqual([]));
});
