// A redis-server for as long as a sample runs.
import { spawn } from 'node:child_process';
import { freePort } from '../../test/support/free-port.mjs';
import { findRedis, NO_REDIS } from '../redis-server.mjs';

/** Whether a sample, named by its folder, runs on Redis. */
export const needsRedis = (folder) => /bullmq|redis/.test(folder);

/** @returns its port, and how to stop it */
export async function startRedis() {
  const file = findRedis();
  if (!file) throw new Error(NO_REDIS);
  const port = await freePort();
  const options = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  const server = spawn(file, options, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => server.once('close', resolve));
  await new Promise((resolve, reject) => {
    let said = '';
    server.stdout.on('data', (chunk) => {
      said += chunk;
      if (said.includes('Ready to accept connections')) resolve();
    });
    void ended.then(() => reject(new Error(`redis-server has ended: ${said}`)));
  });
  return { port, stop: () => (server.kill(), ended) };
}
