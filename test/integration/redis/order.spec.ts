import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { CompiledLib } from '../../support/compiled-lib.js';
import { ALL_OF_REDIS, describeRedis } from '../../support/redis/describe-redis.js';
import { inTime, until } from '../../support/until.js';
import { RedisWorld } from './support/world.js';

const PROCESSES = 4;
const WAITERS = 5;
const ALL = PROCESSES * WAITERS;

/** The number of a waiter, and its fence. */
type Granted = readonly [number: number, fence: string];

let world: RedisWorld;

describeRedis('waiters of several processes', () => {
  beforeAll(async () => {
    world = await RedisWorld.open();
  });

  afterAll(() => world?.close());

  /** Has waiters come one after the other, in turn from each process, and lets them in. */
  async function inOrder(key: string, wait: (process: number, number: number) => Promise<Granted>): Promise<void> {
    const client = await world.client();
    const held = await client.acquire(key);
    const waiting: Promise<Granted>[] = [];
    for (let n = 0; n < ALL; n++) {
      waiting.push(wait(n % PROCESSES, n));
      // Two at once would have no order.
      const places = (): Promise<unknown> => world.server.command('ZCARD', `{lock:${key}}:q`);
      await until(async () => (await places()) === n + 1, `the place of waiter ${n}`);
    }
    await held.release();
    const granted = await inTime(Promise.all(waiting), 'all of them', 20_000);
    const byFence = [...granted].sort(([, a], [, b]) => (BigInt(a) < BigInt(b) ? -1 : 1));
    expect(byFence.map(([number]) => number)).toEqual(Array.from({ length: ALL }, (_, n) => n));
    const left = (): Promise<unknown> => world.server.command('EXISTS', `lock:${key}`, `{lock:${key}}:q`);
    await until(async () => (await left()) === 0, 'the end');
  }

  it('are granted in the order in which they came', async () => {
    const clients = await Promise.all(Array.from({ length: PROCESSES }, () => world.client()));
    await inOrder('clients', (process, n) =>
      clients[process]!.withLock('clients', { acquireTimeoutS: 20 }, async ({ fence }) => [n, `${fence}`] as const),
    );
  });

  (ALL_OF_REDIS ? it : it.skip)(
    'are granted in that order in processes of their own',
    async () => {
      const lib = await CompiledLib.make();
      world.later(() => lib.remove());
      const program = `
      const { redisBackend } = await ROOM('backends/redis/redis-backend.js');
      const { Redis } = await import('ioredis');
      const client = new LockClient({ backend: redisBackend(new Redis({ port: ${world.server.port}, lazyConnect: true })) });
      await client.start();
      process.stdin.on('data', (chunk) => {
        for (const line of chunk.toString().trim().split('\\n')) {
          void client.withLock('processes', { acquireTimeoutS: 30 }, async ({ fence }) => {
            console.log(JSON.stringify([Number(line), String(fence)]));
          });
        }
      });
      console.log('"ready"');
    `;
      const processes = Array.from({ length: PROCESSES }, () => lib.start(program));
      for (const child of processes) expect(await child.line()).toBe('"ready"');
      await inOrder('processes', async (process, n) => {
        processes[process]!.say(`${n}`);
        // Its process has others, which may say something first.
        return JSON.parse(await processes[process]!.line(30_000)) as Granted;
      });
    },
    60_000,
  );
});
