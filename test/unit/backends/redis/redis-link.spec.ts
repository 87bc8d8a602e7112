import { describe, expect, it } from '@jest/globals';
import { RedisBackend } from '../../../../lib/backends/redis/redis.js';
import { resolveRedis } from '../../../../lib/backends/redis/options.js';
import { AuthError, ConfigError, LockUnavailableError, ShuttingDownError } from '../../../../lib/common/errors.js';
import { FakeEntropy } from '../../../support/fake-clock.js';
import { Caller, DIGITS, lost, request, ScriptedRedis, turn } from './scripted-redis.js';

class Unreachable extends ScriptedRedis {
  error: Error | undefined = lost();

  override async open(listener: Parameters<ScriptedRedis['open']>[0]): Promise<void> {
    await super.open(listener);
    if (this.error) throw this.error;
  }
}

describe('the start of the Redis backend', () => {
  it('connects nothing before', () => {
    const redis = new ScriptedRedis();
    redis.newBackend();
    expect(redis.listener).toBeUndefined();
  });

  it('is what a try misses before it', async () => {
    const redis = new ScriptedRedis();
    const error: unknown = await redis
      .newBackend()
      .tryAcquire(request(redis.clock))
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'UNAVAILABLE', message: 'the Redis backend has not been started' });
  });

  it('probes once, although the driver is up before it says that it is open', async () => {
    const redis = new ScriptedRedis();
    let probes = 0;
    const command = redis.command.bind(redis);
    redis.command = (...args) => (probes++, command(...args));
    redis.open = async (listener) => {
      redis.listener = listener;
      listener.up();
    };
    await redis.backend();
    expect(probes).toBe(1);
    expect(redis.events.map(({ state }) => state)).toEqual(['up']);
  });

  it('says nothing of a probe that ends after the close', async () => {
    const redis = new ScriptedRedis();
    let answer!: () => void;
    redis.subscribe = () => new Promise((resolve) => (answer = resolve));
    const backend = redis.newBackend();
    const starting = backend.start().catch(() => undefined);
    await turn();
    const closing = backend.close(0);
    redis.clock.advance(0);
    await closing;
    answer();
    await starting;
    expect(redis.events).toEqual([]);
  });

  it('opens no second connection where it has failed, and may still succeed', async () => {
    const redis = new Unreachable();
    let opened = 0;
    const open = redis.open.bind(redis);
    redis.open = (listener) => (opened++, open(listener));
    const backend = redis.newBackend();
    await expect(backend.start()).rejects.toThrow(LockUnavailableError);
    await expect(backend.start()).rejects.toThrow(LockUnavailableError);
    expect(opened).toBe(1);
  });

  it('says what it can do, and that the link is up', async () => {
    const redis = new ScriptedRedis();
    const backend = redis.newBackend();
    const [first, second] = [backend.start(), backend.start()];
    expect(await first).toEqual(await second);
    expect(await backend.start()).toMatchObject({
      ownership: 'lease',
      order: 'strict',
      fence: 'per-key',
      tickets: true,
    });
    expect(redis.events).toEqual([{ server: 'here:6379', state: 'up' }]);
    expect(redis.warnings).toEqual([]);
  });

  it('warns of a server that evicts locks', async () => {
    const redis = new ScriptedRedis();
    redis.info = redis.info.replace('noeviction', 'allkeys-lru');
    await redis.backend();
    expect(redis.warnings).toEqual([expect.stringMatching(/here:6379.*allkeys-lru.*noeviction/)]);
  });

  it.each([
    ['version', '7.0.15', '6.0.9', /6\.0\.9.*6\.2/],
    ['role', 'master', 'slave', /replica.*master/],
  ])('refuses a server of the wrong %s', async (_what, right, wrong, message) => {
    const redis = new ScriptedRedis();
    redis.info = redis.info.replace(right, wrong);
    const error: unknown = await redis.backend().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConfigError);
    expect(String(error)).toMatch(message);
    await turn();
    expect(redis.isClosed).toBe(true);
  });

  it('counts on receivers where they are counted', async () => {
    const client = async (redis: ScriptedRedis): Promise<string> => {
      const backend = await redis.backend();
      Caller.wait(backend, redis.clock);
      const call = await redis.call();
      await call.fail();
      await redis.clock.advanceAsync(150);
      return (await redis.call()).ops[0]!.x.slice(0, 10);
    };
    expect(await client(new ScriptedRedis())).toMatch(/^x/);
    const proxied = new ScriptedRedis();
    proxied.receivers = 0;
    expect(await client(proxied)).toMatch(/^u/);
    expect(proxied.unsubscribed).toEqual([expect.stringMatching(/^dfl:x/)]);
    expect(await client(new ScriptedRedis({ isCluster: true }))).toMatch(/^u/);
    expect(await client(new ScriptedRedis({ isCluster: true, isSharded: true }))).toMatch(/^s/);
  });

  it('fails without a server, and goes on by itself', async () => {
    const redis = new Unreachable();
    const backend = redis.newBackend();
    await expect(backend.start()).rejects.toThrow(LockUnavailableError);
    await expect(backend.start()).rejects.toThrow(LockUnavailableError);
    const caller = Caller.wait(backend, redis.clock);
    await redis.clock.advanceAsync(5000);
    expect(await redis.sent()).toEqual([]);
    redis.listener.up();
    await (await redis.call()).answer(DIGITS);
    expect(caller.grant).toBeDefined();
    expect(await backend.start()).toBe(backend.capabilities);
    expect(redis.events.map(({ state }) => state)).toEqual(['up']);
  });

  it('probes again where the server was not ready', async () => {
    const redis = new ScriptedRedis();
    const backend = redis.newBackend();
    const command = redis.command.bind(redis);
    redis.command = async () => {
      throw lost();
    };
    await expect(backend.start()).rejects.toThrow(LockUnavailableError);
    redis.command = command;
    await redis.clock.advanceAsync(499);
    await turn();
    await expect(backend.start()).rejects.toThrow(LockUnavailableError);
    await redis.clock.advanceAsync(1);
    await turn();
    expect(await backend.start()).toBe(backend.capabilities);
  });

  it('takes no longer than the request timeout once it is connected, however many requests that needs', async () => {
    const redis = new ScriptedRedis();
    const backend = redis.newBackend();
    let drop!: (error: Error) => void;
    redis.subscribe = () => new Promise((_, reject) => (drop = reject));
    redis.kick = () => drop(lost());
    const starting = expect(backend.start()).rejects.toThrow(LockUnavailableError);
    await turn();
    redis.clock.advance(5_000);
    await starting;
    expect(redis.events).toEqual([]);
    redis.subscribe = async () => undefined;
    redis.listener.up();
    expect(await backend.start()).toBe(backend.capabilities);
  });

  it('ends with an error that is final, and refuses those who wait', async () => {
    const redis = new Unreachable();
    redis.error = new AuthError();
    const backend = redis.newBackend();
    const starting = backend.start();
    const caller = Caller.wait(backend, redis.clock);
    await expect(starting).rejects.toThrow(AuthError);
    expect(caller.error).toBeInstanceOf(AuthError);
    expect(() => Caller.wait(backend, redis.clock)).toThrow(AuthError);
    await expect(backend.tryAcquire(request(redis.clock))).rejects.toThrow(AuthError);
    expect(redis.clock.pendingTimers).toBe(0);
  });

  it('can be tried again after such an error, with new connections', async () => {
    const made: Unreachable[] = [];
    const dial = (): Unreachable => {
      const redis = new Unreachable();
      redis.error = made.length === 0 ? new AuthError() : undefined;
      made.push(redis);
      return redis;
    };
    const { clock } = new ScriptedRedis();
    const host = { clock, entropy: new FakeEntropy(), log: () => undefined };
    const backend = new RedisBackend(resolveRedis(), dial, host);
    await expect(backend.start()).rejects.toThrow(AuthError);
    await backend.start();
    expect(made.map(({ isClosed }) => isClosed)).toEqual([true, false]);
    const taken = backend.tryAcquire(request(clock));
    await (await made[1]!.call()).answer(DIGITS);
    expect(await taken).not.toBeNull();
  });

  it('tells of a connection that is lost and found', async () => {
    const redis = new ScriptedRedis();
    const backend = await redis.backend();
    const error = lost();
    redis.listener.down(error);
    redis.listener.down(lost());
    redis.listener.up();
    expect(redis.events.map(({ state }) => state)).toEqual(['up', 'down', 'up']);
    expect(redis.events[1]!.error).toBe(error);
    await backend.close(100);
    redis.listener.down(error);
    redis.listener.up();
    redis.publish(`g${DIGITS}aaaaaaaaaa000001lock:a`);
    expect(redis.events).toHaveLength(3);
    expect(await redis.sent()).toEqual([]);
  });

  it('can be closed before it, and while it lasts', async () => {
    const early = new ScriptedRedis();
    const backend = early.newBackend();
    await backend.close(100);
    expect(early.isClosed).toBe(true);
    const redis = new Unreachable();
    const other = redis.newBackend();
    await expect(other.start()).rejects.toThrow(LockUnavailableError);
    const caller = Caller.wait(other, redis.clock);
    await other.close(100);
    expect(caller.error).toBeInstanceOf(ShuttingDownError);
    redis.listener.up();
    await redis.clock.advanceAsync(10_000);
    expect(redis.events).toEqual([]);
    expect(redis.clock.pendingTimers).toBe(0);
  });

  it('asks for the watch, which may be refused', async () => {
    const redis = new ScriptedRedis();
    redis.existing = () => {
      throw new ConfigError('no CLIENT TRACKING here');
    };
    await expect(redis.backend({ watch: true })).rejects.toThrow('no CLIENT TRACKING here');
  });
});
