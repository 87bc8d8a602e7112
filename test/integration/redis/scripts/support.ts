import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect } from '@jest/globals';
import { Redis } from 'ioredis';
import {
  lockKeys,
  semaphoreKeys,
  type LockKeys,
  type SemaphoreKeys,
} from '../../../../lib/backends/redis/scripts/companion-keys.js';
import { lockScript } from '../../../../lib/backends/redis/scripts/lock-script.js';
import { channelOf, parseMessage, type Message } from '../../../../lib/backends/redis/scripts/messages.js';
import { renewScript } from '../../../../lib/backends/redis/scripts/renew-script.js';
import { singleAcquireScript, singleReleaseScript } from '../../../../lib/backends/redis/scripts/single-scripts.js';
import type { Script } from '../../../../lib/backends/redis/scripts/script.js';
import { semaphoreScript } from '../../../../lib/backends/redis/scripts/semaphore-script.js';
import { memberOf } from '../../../../lib/backends/redis/scripts/token.js';
import type { Reply } from '../../../support/redis/connection.js';
import { RedisServer } from '../../../support/redis/server.js';
import { until } from '../../../support/until.js';

export type Word = string | number;

/** One op of the lock script: its letter, x, y. */
export type LockOp = readonly [op: string, x: Word, y?: Word];

/** What the tests need of a server: RedisServer, or a node of a cluster. */
export interface Server {
  readonly port: number;
  command(...args: readonly Word[]): Promise<Reply>;
}

export const LIVE_MS = 5000;
export const LEASE_MS = 10_000;
export const FENCE = /^\d{16}$/;
export const TOKEN = /^\d{16}[0-9a-f]{16}$/;

/** The reply to an op on a key that is of another kind. */
export const WRONGTYPE = ['E', expect.stringMatching(/^WRONGTYPE /)];

/** What a PTTL may have become of `ms` on a slow machine. */
export const about = (ms: number): unknown => ({
  asymmetricMatch: (value: unknown) => typeof value === 'number' && value <= ms && value > ms - 3000,
});

let salts = 0;

/** Another one each time. */
export const salt = (): string => createHash('sha1').update(`${++salts}`).digest('hex').slice(0, 16);

/** The three clients of most tests. */
export const A = 'xaaaaaaaaa';
export const B = 'xbbbbbbbbb';
export const U = 'uccccccccc';

export const waiter = (client: string, ofSalt: string, leaseMs = LEASE_MS): string => memberOf(client, ofSalt, leaseMs);

export class Scripts {
  constructor(
    readonly server: Server,
    readonly isCluster = false,
    private readonly liveMs = LIVE_MS,
  ) {}

  run(script: Script, keys: readonly string[], args: readonly Word[]): Promise<Reply> {
    return this.server.command('EVAL', script.source, keys.length, ...keys, ...args);
  }

  keys(key: string): LockKeys {
    return lockKeys(key, this.isCluster);
  }

  semaphoreKeys(key: string): SemaphoreKeys {
    return semaphoreKeys(key, this.isCluster);
  }

  /** Several ops in one call. */
  async locks(client: string, ops: readonly (readonly [key: string, ...op: LockOp])[]): Promise<Reply[]> {
    const all = ops.map(([key]) => this.keys(key));
    const { fence, tag } = all[0]!;
    const keys = [fence, ...all.flatMap(({ key, queue, alive }) => [key, queue, alive])];
    const args = ops.flatMap(([, op, x, y = '']) => [op, x, y]);
    return (await this.run(lockScript, keys, [client, this.liveMs, tag, ...args])) as Reply[];
  }

  /** One op by the script for the usual case of it, or by that for all cases where it says nothing. */
  async single(client: string, key: string, ...op: LockOp): Promise<Reply> {
    const [name, x, y = ''] = op;
    const { key: K, queue, fence } = this.keys(key);
    let reply: Reply = null;
    if (name === 't' || name === 'q') reply = await this.run(singleAcquireScript, [fence, K, queue], [x, y]);
    if (name === 'r' && y === 0) reply = await this.run(singleReleaseScript, [K, queue], [x]);
    return reply ?? this.lock(client, key, ...op);
  }

  async lock(client: string, key: string, ...op: LockOp): Promise<Reply> {
    const [reply] = await this.locks(client, [[key, ...op]]);
    return reply!;
  }

  async semaphores(
    client: string,
    ops: readonly (readonly [key: string, limit: number, ...op: LockOp])[],
  ): Promise<Reply[]> {
    const all = ops.map(([key]) => this.semaphoreKeys(key));
    const { fence, tag } = all[0]!;
    const keys = [fence, ...all.flatMap((of) => [of.key, of.queue, of.alive, of.limit])];
    const args = ops.flatMap(([, limit, op, x, y = '']) => [op, x, y, limit]);
    return (await this.run(semaphoreScript, keys, [client, this.liveMs, tag, ...args])) as Reply[];
  }

