// Samples that run as two instances.
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { needsRedis, startRedis } from './redis.mjs';

export const hasTwoInstances = (folder) => existsSync(join(folder, 'tour/tour.mjs'));

const load = (folder, name) => import(pathToFileURL(join(folder, 'tour', name)).href);

/** The Redis of the environment, or one for as long as the sample runs. */
async function redisFor(folder) {
  if (!needsRedis(basename(folder))) return { url: undefined, stop: () => undefined };
  const given = process.env.REDIS_URL;
  if (given) return { url: given, stop: () => undefined };
  const redis = await startRedis();
  return { url: `redis://127.0.0.1:${redis.port}`, stop: redis.stop };
}

/** Resolves to whether all was as it should be. */
export async function check(folder) {
  const { tour } = await load(folder, 'tour.mjs');
  const redis = await redisFor(folder);
  try {
    return await tour(redis.url);
  } finally {
    await redis.stop();
  }
}

/** Runs until it is interrupted. Resolves to whether it was. */
export async function start(folder) {
  const { startInstances } = await load(folder, 'instances.mjs');
  const redis = await redisFor(folder);
  const onLine = (line, instance) => console.log(`[${instance}] ${line}`);
  const instances = await startInstances(onLine, true, redis.url).catch(async (error) => {
    await redis.stop();
    throw error;
  });
  const stop = async () => {
    await instances.stop();
    await redis.stop();
  };
  const [first, second] = instances.urls;
  const withdrawals = (path) =>
    `seq 25 | xargs -P25 -I_ curl -s -o /dev/null -o /dev/null -X POST '${first}/accounts/${path}?amount=10' '${second}/accounts/${path}?amount=10'`;
  console.log(`
  Two instances share ${instances.where}. Try:

    # 50 withdrawals of 10 from 1000 over both, without the lock and with it
    ${withdrawals('anna/withdraw-unlocked')}; curl ${first}/accounts/anna
    ${withdrawals('ben/withdraw')}; curl ${second}/accounts/ben

    # a report takes 5 seconds; meanwhile the other instance answers 423
    curl -s -X POST ${first}/reports & sleep 0.2; curl -i -X POST ${second}/reports

    # each second is here once, with the instance that ran it
    tail -f ${join(instances.data, 'ticks.log')}

  Ctrl-C ends both.
  `);

  let stopped;
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => (stopped ??= stop()));
  await instances.ended;
  if (stopped === undefined) console.error('an instance has ended');
  const asked = stopped !== undefined;
  await (stopped ??= stop());
  return asked;
}
