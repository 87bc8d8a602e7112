import { RedisServer } from './redis/server.js';

export type Redis = Pick<RedisServer, 'host' | 'port' | 'stop'>;

/** A redis-server of its own, with nothing on disk that lasts. */
export const startRedis = (): Promise<Redis> => RedisServer.start();
