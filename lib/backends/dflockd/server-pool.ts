import { Alarms, newAlarm } from '../../common/alarms.js';
import { LockError, ShuttingDownError } from '../../common/errors.js';
import type { Clock, Entropy, Ms } from '../../common/system.js';
import type { Request } from '../../protocol/messages.js';
import { Backoff } from '../../common/backoff.js';
import { CommandLanes } from './lanes/command-lanes.js';
import type { Endpoint, RemoteConfig } from './lanes/config.js';
import { ControlLane } from './lanes/control-lane.js';
import type { Done } from './lanes/exchange.js';
import { LocalUses, type LocalUse } from './queues/local-uses.js';
import type { Lane } from './lanes/lane.js';
import type { LaneContext } from './lanes/lane-context.js';
import type { QueuePool } from './queues/queue-pool.js';
import { learnReadTimeout } from './read-timeout.js';
import { Listeners } from './lanes/listeners.js';
import { KeyQueues } from './queues/key-queues.js';
import { NO_PROBE, DrainProbe } from './lanes/drain-probe.js';
import { ServerRecord } from './lanes/server-record.js';
import { Shortage } from './lanes/shortage.js';
import { TryLanes } from './queues/try-lanes.js';
import { type Taken, WaitLanes, type WhyWait } from './lanes/wait-lanes.js';

export interface PoolHooks {
  /**
   * up: the first command lane is connected. down: the last one is lost. draining: the server shuts down; called once.
   */
  link(server: string, state: 'up' | 'down' | 'draining', error?: LockError): void;
  /** The server is impaired. */
  degraded(server: string, detail: string): void;
  /** The server's read timeout is shorter than assumed: what counted as certain may not be. */
  hastened(server: string, detail: string): void;
}

/** The current lanes by what they do, and the key queues that poll because they have none. */
export interface PoolStats {
  /** Command lanes of any state. */
  readonly command: number;
  /** Wait lanes that connect, wait in the server's queue, or close. */
  readonly blocked: number;
  /** Wait lanes that own a grant. */
  readonly holding: number;
  /** Idle wait lanes, kept for the next waiting caller. */
  readonly free: number;
  /** Key queues without a lane. */
  readonly polling: number;
}

/** All connections to one server. */
export class ServerPool implements QueuePool {
  readonly server: string;
  /** Alarms of waiting callers. They keep the process alive. */
  readonly waits: Alarms;
  /** All other alarms. */
  readonly alarms: Alarms;
  readonly queues: KeyQueues;
  /** QueuePool */
  defaultLeaseMs: Ms = 0;
  readonly localUses = new LocalUses<LocalUse>();
  readonly tries = new TryLanes();
  /** Called before a holder sends anything on its own initiative (rule 9). */
  readonly drainProbe: Pick<DrainProbe, 'beforeOwnerSpeaks'>;
  /** Subscriptions to signals. */
  readonly listeners: Listeners;
  private readonly context: LaneContext & { readTimeoutMs: Ms };
  private readonly commandLanes: CommandLanes;
  private readonly shortOf: Shortage;
  private readonly waitLanes: WaitLanes;
  private readonly control: ControlLane;
  private isDraining = false;
  private whenEmptier: (() => void) | undefined;

  constructor(
    endpoint: Endpoint,
    readonly config: RemoteConfig,
    readonly clock: Clock,
    readonly entropy: Entropy,
    private readonly hooks: PoolHooks,
  ) {
    this.server = endpoint.label;
    this.waits = new Alarms(clock, true);
    this.alarms = new Alarms(clock);
    const { tls, auth, connectTimeoutMs, requestTimeoutMs, readTimeoutMs, reconnect } = config;
    const ask = (request: Request, done: Done) => this.control.send(request, done);
    this.drainProbe = config.autoRelease
      ? new DrainProbe({ clock, alarms: this.alarms, requestTimeoutMs, ask })
      : NO_PROBE;
    const degraded = (detail: string): void => hooks.degraded(this.server, detail);
    const isLinked = (): boolean => this.isLinked;
    const context = (this.context = {
      target: { endpoint, tls, auth, connectTimeoutMs },
      record: new ServerRecord(degraded, isLinked),
      requestTimeoutMs,
      readTimeoutMs,
      clock,
      alarms: this.alarms,
      drainProbe: this.drainProbe,
      drained: () => this.drain(),
      silenced: (silence: Ms) => this.silenced(silence),
      laneEnded: () => this.whenEmptier?.(),
    });
    const backoff = () => new Backoff(reconnect.minDelayMs, reconnect.maxDelayMs, entropy);
    const linked = (wasLinked: boolean, error?: LockError) => this.linked(wasLinked, error);
    this.commandLanes = new CommandLanes(context, config.commandLanes, backoff, this.waits, linked);
    const spare = (): void => this.queues.spare();
    this.shortOf = new Shortage({ ...context, backoff: backoff(), isLinked, spare, degraded });
    this.waitLanes = new WaitLanes(context, config.maxWaitLanes, this.shortOf, spare);
    this.control = new ControlLane(context, backoff());
    this.listeners = new Listeners(context, backoff, this.waits);
    this.queues = new KeyQueues(this, degraded);
  }

