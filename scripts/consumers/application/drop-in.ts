// A program written for dflockd-client that uses each of its exports.
import { connect } from 'node:net';
import {
  acquire,
  AcquireTimeoutError,
  AuthError,
  DistributedLock,
  DistributedSemaphore,
  enqueue,
  LockError,
  publish,
  release,
  renew,
  semAcquire,
  semEnqueue,
  semRelease,
  semRenew,
  semWaitForLock,
  SignalConnection,
  stableHashShard,
  stats,
  waitForLock,
} from 'nestjs-dflockd/client';
import type {
  DistributedLockOptions,
  DistributedSemaphoreOptions,
  ShardingStrategy,
  Signal,
  SignalConnectionOptions,
  Stats,
  StatsIdleLock,
  StatsIdleSemaphore,
  StatsLock,
  StatsSemaphore,
} from 'nestjs-dflockd/client';
import { DflockdServer } from 'nestjs-dflockd/daemon';

async function main() {
  const server = new DflockdServer({ port: 0 });
  const { host, port } = await server.listen();
  const strategy: ShardingStrategy = stableHashShard;
  const options: DistributedLockOptions = {
    key: 'k',
    servers: [[host, port]],
    shardingStrategy: strategy,
    acquireTimeoutS: 0,
  };
  const slots: DistributedSemaphoreOptions = { ...options, limit: 1 };
  const lock = new DistributedLock(options);
  const rival = new DistributedLock(options);
  if (!(await lock.acquire()) || (await rival.acquire())) throw new Error('two holders, or none');
  const all: Stats = await stats({ host, port });
  const held: StatsLock[] = all.locks;
  const others: [StatsSemaphore[], StatsIdleLock[], StatsIdleSemaphore[]] = [
    all.semaphores,
    all.idle_locks,
    all.idle_semaphores,
  ];
  if (held.length !== 1 || others.some((list) => list.length > 0)) throw new Error('wrong stats');
  await rival
    .withLock(() => 0)
    .catch((error: unknown) => {
      if (!(error instanceof AcquireTimeoutError && error instanceof LockError) || error instanceof AuthError)
        throw error;
    });
  await lock.release();
  await new DistributedSemaphore(slots).withLock(async () => undefined);

  const sock = connect(port, host);
  const { token, lease } = await acquire(sock, 'raw', 0, 9);
  if (lease !== 9 || (await renew(sock, 'raw', token, 8)) !== 8) throw new Error('wrong leases');
  await release(sock, 'raw', token);
  await enqueue(sock, 'raw');
  await waitForLock(sock, 'raw', 0);
  const slot = await semAcquire(sock, 'raw', 0, 2);
  await semRenew(sock, 'raw', slot.token);
  await semRelease(sock, 'raw', slot.token);
  await semEnqueue(sock, 'raw', 2);
  await semWaitForLock(sock, 'raw', 0);

  const where: SignalConnectionOptions = { host, port };
  const signals = await SignalConnection.connect(where);
  await signals.listen('a.>');
  const next: Promise<IteratorResult<Signal>> = signals[Symbol.asyncIterator]().next();
  if ((await publish(sock, 'a.b', 'hello')) !== 1) throw new Error('nobody listens');
  if ((await next).value.payload !== 'hello') throw new Error('another signal');
  signals.close();
  sock.destroy();
  await server.close();
  console.log('a program for dflockd-client, unchanged');
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
