// Runs a redis-server while a sample runs.
import { spawn } from 'node:child_process';
import { findRedis } from '../../bench/support/redis.mjs';
import { freePort } from '../../sample/01-quick-start/tour/instances.mjs';

/** @returns its port, and how to stop it */
export async function startRedis() {
  const file = findRedis();
  if (!file) throw new Error('redis-server is not installed');
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
    void ended.then(() => reject(new Error(`redis-server has exited: ${said}`)));
  });
  return { port, stop: () => (server.kill(), ended) };
}