  /** Whether a command lane is connected, or is being replaced. */
  get isLinked(): boolean {
    return this.commandLanes.isUp;
  }

  /** Why no command lane is connected. */
  get outage(): LockError | undefined {
    return this.commandLanes.error;
  }

  /** Why the server accepts no connections for waiting callers. */
  get shortage(): string | undefined {
    return this.shortOf.detail;
  }

  /** Whether the server has announced its shutdown and no successor has answered at its address yet. */
  get draining(): boolean {
    return this.isDraining;
  }

  /** The option, or the shorter timeout that the server was seen to apply. */
  get readTimeoutMs(): Ms {
    return this.context.readTimeoutMs;
  }

  /** Resolves when a command lane is up; rejects with the error of the first attempt. */
  start(): Promise<void> {
    this.commandLanes.open();
    return new Promise((resolve, reject) => {
      this.whenCommand(Infinity, (outcome) => (outcome instanceof LockError ? reject(outcome) : resolve()));
    });
  }

  /** The usable command lane with the fewest grants. */
  command(): Lane | undefined {
    return this.commandLanes.lane();
  }

  /** See CommandLanes.whenUp. */
  whenCommand(deadline: Ms, callback: (outcome: Lane | LockError) => void, since?: Ms): () => void {
    return this.commandLanes.whenUp(deadline, callback, since);
  }

  /**
   * Takes an exclusive lane. Returns a function that cancels, or undefined if no lane is available.
   * @throws ConfigError for TLS options that Node refuses; ShuttingDownError
   */
  wait(why: WhyWait, callback: Taken): (() => void) | undefined {
    return this.waitLanes.take(why, callback);
  }

  /** Whether the server closed this wait lane because it has no room for more connections. */
  wasRefused(lane: Lane): boolean {
    return this.waitLanes.wasRefused(lane);
  }

  /** Sends a request that owns nothing and may have a long reply. */
  ask(request: Request, done: Done): void {
    this.control.send(request, done);
  }

  /** Open connections, for tests and diagnosis. */
  stats(): PoolStats {
    const command = this.commandLanes.lanes().length;
    const free = this.waitLanes.freeCount;
    let holding = 0;
    for (const lane of this.waitLanes.lanes) if (lane.grants > 0) holding++;
    const blocked = this.waitLanes.lanes.size - holding - free;
    return { command, blocked, holding, free, polling: this.queues.polling };
  }

  /** Refuses all waiters, waits up to `graceMs` for outstanding replies, then closes everything. */
  async close(graceMs: Ms): Promise<void> {
    const error = new ShuttingDownError({ server: this.server });
    this.queues.fail(error);
    this.listeners.close(error);
    this.shortOf.close();
    this.commandLanes.retire(error);
    this.waitLanes.retire(error);
    await this.emptied(graceMs);
    this.commandLanes.destroy(error);
    this.waitLanes.destroy(error);
    this.control.destroy(error);
    this.alarms.clear();
    this.waits.clear();
  }

  private get isBusy(): boolean {
    return this.waitLanes.lanes.size > 0 || this.commandLanes.lanes().length > 0;
  }

  private emptied(withinMs: Ms): Promise<void> {
    return new Promise((resolve) => {
      this.whenEmptier = () => this.isBusy || resolve();
      this.waits.set(
        newAlarm(() => resolve()),
        this.clock.now() + withinMs,
      );
      this.whenEmptier();
    });
  }

  /** Lanes that own grants stop sending and stay until their connections end; the others close. */
  private drain(): void {
    if (this.isDraining) return;
    this.isDraining = true;
    this.hooks.link(this.server, 'draining');
    // Where closing a connection loses nothing, no lane needs to be spared.
    if (!this.config.autoRelease) return;
    this.commandLanes.drain();
    this.waitLanes.drain();
    this.control.drain();
  }

  /** The server closed a silent connection. If that was sooner than assumed, all lanes send heartbeats more often. */
  private silenced(silence: Ms): void {
    const news = learnReadTimeout(this.context, silence, this.config.readTimeoutMs);
    if (!news) return;
    for (const lane of this.commandLanes.lanes()) lane.rearm();
    for (const lane of this.waitLanes.lanes) lane.rearm();
    this.hooks.hastened(this.server, news);
  }

  /** A command lane was connected or lost, or the first attempt failed, which loses nothing. */
  private linked(wasLinked: boolean, error?: LockError): void {
    const { isLinked } = this;
    // A server that shuts down accepts no connections, so this is its successor.
    const isOther = !error && this.isDraining;
    if (isOther) this.isDraining = false;
    if (isLinked) this.control.keep();
    else this.control.pause();
    if (isLinked === wasLinked && !isOther) return;
    this.shortOf.over();
    if (isLinked) this.welcome();
    this.hooks.link(this.server, isLinked ? 'up' : 'down', error);
  }

  /** Lets the other lanes and the queues try again: their errors may be over. */
  private welcome(): void {
    this.commandLanes.open();
    this.queues.resume();
  }
}