  async semaphore(client: string, key: string, limit: number, ...op: LockOp): Promise<Reply> {
    const [reply] = await this.semaphores(client, [[key, limit, ...op]]);
    return reply!;
  }

  renew(leaseMs: number, ...pairs: readonly (readonly [key: string, token: string])[]): Promise<Reply> {
    return this.run(
      renewScript,
      pairs.map(([key]) => key),
      [leaseMs, pairs.map(([, token]) => token).join('')],
    );
  }

  /** Takes a lock that is free; returns the token. */
  async take(client: string, key: string, leaseMs = LEASE_MS): Promise<string> {
    const own = salt();
    return `${(await this.lock(client, key, 't', own, leaseMs)) as string}${own}`;
  }

  /** Enters the queue of a lock that is held; returns the salt. */
  async queue(client: string, key: string, leaseMs = LEASE_MS): Promise<string> {
    const own = salt();
    const reply = await this.lock(client, key, 'q', own, leaseMs);
    if (!Array.isArray(reply)) throw new Error(`not queued: ${String(reply)}`);
    return own;
  }

  async takeSlot(client: string, key: string, limit: number, leaseMs = LEASE_MS): Promise<string> {
    const own = salt();
    return `${(await this.semaphore(client, key, limit, 't', own, leaseMs)) as string}${own}`;
  }

  async queueForSlot(client: string, key: string, limit: number, leaseMs = LEASE_MS): Promise<string> {
    const own = salt();
    const reply = await this.semaphore(client, key, limit, 'q', own, leaseMs);
    if (!Array.isArray(reply) || reply[0] === 'L') throw new Error(`not queued: ${String(reply)}`);
    return own;
  }

  /** As if the client had not poked for longer than it counts as alive. */
  async die(client: string, { alive }: { readonly alive: string }): Promise<void> {
    await this.server.command('ZADD', alive, 1, client);
  }
}

/** Listens on the channel of a client. */
export class Listener {
  readonly messages: (Message | undefined)[] = [];

  private constructor(
    private readonly redis: Redis,
    private readonly server: Server,
  ) {}

  /** @param tag in a cluster, that of the slot; `server` is then its master */
  static async on(server: Server, client: string, tag = ''): Promise<Listener> {
    const redis = new Redis(server.port, { maxRetriesPerRequest: 1 });
    const listener = new Listener(redis, server);
    const take = (_channel: string, text: string): void => void listener.messages.push(parseMessage(text));
    redis.on('message', take).on('smessage', take);
    const channel = channelOf(client, tag);
    try {
      await (client.startsWith('s') ? redis.ssubscribe(channel) : redis.subscribe(channel));
    } catch (error) {
      redis.disconnect();
      throw error;
    }
    return listener;
  }

  /** The next `count` messages. */
  async next(count = 1): Promise<(Message | undefined)[]> {
    await until(() => this.messages.length >= count, `${count} messages`);
    return this.messages.splice(0, count);
  }

  /** All that has been published so far. */
  async all(): Promise<(Message | undefined)[]> {
    // Whoever is answered now has been sent all messages before.
    await this.redis.ping();
    return this.messages.splice(0);
  }

  /** Ends the connection; the server knows of it when this resolves. */
  async close(): Promise<void> {
    const id = await this.redis.client('ID').catch(() => undefined);
    this.redis.disconnect();
    if (id === undefined) return;
    await until(async () => (await this.server.command('CLIENT', 'LIST', 'ID', id)) === '', 'the end of a connection');
  }
}

/** What a spec about one script needs: a server of its own, empty before each test. */
export function scriptServer(): {
  readonly scripts: Scripts;
  readonly command: Server['command'];
  /** Until the end of the test. */
  readonly listen: (client: string) => Promise<Listener>;
} {
  let server: RedisServer;
  const open: Listener[] = [];
  const closeListeners = (): Promise<unknown> => Promise.all(open.splice(0).map((listener) => listener.close()));
  const command: Server['command'] = (...args) => server.command(...args);
  beforeAll(async () => {
    server = await RedisServer.start();
  });
  beforeEach(async () => {
    await closeListeners();
    await command('FLUSHALL');
  });
  afterAll(async () => {
    await closeListeners();
    await server.stop();
  });
  return {
    scripts: new Scripts({
      get port() {
        return server.port;
      },
      command,
    }),
    command,
    async listen(client) {
      const listener = await Listener.on(server, client);
      open.push(listener);
      return listener;
    },
  };
}
