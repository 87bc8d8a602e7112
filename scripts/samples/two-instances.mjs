// Samples that run as two instances.
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { needsPostgres, startPostgres } from './postgres.mjs';
import { needsRedis, startRedis } from './redis.mjs';

export const hasTwoInstances = (folder) => existsSync(join(folder, 'tour/tour.mjs'));

const load = (folder, name) => import(pathToFileURL(join(folder, 'tour', name)).href);

/** The server of the environment, or one for as long as the sample runs. */
async function serverFor(folder) {
  const name = basename(folder);
  const given = needsRedis(name) ? process.env.REDIS_URL : process.env.DATABASE_URL;
  if (given || !(needsRedis(name) || needsPostgres(name))) return { url: given, stop: () => undefined };
  if (needsPostgres(name)) return startPostgres();
  const { port, stop } = await startRedis();
  return { url: `redis://127.0.0.1:${port}`, stop };
}

/** Resolves to whether all was as it should be. @param {{ wrong?: boolean }} [options] for the sample */
export async function check(folder, options) {
  const { tour } = await load(folder, 'tour.mjs');
  const server = await serverFor(folder);
  try {
    return await tour(server.url, options);
  } finally {
    await server.stop();
  }
}

/** Runs until it is interrupted. Resolves to whether it was. */
export async function start(folder) {
  const { startInstances, hints = withdrawals } = await load(folder, 'instances.mjs');
  const server = await serverFor(folder);
  const onLine = (line, instance) => console.log(`[${instance}] ${line}`);
  const instances = await startInstances(onLine, true, server.url).catch(async (error) => {
    await server.stop();
    throw error;
  });
  const stop = async () => {
    await instances.stop();
    await server.stop();
  };
  console.log(`
  Two instances share ${instances.where}. Try:
${hints(instances)}

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

/** What to try with the accounts, reports and ticks that most of these samples have. */
function withdrawals({ urls: [first, second], data }) {
  const withdraw = (path) =>
    `seq 25 | xargs -P25 -I_ curl -s -o /dev/null -o /dev/null -X POST '${first}/accounts/${path}?amount=10' '${second}/accounts/${path}?amount=10'`;
  return `
    # 50 withdrawals of 10 from 1000 over both, without the lock and with it
    ${withdraw('anna/withdraw-unlocked')}; curl ${first}/accounts/anna
    ${withdraw('ben/withdraw')}; curl ${second}/accounts/ben

    # a report takes 5 seconds; meanwhile the other instance answers 423
    curl -s -X POST ${first}/reports & sleep 0.2; curl -i -X POST ${second}/reports

    # each second is here once, with the instance that ran it
    tail -f ${join(data, 'ticks.log')}`;
}
