import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../support/free-port.mjs';
import type { CutEvent, DaemonLife, Evidence, Span, Violation } from '../log/evidence.js';
import { readDaemonLog } from '../log/read-daemon.js';
import { nanos } from '../log/time.js';
import { completeLines, readWorkerLog, type WorkerLog } from '../log/read-worker.js';
import { Child } from './child.js';

/** Clients without a proxy are counted from here. */
const DIRECT = 1e6;

const FAKETIME = '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1';

interface Life {
  readonly path: string;
  child: Child;
  killedAt?: number;
  goneAt?: number;
  drainedAt?: number;
}

interface Post {
  readonly program: string;
  readonly args: (ports: readonly number[]) => readonly string[];
  readonly firstClient: number;
  readonly ports: readonly number[];
  readonly steppedClock: boolean;
  lives: number;
  child: Child;
  /** One restart after the other: of two at once, one would leave a worker behind that nobody knows. */
  changing: Promise<void>;
}

/** The processes of a round: one daemon, the proxies, the workers; each can be killed and started again. */
export class Stage {
  readonly posts: Post[] = [];
  proxy!: Child;
  private readonly lives: Life[] = [];
  /** All that have ever worked. */
  private readonly hired: Child[] = [];
  private readonly cuts: CutEvent[] = [];
  private daemonPort = 0;
  private proxyPorts: number[] = [];
  private proxyLives = 0;
  /** One change of the daemon after the other. */
  private changing: Promise<void> = Promise.resolve();

  private constructor(
    readonly folder: string,
    private readonly daemonOptions: Readonly<Record<string, unknown>>,
  ) {}

  static async open(daemonOptions: Readonly<Record<string, unknown>>): Promise<Stage> {
    const stage = new Stage(await mkdtemp(join(tmpdir(), 'dflockd-faults-')), daemonOptions);
    await stage.startDaemon();
    await stage.startProxy();
    return stage;
  }

  get daemon(): Child {
    return this.lives.at(-1)!.child;
  }

  held(): Promise<string[]> {
    return this.daemon.ask<string[]>('held');
  }

  get port(): number {
    return this.daemonPort;
  }

  /** More proxies; returns their ports. */
  async openProxies(count: number): Promise<number[]> {
    const ports = await this.proxy.ask<number[]>('open', this.daemonPort, count);
    this.proxyPorts.push(...ports);
    return ports;
  }

  /** A worker with that many clients, each behind a proxy of its own. @param args given before ports and log */
  async addWorker(
    program: string,
    clients: number,
    args: readonly string[],
    { steppedClock = false, door = 'proxied' }: { steppedClock?: boolean; door?: 'proxied' | 'direct' } = {},
  ): Promise<Post> {
    const firstClient = door === 'direct' ? DIRECT : this.proxyPorts.length;
    const ports =
      door === 'direct' ? new Array<number>(clients).fill(this.daemonPort) : await this.openProxies(clients);
    const post: Omit<Post, 'child'> = {
      ...{ program, firstClient, ports, steppedClock, lives: 0, changing: Promise.resolve() },
      args: (all) => [...args, JSON.stringify(all)],
    };
    const whole = Object.assign(post, { child: await this.startWorker(post, this.posts.length) });
    this.posts.push(whole);
    return whole;
  }

  restartWorker(index: number): Promise<void> {
    const post = this.posts[index]!;
    return (post.changing = post.changing.then(() => this.killWorker(post, index)));
  }

  /** Workers that go on although nobody knows them any more. */
  get strays(): readonly string[] {
    const known = new Set(this.posts.map(({ child }) => child));
    return this.hired.filter((child) => child.isAlive && !known.has(child)).map(({ name }) => name);
  }

  private async killWorker(post: Post, index: number): Promise<void> {
    await post.child.kill();
    post.child = await this.startWorker(post, index);
  }

  restartDaemon(): Promise<void> {
    return (this.changing = this.changing.then(() => this.killDaemon()));
  }

  /** SIGTERM, in effect; and another daemon as soon as the old one has gone. */
  replaceDaemon(): Promise<void> {
    return (this.changing = this.changing.then(() => this.drainDaemon()));
  }

  private async killDaemon(): Promise<void> {
    const life = this.lives.at(-1)!;
    life.killedAt = await life.child.kill();
    life.goneAt = nanos();
    this.cuts.push({ at: life.killedAt, client: undefined });
    await this.startDaemon();
  }

  private async drainDaemon(): Promise<void> {
    const life = this.lives.at(-1)!;
    life.drainedAt = await life.child.ask<number>('drain');
    await life.child.ask('close');
    await life.child.ask('flush');
    await life.child.kill();
    await this.startDaemon();
  }

  /** As SIGTERM; resolves when everybody has left it. */
  async drainInBackground(): Promise<void> {
    const life = this.lives.at(-1)!;
    life.drainedAt = await life.child.ask<number>('drain');
    await life.child.ask('close');
  }

  restartProxy(): Promise<void> {
    return (this.changing = this.changing.then(() => this.killProxy()));
  }

  private async killProxy(): Promise<void> {
    const at = await this.proxy.kill();
    this.cuts.push({ at, client: undefined });
    await this.startProxy();
  }

  /** Sets the wall clock of the workers that have a stepped one. */
  stepClock(byS: number): Promise<void> {
    return writeFile(this.clockFile, `${byS >= 0 ? '+' : ''}${byS}`);
  }

