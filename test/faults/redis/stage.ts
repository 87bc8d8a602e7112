import { RedisSentinel } from '../../support/redis/sentinel.js';
import { RedisServer } from '../../support/redis/server.js';
import { Child } from '../lab/child.js';
import { outcomeOf } from '../lab/outcome.js';
import type { Account } from '../processes/beliefs.js';
import type { RedisHolderOptions } from '../processes/redis-holder.js';
import type { Entry } from '../processes/redis-rival.js';
import { type Contestant, redisKey } from './holders/holder.js';
import type { RedisOutcome } from './outcome.js';

/** What is measured, and how much of it. */
export interface Scale {
  readonly contestants: readonly Contestant[];
  /** Of each contestant, each with a client of its own. */
  readonly locks: number;
  readonly leaseMs: number;
}

interface Team {
  readonly contestant: Contestant;
  readonly prefix: string;
  readonly child: Child;
}

/**
 * Redis, and for each package a process that holds locks in it through proxies; one rival wants them all. A fault strikes
 * all packages at once.
 */
export class RedisStage {
  proxy: Child | undefined;
  private readonly teams: Team[] = [];
  private rival!: Child;

  private constructor(
    readonly redis: RedisServer | RedisSentinel,
    private readonly scale: Scale,
  ) {}

  /** @param kind with `sentinel` nothing lies between the holders and the servers */
  static async play<T>(
    kind: 'server' | 'sentinel',
    scale: Scale,
    act: (stage: RedisStage) => Promise<T>,
    beforeHold: (redis: RedisSentinel) => Promise<unknown> = async () => undefined,
  ): Promise<T> {
    const redis = kind === 'server' ? await RedisServer.start() : await RedisSentinel.start();
    const stage = new RedisStage(redis, scale);
    try {
      await stage.open();
      if (redis instanceof RedisSentinel) await beforeHold(redis);
      await stage.hold();
      return await act(stage);
    } finally {
      await stage.close();
    }
  }

  get server(): RedisServer {
    return this.redis as RedisServer;
  }

  get pair(): RedisSentinel {
    return this.redis as RedisSentinel;
  }

  get holders(): readonly Child[] {
    return this.teams.map(({ child }) => child);
  }

  /** The keys in Redis, one after the other of each package. */
  get keys(): readonly string[] {
    return Array.from({ length: this.scale.locks }, (_, i) =>
      this.teams.map(({ contestant, prefix }) => redisKey(contestant, `${prefix}${i}`)),
    ).flat();
  }

  /** What became of the locks of each package. @param faultAt when the fault struck a key of Redis, nanoseconds */
  async outcomes(faultAt: (redisKey: string) => number): Promise<ReadonlyMap<Contestant, RedisOutcome[]>> {
    const entries = new Map((await this.rival.ask<Entry[]>('entries')).map(({ redisKey, at }) => [redisKey, at]));
    const found = await Promise.all(
      this.teams.map(async ({ contestant, child }) => {
        const { beliefs, stalls } = await child.ask<Account>('account');
        const outcomes = beliefs.map((belief): RedisOutcome => {
          const name = redisKey(contestant, belief.key);
          return { ...outcomeOf(belief, stalls, faultAt(name), entries.get(name)), redisKey: name };
        });
        return [contestant, outcomes] as const;
      }),
    );
    return new Map(found);
  }

  /** The fences of those who take the keys after the holders. */
  async fencesAfter(outcomes: readonly RedisOutcome[]): Promise<bigint[]> {
    const redisKeys = outcomes.map((outcome) => outcome.redisKey);
    const keys = outcomes.map(({ key }) => key);
    return (await this.rival.ask<string[]>('fences', redisKeys, keys)).map(BigInt);
  }

  private async open(): Promise<void> {
    const { contestants, locks, leaseMs } = this.scale;
    if (this.redis instanceof RedisServer) this.proxy = await Child.start('proxy', 'proxy', ['/dev/null']);
    const direct = this.redis instanceof RedisServer ? { port: this.redis.port } : { sentinels: this.redis.addresses };
    this.rival = await Child.start('redis-rival', 'rival', [JSON.stringify(direct)]);
    const starts = contestants.map(async (contestant): Promise<Team> => {
      const ports = await this.proxy?.ask<number[]>('open', this.server.port, locks);
      const places = ports ? ports.map((port) => ({ port })) : new Array<typeof direct>(locks).fill(direct);
      const prefix = `${contestant}-`;
      const options: RedisHolderOptions = { contestant, prefix, leaseMs };
      const child = await Child.start('redis-holder', contestant, [JSON.stringify(options), JSON.stringify(places)]);
      return { contestant, prefix, child };
    });
    for (const start of await Promise.allSettled(starts)) {
      if (start.status === 'fulfilled') this.teams.push(start.value);
    }
    await Promise.all(starts);
  }

  private async hold(): Promise<void> {
    await Promise.all(this.holders.map((child) => child.ask('hold')));
    await this.rival.ask('want', this.keys);
  }

  private async close(): Promise<void> {
    const children = [...this.holders, this.rival, this.proxy].filter((child) => child !== undefined);
    await Promise.all(children.map((child) => child.kill()));
    await this.redis.stop();
  }
}
