import { RedisServer } from '../../support/redis/server.js';
import { hold } from './hold.js';

hold('standalone', ['ioredis 6'], async () => {
  const server = await RedisServer.start();
  return { one: server, stop: () => server.stop() };
});
