/** A worker of a round. Arguments: its plan as JSON, the ports of its clients, the path of its log. */
import { LockClient } from '../../../lib/entries/client.js';
import { LogWriter } from '../log/writer.js';
import { nanos } from '../log/time.js';
import { Random } from '../plan/random.js';
import { sessionTimeoutMs, type WorkerPlan } from '../plan/scenario.js';
import { Callers, CONNECT_TIMEOUT_MS, REQUEST_TIMEOUT_MS } from './caller.js';
import { serve } from './serve.js';

const [planText, portsText, path] = process.argv.slice(2) as [string, string, string];
const plan = JSON.parse(planText) as WorkerPlan;
const ports = JSON.parse(portsText) as number[];
const log = new LogWriter(path);
process.on('unhandledRejection', (error) =>
  log.add('!', nanos(), `unhandled rejection: ${String((error as Error)?.stack ?? error).replaceAll('\n', ' ')}`),
);
const random = new Random(plan.seed);

const onDflockd = async (port: number): Promise<LockClient> =>
  new LockClient({
    servers: [`127.0.0.1:${port}`],
    startup: 'lazy',
    shutdownTimeoutS: 0.5,
    remote: {
      fencing: 'token',
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
      readTimeoutS: plan.readTimeoutS,
      commandLanes: plan.commandLanes,
      waitersPerKey: plan.waitersPerKey,
      maxWaitLanes: plan.maxWaitLanes,
      reconnect: { minDelayMs: 20, maxDelayMs: 200 },
    },
  });

async function onRedis(port: number): Promise<LockClient> {
  const { clientAt } = await import('../redis/holders/holder.js');
  const { redisBackend } = await import('../../../lib/entries/redis.js');
  const redis = clientAt({ port }, { lazyConnect: true, connectTimeout: CONNECT_TIMEOUT_MS });
  const backend = redisBackend(redis, {
    ...{ pokeMs: 300, livenessMs: 1500, requestTimeoutMs: REQUEST_TIMEOUT_MS },
    reconnect: { minDelayMs: 20, maxDelayMs: 200 },
  });
  return new LockClient<any>({ backend, startup: 'lazy', shutdownTimeoutS: 0.5 });
}

async function onPostgres(port: number): Promise<LockClient> {
  const { backendAt } = await import('../postgres/backend.js');
  const backend = backendAt(port, {
    ...{ sessionTimeoutMs: sessionTimeoutMs(plan), localTurns: plan.waitersPerKey === 1 ? 0 : 4 },
    ...{ connectTimeoutMs: CONNECT_TIMEOUT_MS, requestTimeoutMs: REQUEST_TIMEOUT_MS },
    reconnect: { minDelayMs: 20, maxDelayMs: 200 },
  });
  return new LockClient<any>({ backend, startup: 'lazy', shutdownTimeoutS: 0.5 });
}

const connect = { dflockd: onDflockd, redis: onRedis, postgres: onPostgres }[plan.backend ?? 'dflockd'];
const clients = await Promise.all(ports.map(connect));
const callers = clients.map((client, index) => new Callers(client, index, plan, log));
let running: Promise<unknown> | undefined;

async function settle(): Promise<void> {
  for (const crowd of callers) crowd.stop();
  await running;
}

serve({
  start: () => {
    running = Promise.all(
      callers.flatMap((crowd) => Array.from({ length: plan.callersPerClient }, () => crowd.run(random.fork()))),
    );
  },
  flush: () => log.flush(),
  /** The loop stands still for so long. */
  block: (ms: number) => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms),
  /** Lets everybody finish. */
  settle,
  /** The same, and closes the clients. */
  finish: async () => {
    await settle();
    await Promise.all(clients.map((client) => client.close()));
    log.add('z', nanos());
    log.flush();
  },
});
