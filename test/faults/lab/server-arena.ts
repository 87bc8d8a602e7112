import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CutEvent, Evidence, Span, Violation } from '../log/evidence.js';
import { completeLines, readWorkerLog, type WorkerLog } from '../log/read-worker.js';
import type { WorkerPlan } from '../plan/scenario.js';
import { Child } from './child.js';
import type { Arena } from './round.js';

interface Post {
  readonly plan: WorkerPlan;
  readonly firstClient: number;
  readonly ports: readonly number[];
  lives: number;
  child: Child;
  changing: Promise<void>;
}

export const folderOfLogs = (): Promise<string> => mkdtemp(join(tmpdir(), 'faults-'));

/** The processes of a round on a server that is not ours: the server, the proxies, the workers. */
export abstract class ServerArena implements Arena {
  readonly posts: Post[] = [];
  proxy!: Child;
  protected readonly cuts: CutEvent[] = [];
  private readonly hired: Child[] = [];
  private proxyPorts: number[] = [];
  private proxyLives = 0;
  private changing: Promise<void> = Promise.resolve();

  protected constructor(private readonly folder: string) {}

  abstract get daemon(): Pick<Child, 'stop' | 'continue'>;
  abstract restartDaemon(): Promise<void>;
  abstract replaceDaemon(): Promise<void>;
  abstract stepClock(byS: number): Promise<void>;
  abstract held(): Promise<string[]>;

  protected abstract get port(): number;
  protected abstract stopServer(): Promise<void>;

  get strays(): readonly string[] {
    const known = new Set(this.posts.map(({ child }) => child));
    return this.hired.filter((child) => child.isAlive && !known.has(child)).map(({ name }) => name);
  }

  /** The proxies, and a process for each plan. */
  protected async open(plans: readonly WorkerPlan[]): Promise<this> {
    try {
      await this.startProxy();
      for (const plan of plans) await this.hire(plan);
      return this;
    } catch (error) {
      await this.close();
      throw error;
    }
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
      const at = await this.proxy.kill();
      this.cuts.push({ at, client: undefined });
      await this.startProxy();
    });
  }

  async calm(): Promise<void> {
    this.daemon.continue();
    for (const child of [this.proxy, ...this.posts.map((post) => post.child)]) child.continue();
    await this.proxy.ask('pass', 'all');
    await this.proxy.ask('door', 'all', 'open');
  }

  async evidence(complaints: readonly Violation[]): Promise<Evidence> {
    const workers = new Map<string, WorkerLog>();
    const names = await readdir(this.folder);
    for (const [index, { firstClient }] of this.posts.entries()) {
      for (const name of names.filter((file) => file.startsWith(`w${index}.`))) {
        const worker = name.replace(/\.log$/, '');
        workers.set(worker, readWorkerLog(worker, await this.read(name), firstClient));
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
    await this.stopServer();
    if (process.env['FAULTS_KEEP']) console.log(`logs: ${this.folder}`);
    else await rm(this.folder, { recursive: true, force: true });
  }

  /** One change of the server, or of the proxies, after the other. */
  protected change(how: () => Promise<void>): Promise<void> {
    return (this.changing = this.changing.then(how));
  }

  /** The connections that ended where both sides could see it, and when the proxies did not run. */
  protected async proxyEvents(): Promise<{ cuts: CutEvent[]; stalls: Span[] }> {
    if (this.proxy.isAlive) await this.proxy.ask('flush');
    const cuts: CutEvent[] = [];
    const stalls: Span[] = [];
    for (let life = 1; life <= this.proxyLives; life++) {
      for (const line of completeLines(await this.read(`proxy.${life}.log`))) {
        const [code, at, other] = line.split(' ');
        if (code === 'C' || code === 'E') cuts.push({ at: Number(at), client: Number(other) });
        if (code === 's') stalls.push({ from: Number(at), to: Number(other) });
      }
    }
    return { cuts, stalls };
  }

  private read(name: string): Promise<string> {
    return readFile(join(this.folder, name), 'utf8');
  }

  private async hire(plan: WorkerPlan): Promise<void> {
    const firstClient = this.proxyPorts.length;
    const ports = await this.proxy.ask<number[]>('open', this.port, plan.clients);
    this.proxyPorts.push(...ports);
    const post = { plan, firstClient, ports, lives: 0, changing: Promise.resolve() };
    this.posts.push(Object.assign(post, { child: await this.startWorker(post, this.posts.length) }));
  }

  private async startProxy(): Promise<void> {
    const proxy = await Child.start('proxy', 'proxy', [join(this.folder, `proxy.${++this.proxyLives}.log`)]);
    const { proxyPorts } = this;
    if (proxyPorts.length > 0) await proxy.ask('open', this.port, proxyPorts.length, proxyPorts);
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
