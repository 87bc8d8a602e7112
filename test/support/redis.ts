import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Redis {
  readonly host: string;
  readonly port: number;
  stop(): Promise<void>;
}

/** A redis-server of its own, with nothing on disk that lasts. As root on Debian it is installed where it is missing. */
export async function startRedis(): Promise<Redis> {
  const finder = '../../bench/support/redis.mjs';
  const { findRedis } = (await import(finder)) as { findRedis(): string | undefined };
  const file = findRedis();
  if (!file) throw new Error('there is no redis-server here; install it');
  const folder = await mkdtemp(join(tmpdir(), 'redis-'));
  const port = await freePort();
  const args = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder];
  const server = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<void>((resolve) => server.once('close', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    let said = '';
    server.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes('Ready to accept connections')) resolve();
    });
    void ended.then(() => reject(new Error(`redis-server has ended: ${said}`)));
  });
  return {
    host: '127.0.0.1',
    port,
    async stop() {
      server.kill();
      await ended;
      await rm(folder, { recursive: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
