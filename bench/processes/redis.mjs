// A Redis server of its own: on a free port, in a temporary folder, without persistence.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { freePort } from '../../test/support/free-port.mjs';
import { answer } from '../support/child.mjs';

const HOST = '127.0.0.1';

let asking;

answer({
  async listen() {
    const port = await freePort();
    const folder = mkdtempSync(join(tmpdir(), 'bench-redis-'));
    const options = { port, bind: HOST, dir: folder, save: '', appendonly: 'no', daemonize: 'no' };
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, `${value}`]);
    const redis = spawn(process.argv[2], args, { stdio: 'ignore' });
    process.on('exit', () => {
      redis.kill();
      rmSync(folder, { recursive: true, force: true });
    });
    redis.on('exit', (code) => {
      throw new Error(`redis-server has exited with code ${code}`);
    });
    asking = new Redis({ host: HOST, port, retryStrategy: () => 20 });
    // ioredis retries until the server is up.
    asking.on('error', () => {});
    await asking.ping();
    return { host: HOST, port };
  },
  async cpu() {
    const info = await asking.info('cpu');
    const seconds = (name) => Number(new RegExp(`^${name}:(.*)$`, 'm').exec(info)[1]);
    return 1000 * (seconds('used_cpu_sys') + seconds('used_cpu_user'));
  },
  /** PEXPIRE, which each renewal of a lease is. */
  async renewals() {
    return Number(/^cmdstat_pexpire:calls=(\d+)/m.exec(await asking.info('commandstats'))?.[1] ?? 0);
  },
  /** Those of others. */
  async connections() {
    const own = `id=${await asking.client('ID')} `;
    return (await asking.client('LIST'))
      .trim()
      .split('\n')
      .filter((client) => !client.startsWith(own)).length;
  },
});
