import { RedisCluster } from '../../support/redis/cluster.js';
import { hold } from './hold.js';

hold('cluster', [], async () => {
  const cluster = await RedisCluster.start();
  return { cluster: cluster.addresses, stop: () => cluster.stop() };
});
