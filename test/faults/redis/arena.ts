import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RedisServer } from '../../support/redis/server.js';
import { Child } from '../lab/child.js';
import type { Arena } from '../lab/round.js';
import type { Evidence, Violation } from '../log/evidence.js';
import { readWorkerLog, type WorkerLog } from '../log/read-worker.js';
import type { WorkerPlan } from '../plan/scenario.js';

interface Post {
  readonly plan: WorkerPlan;
  readonly firstClient: number;
  readonly ports: readonly number[];
  lives: number;
  child: Child;
  changing: Promise<void>;
}

/**
 * The processes of a round on Redis: a server that keeps what it wrote, the proxies, the workers. Where a round has a daemon
 * killed, drained, or the clock of a worker set, Redis is killed and started again, forgets its scripts, or kills connections.
 */
export class RedisArena implements Arena {
  readonly posts: Post[] = [];
  proxy!: Child;
  private readonly hired: Child[] = [];
  private proxyPorts: number[] = [];
  private proxyLives = 0;
  private changing: Promise<void> = Promise.resolve();

  private constructor(
    private readonly redis: RedisServer,
    private readonly folder: string,
  ) {}

  static async open(plans: readonly WorkerPlan[]): Promise<RedisArena> {
    const redis = await RedisServer.start({ appendOnly: true, config: ['appendfsync no'] });
    const arena = new RedisArena(redis, await mkdtemp(join(tmpdir(), 'redis-faults-')));
    try {
      await arena.startProxy();
      for (const plan of plans) await arena.hire(plan);
      return arena;
    } catch (error) {
      await arena.close();
      throw error;
    }
  }

  get daemon(): Pick<Child, 'stop' | 'continue'> {
    return {
      stop: () => {
        this.redis.pause();
        return 0;
      },
      continue: () => this.redis.resume(),
    };
  }

  get strays(): readonly string[] {
    const known = new Set(this.posts.map(({ child }) => child));
    return this.hired.filter((child) => child.isAlive && !known.has(child)).map(({ name }) => name);
  }

  restartWorker(index: number): Promise<void> {
    const post = this.posts[index]!;
    return (post.changing = post.changing.then(async () => {
      await post.child.kill();
      post.child = await this.startWorker(post, index);
    }));
  }

  restartProxy(): Promise<void> {
    return this.change(async () => {
      await this.proxy.kill();
      await this.startProxy();
    });
  }

  restartDaemon(): Promise<void> {
    return this.change(() => this.redis.restart());
  }

  async replaceDaemon(): Promise<void> {
    await this.tell('SCRIPT', 'FLUSH');
  }

  async stepClock(byS: number): Promise<void> {
    await this.tell('CLIENT', 'KILL', 'TYPE', byS > 0 ? 'normal' : 'pubsub', 'SKIPME', 'yes');
  }

  async calm(): Promise<void> {
    this.redis.resume();
    for (const child of [this.proxy, ...this.posts.map((post) => post.child)]) child.continue();
    await this.proxy.ask('pass', 'all');
    await this.proxy.ask('door', 'all', 'open');
  }

  /** All keys but the counter of fences, which stays. */
  async held(): Promise<string[]> {
    const keys = (await this.redis.command('KEYS', '*')) as string[];
    return keys.filter((key) => key !== 'dflockd:fence');
  }

  async evidence(complaints: readonly Violation[]): Promise<Evidence> {
    const workers = new Map<string, WorkerLog>();
    const names = await readdir(this.folder);
    for (const [index, { firstClient }] of this.posts.entries()) {
      for (const name of names.filter((file) => file.startsWith(`w${index}.`))) {
        const worker = name.replace(/\.log$/, '');
        workers.set(worker, readWorkerLog(worker, await readFile(join(this.folder, name), 'utf8'), firstClient));
      }
    }
    const logs = [...workers.values()];
    return {
      holds: logs.flatMap(({ holds }) => holds),
      calls: logs.flatMap(({ calls }) => calls),
      lives: [],
      stalls: new Map([...workers].map(([name, { stalls }]) => [name, stalls])),
      proxyStalls: [],
      cuts: [],
      complaints: [...logs.flatMap((log) => log.complaints), ...complaints],
    };
  }

  async close(): Promise<void> {
    await Promise.all([this.proxy, ...this.hired].map((child) => child?.kill()));
    await this.redis.stop();
    if (process.env['FAULTS_KEEP']) console.log(`logs: ${this.folder}`);
    else await rm(this.folder, { recursive: true, force: true });
  }

  /** Waits for a restart, during which Redis refuses commands. */
  private tell(...command: readonly string[]): Promise<void> {
    return this.change(async () => {
      this.redis.resume();
      await this.redis.command(...command);
    });
  }

  private change(how: () => Promise<void>): Promise<void> {
    return (this.changing = this.changing.then(how));
  }

  private async hire(plan: WorkerPlan): Promise<void> {
    const firstClient = this.proxyPorts.length;
    const ports = await this.proxy.ask<number[]>('open', this.redis.port, plan.clients);
    this.proxyPorts.push(...ports);
    const post = { plan, firstClient, ports, lives: 0, changing: Promise.resolve() };
    this.posts.push(Object.assign(post, { child: await this.startWorker(post, this.posts.length) }));
  }

  private async startProxy(): Promise<void> {
    const proxy = await Child.start('proxy', 'proxy', [join(this.folder, `proxy.${++this.proxyLives}.log`)]);
    const { proxyPorts } = this;
    if (proxyPorts.length > 0) await proxy.ask('open', this.redis.port, proxyPorts.length, proxyPorts);
    this.proxy = proxy;
  }

  private async startWorker(post: Omit<Post, 'child'>, index: number): Promise<Child> {
    const name = `w${index}.${++post.lives}`;
    const args = [JSON.stringify(post.plan), JSON.stringify(post.ports), join(this.folder, `${name}.log`)];
    const child = await Child.start('worker', name, args);
    this.hired.push(child);
    return child;
  }
}
