import { readdir } from 'node:fs/promises';
import { afterEach, expect, it } from '@jest/globals';
import { isFree } from '../free-port.mjs';
import { RedisCluster } from './cluster.js';
import { ALL_OF_REDIS, describeRedis } from './describe-redis.js';
import { RedisSentinel } from './sentinel.js';
import { RedisServer, type RedisOptions } from './server.js';

const long = ALL_OF_REDIS ? it : it.skip;
const servers: { stop(): Promise<void> }[] = [];

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()));
});

async function start(options?: RedisOptions): Promise<RedisServer> {
  const server = await RedisServer.start(options);
  servers.push(server);
  return server;
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

describeRedis('a redis-server of a test', () => {
  it('answers, and is gone with its port and its folder when it is stopped', async () => {
    const server = await start();
    await expect(server.command('SET', 'a', 'ä\r\nb')).resolves.toBe('OK');
    await expect(server.command('GET', 'a')).resolves.toBe('ä\r\nb');
    await expect(server.command('GET', 'b')).resolves.toBeNull();
    await expect(server.command('EVAL', 'return {1, {false, "x"}, {}}', 0)).resolves.toEqual([1, [null, 'x'], []]);
    await expect(server.command('GET')).rejects.toMatchObject({ code: 'ERR' });
    const [, folder] = (await server.command('CONFIG', 'GET', 'dir')) as string[];
    const { pid, port } = server;
    await server.stop();
    expect(isAlive(pid)).toBe(false);
    await expect(isFree(port)).resolves.toBe(true);
    await expect(readdir(folder!)).rejects.toThrow('ENOENT');
  });

  it('has the password, users, memory and lines that it was given', async () => {
    const server = await start({
      password: 'secret',
      users: { app: 'on >app-secret ~lock:* +get' },
      maxMemory: '7mb',
      maxMemoryPolicy: 'allkeys-lru',
      config: ['timeout 77'],
    });
    const config = await server.command('CONFIG', 'GET', 'maxmemory', 'maxmemory-policy', 'timeout');
    expect(config).toEqual(expect.arrayContaining([`${7 * 1024 * 1024}`, 'allkeys-lru', '77']));
    const other = await server.connect();
    await expect(other.command('AUTH', 'app', 'app-secret')).resolves.toBe('OK');
    await expect(other.command('GET', 'lock:a')).resolves.toBeNull();
    await expect(other.command('SET', 'lock:a', 'b')).rejects.toMatchObject({ code: 'NOPERM' });
    await expect(other.command('AUTH', 'wrong')).rejects.toMatchObject({ code: 'WRONGPASS' });
    other.close();
  });

  it('is silent while it is paused', async () => {
    const server = await start();
    await server.command('PING');
    server.pause();
    let answered = false;
    const reply = server.command('PING').then(() => (answered = true));
    // The kernel accepts for it.
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(answered).toBe(false);
    server.resume();
    await expect(reply).resolves.toBe(true);
  });

  it('comes back on its port after it was killed: empty, or with its data if it writes them', async () => {
    for (const appendOnly of [false, true]) {
      const server = await start({ appendOnly });
      await server.command('SET', 'a', 'b');
      const { pid, port } = server;
      await server.kill();
      expect([isAlive(pid), server.isRunning]).toEqual([false, false]);
      await expect(server.command('PING')).rejects.toThrow();
      await server.restart();
      expect([server.port, server.pid === pid]).toEqual([port, false]);
      await expect(server.command('GET', 'a')).resolves.toBe(appendOnly ? 'b' : null);
    }
  });

  it('that does not start says why', async () => {
    await expect(start({ config: ['no-such-option 1'] })).rejects.toThrow('no-such-option');
  });
});

describeRedis('a master, a replica and sentinels of a test', () => {
  long('fail over to a replica that has what was written', async () => {
    const pair = await RedisSentinel.start({ password: 'secret' });
    servers.push(pair);
    const master = await pair.master();
    await master.command('SET', 'a', 'b');
    await master.command('WAIT', 1, 1000);
    await master.kill();
    const next = await pair.failedOver(master);
    await expect(next.command('GET', 'a')).resolves.toBe('b');
    await expect(next.command('SET', 'a', 'c')).resolves.toBe('OK');
  });
});

describeRedis('a cluster of a test', () => {
  long('has all slots, and sends a client to the node of a key', async () => {
    const cluster = await RedisCluster.start();
    servers.push(cluster);
    const { masters } = cluster;
    const owners = await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map((key) => cluster.masterOf(key)));
    expect(new Set(owners).size).toBe(3);
    const owner = await cluster.masterOf('a');
    await expect(owner.command('SET', 'a', 'b')).resolves.toBe('OK');
    const stranger = masters.find((node) => node !== owner)!;
    await expect(stranger.command('GET', 'a')).rejects.toMatchObject({ code: 'MOVED' });
  });
});
