import { RedisSentinel } from '../../support/redis/sentinel.js';
import { hold } from './hold.js';

hold('Sentinel', [], async () => {
  const pair = await RedisSentinel.start();
  return { sentinels: pair, stop: () => pair.stop() };
});
