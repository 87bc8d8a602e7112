// Starts the two instances of the sample as processes, and ends them.
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { cuttable } from './cuttable.mjs';

const main = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const HOST = '127.0.0.1';

/** The preferred port if it is free, else any that is. */
export function freePort(preferred = 0) {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error) => (preferred ? freePort().then(resolve, reject) : reject(error)));
    server.listen(preferred, HOST, () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

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
  const running = [];

  async function start(env) {
    const instance = running.length + 1;
    const port = await usual(2999 + instance);
    const child = spawn(process.execPath, [main], {
      env: { ...process.env, ...env, PORT: String(port), DATA: data, INSTANCE: String(instance), NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const exited = new Promise((resolve) => child.once('exit', resolve));
    running.push({ child, exited, url: `http://${HOST}:${port}` });
    await new Promise((resolve, reject) => {
      for (const stream of [child.stdout, child.stderr]) {
        createInterface({ input: stream }).on('line', (line) => {
          onLine(line, instance);
          if (line.includes('Nest application successfully started')) resolve();
        });
      }
      void exited.then((code) => reject(new Error(`instance ${instance} ended with code ${code}`)));
    });
  }

  async function stop() {
    for (const { child } of running) child.kill('SIGTERM');
    await Promise.all(running.map(({ exited }) => exited));
    await wire.close();
    await rm(data, { recursive: true, force: true });
  }

  try {
    await start({ LOCK_LISTEN: daemon });
    await start({ LOCK_SERVER: wire.address });
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    data,
    daemon,
    urls: running.map(({ url }) => url),
    /** Resolves when one of them ends. */
    ended: Promise.race(running.map(({ exited }) => exited)),
    cutSecond: wire.cut,
    stop,
  };
}
