// Starts the two instances of the sample as processes, and ends them.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cuttable } from '../../01-quick-start/tour/cuttable.mjs';
import { freePort, Processes } from '../../01-quick-start/tour/processes.mjs';

const main = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const REDIS_PORT = 6379;

/**
 * Both instances, ready. The second one reaches Redis through a wire that can be cut, where Redis does not use TLS.
 * @param {(line: string, instance: number) => void} onLine gets what they log
 * @param {boolean} usualPorts 3000 and 3001 where they are free
 * @param {string} redisUrl
 */
export async function startInstances(onLine, usualPorts, redisUrl) {
  const data = await mkdtemp(join(tmpdir(), 'redis-sample-'));
  const usual = (port) => freePort(usualPorts ? port : 0);
  const url = new URL(redisUrl);
  const wire = url.protocol === 'redis:' ? await cuttable(`${url.hostname}:${url.port || REDIS_PORT}`) : undefined;
  const throughWire = new URL(redisUrl);
  if (wire) throughWire.host = wire.address;
  const processes = new Processes(main, onLine);

  async function stop() {
    await processes.stop();
    await wire?.close();
    await rm(data, { recursive: true, force: true });
  }

  try {
    await processes.start(await usual(3000), { DATA: data, REDIS_URL: redisUrl });
    await processes.start(await usual(3001), { DATA: data, REDIS_URL: throughWire.href });
  } catch (error) {
    await stop();
    throw error;
  }
  const { urls, ended } = processes;
  // Without its user and password.
  return { data, where: `Redis (${url.host})`, urls, ended, cutSecond: wire?.cut, stop };
}
