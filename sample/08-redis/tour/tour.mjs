// `npm start -- 08 --once`: drives both instances and prints what happened.
import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { drive, refused, reportOnSecond } from '../../01-quick-start/tour/tour.mjs';
import { startInstances } from './instances.mjs';

const KEY = 'lock:sample-08:report';

/** Returns whether all was as it should be. */
export const tour = (redisUrl) =>
  drive(
    'Two instances of one application; their locks are in Redis.',
    (onLine, usualPorts) => startInstances(onLine, usualPorts, redisUrl),
    (instances, tools) => loss(instances, tools, redisUrl),
  );

async function loss({ urls, cutSecond }, { check, logged }, redisUrl) {
  const redis = new Redis(redisUrl);
  try {
    if (cutSecond) console.log('\n  The connections of the second instance are cut while it holds the lock "report"');
    const report = await reportOnSecond(urls, check, logged);
    cutSecond?.();
    await renewed(redis);
    if (cutSecond) {
      const busy = await fetch(`${urls[0]}/reports`, { method: 'POST' });
      check(busy.status === 423, `after:  the first instance gets ${busy.status}: the lease outlives a connection`);
    }
    console.log('\n  Somebody deletes the key of that lock');
    const deletedAt = performance.now();
    await redis.del(KEY);
    await refused(report, deletedAt, check, logged);
  } finally {
    redis.disconnect();
  }
}

/** The second instance has its connections again, and has renewed its lease: from then on its key is watched. */
async function renewed(redis) {
  let left = await redis.pttl(KEY);
  for (let tries = 0; tries < 500; tries++, await pause(10)) {
    const before = left;
    left = await redis.pttl(KEY);
    if (left > before) return pause(50);
  }
  throw new Error('the second instance has not renewed its lease');
}
