import { afterAll, beforeAll, describe, it } from '@jest/globals';
import { describeBackend } from '../../../lib/entries/testing/backend.js';
import { redisBackend } from '../../../lib/entries/redis.js';
import { ALL_OF_REDIS, describeRedis } from '../../support/redis/describe-redis.js';
import { CLIENTS, type RedisPlace } from './redis-clients.js';

type Kind = 'standalone' | 'Sentinel' | 'cluster';

/**
 * Holds the backend to the contract over all client libraries, on Redis of one kind.
 *
 * @param quick those that are held to it without REDIS=all
 */
export function hold(
  kind: Kind,
  quick: readonly string[],
  start: () => Promise<RedisPlace & { stop(): Promise<void> }>,
): void {
  const names = ALL_OF_REDIS ? Object.keys(CLIENTS) : quick;
  if (names.length === 0) return void it.skip(`redis, ${kind} (needs REDIS=all)`, () => undefined);
  describeRedis(kind, () => {
    let place: RedisPlace & { stop(): Promise<void> };
    beforeAll(async () => {
      place = await start();
    });
    afterAll(() => place.stop());

    for (const name of names) {
      // node-redis 4 knows no Sentinels.
      if (kind === 'Sentinel' && name === 'redis 4') continue;
      describeBackend({ describe, it }, `redis, ${name}, ${kind}`, async () => {
        const client = CLIENTS[name]!(place);
        // The Sentinel client of node-redis 5 keeps what it was told to itself until it has connected.
        if (kind !== 'Sentinel' || !name.startsWith('redis 5')) return { connect: redisBackend(client) };
        const { connect, close } = client as unknown as Record<'connect' | 'close', () => Promise<void>>;
        await connect.call(client);
        return { connect: redisBackend(client), close: () => close.call(client) };
      });
    }
  });
}