  /** Everybody runs, and everything passes. */
  async calm(): Promise<void> {
    for (const child of [this.proxy, this.daemon, ...this.posts.map((post) => post.child)]) child.continue();
    await this.proxy.ask('pass', 'all');
    await this.proxy.ask('door', 'all', 'open');
  }

  /** @param complaints what the lab itself has found wrong */
  async evidence(complaints: readonly Violation[]): Promise<Evidence> {
    for (const child of [this.daemon, this.proxy, ...this.posts.map((post) => post.child)]) {
      if (child.isAlive) await child.ask('flush');
    }
    const names = await readdir(this.folder);
    const workers = new Map<string, WorkerLog>();
    for (const [index, { firstClient }] of this.posts.entries()) {
      for (const name of names.filter((file) => file.startsWith(`w${index}.`))) {
        const worker = name.replace(/\.log$/, '');
        workers.set(worker, readWorkerLog(worker, await this.read(name), firstClient));
      }
    }
    const proxy = await this.proxyEvents();
    const logs = [...workers.values()];
    return {
      holds: logs.flatMap(({ holds }) => holds),
      calls: logs.flatMap(({ calls }) => calls),
      lives: await this.daemonLives(),
      stalls: new Map([...workers].map(([name, { stalls }]) => [name, stalls])),
      proxyStalls: proxy.stalls,
      cuts: [...this.cuts, ...proxy.cuts],
      complaints: [...logs.flatMap((log) => log.complaints), ...complaints],
    };
  }

  /** Lines of the proxies' log with this code: when, and which proxy. */
  async proxyLines(code: string): Promise<{ at: number; client: number }[]> {
    await this.proxy.ask('flush');
    const all: { at: number; client: number }[] = [];
    for (let life = 1; life <= this.proxyLives; life++) {
      for (const line of completeLines(await this.read(`proxy.${life}.log`))) {
        const [found, at, client] = line.split(' ');
        if (found === code) all.push({ at: Number(at), client: Number(client) });
      }
    }
    return all;
  }

  /** Lines of the workers' logs with this code: when, and which client. */
  async workerLines(code: string): Promise<{ at: number; client: number }[]> {
    const all: { at: number; client: number }[] = [];
    for (const [index, { child, firstClient, lives }] of this.posts.entries()) {
      await child.ask('flush');
      for (const line of completeLines(await this.read(`w${index}.${lives}.log`))) {
        const [found, at, client] = line.split(' ');
        if (found === code) all.push({ at: Number(at), client: firstClient + Number(client) });
      }
    }
    return all;
  }

  async daemonLives(): Promise<DaemonLife[]> {
    const sweepMs = Number(this.daemonOptions.leaseSweepInterval ?? 1) * 1000;
    return Promise.all(
      this.lives.map(async ({ path, killedAt, goneAt, drainedAt }) =>
        readDaemonLog(await readFile(path, 'utf8'), { sweepMs, killedAt, goneAt, drainedAt }),
      ),
    );
  }

  async close(): Promise<void> {
    await Promise.all(
      [this.proxy, ...this.lives.map(({ child }) => child), ...this.hired].map((child) => child.kill()),
    );
    if (process.env['FAULTS_KEEP']) console.log(`logs: ${this.folder}`);
    else await rm(this.folder, { recursive: true, force: true });
  }

  private get clockFile(): string {
    return join(this.folder, 'clock');
  }

  private read(name: string): Promise<string> {
    return readFile(join(this.folder, name), 'utf8');
  }

  private async proxyEvents(): Promise<{ cuts: CutEvent[]; stalls: Span[] }> {
    const cuts = await this.proxyLines('C');
    const stalls = await this.proxyLines('s');
    return { cuts, stalls: stalls.map(({ at, client }) => ({ from: at, to: client })) };
  }

  private async startDaemon(): Promise<void> {
    const path = join(this.folder, `daemon.${this.lives.length + 1}.log`);
    const options = { ...this.daemonOptions, port: this.daemonPort || (await freePort()) };
    const child = await Child.start('daemon', `daemon ${this.lives.length + 1}`, [JSON.stringify(options), path]);
    this.lives.push({ path, child });
    this.daemonPort = await child.ask<number>('port');
  }

  private async startProxy(): Promise<void> {
    this.proxyLives++;
    const proxy = await Child.start('proxy', 'proxy', [join(this.folder, `proxy.${this.proxyLives}.log`)]);
    const { proxyPorts } = this;
    if (proxyPorts.length > 0) await proxy.ask('open', this.daemonPort, proxyPorts.length, proxyPorts);
    this.proxy = proxy;
  }

  private async startWorker(post: Omit<Post, 'child'>, index: number): Promise<Child> {
    const name = `w${index}.${++post.lives}`;
    if (post.steppedClock) await this.stepClock(0);
    const env = post.steppedClock
      ? {
          ...{ LD_PRELOAD: FAKETIME, DONT_FAKE_MONOTONIC: '1', FAKETIME_DONT_FAKE_MONOTONIC: '1' },
          ...{ FAKETIME_CACHE_DURATION: '1', FAKETIME_TIMESTAMP_FILE: this.clockFile },
        }
      : {};
    const path = join(this.folder, `${name}.log`);
    const child = await Child.start(post.program, name, [...post.args(post.ports), path], env);
    this.hired.push(child);
    return child;
  }
}
