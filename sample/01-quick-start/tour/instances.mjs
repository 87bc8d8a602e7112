// Starts the two instances of the sample as processes, and ends them.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cuttable } from './cuttable.mjs';
import { freePort, HOST, Processes } from './processes.mjs';

const main = fileURLToPath(new URL('../dist/main.js', import.meta.url));

/**
 * Both instances, ready. The second one reaches the daemon through a wire that can be cut.
 * @param {(line: string, instance: number) => void} onLine gets what they log
 * @param {boolean} usualPorts 3000, 3001 and 6388 where they are free
 */
export async function startInstances(onLine, usualPorts) {
  const data = await mkdtemp(join(tmpdir(), 'quick-start-'));
  const usual = (port) => freePort(usualPorts ? port : 0);
  const daemon = `${HOST}:${await usual(6388)}`;
  const wire = await cuttable(daemon);
  const processes = new Processes(main, onLine);

  async function stop() {
    await processes.stop();
    await wire.close();
    await rm(data, { recursive: true, force: true });
  }

  try {
    await processes.start(await usual(3000), { DATA: data, LOCK_LISTEN: daemon });
    await processes.start(await usual(3001), { DATA: data, LOCK_SERVER: wire.address });
  } catch (error) {
    await stop();
    throw error;
  }
  const { urls, ended } = processes;
  const where = `one lock daemon (${daemon}, inside the first)`;
  return { data, where, urls, ended, cutSecond: wire.cut, stop };
}
