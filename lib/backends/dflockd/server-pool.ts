import { Alarms, newAlarm } from '../../common/alarms.js';
import { LockError, ShuttingDownError } from '../../common/errors.js';
import type { Clock, Entropy, Ms } from '../../common/system.js';
import type { Request } from '../../protocol/messages.js';
import { Backoff } from './lanes/backoff.js';
import { CommandLanes } from './lanes/command-lanes.js';
import type { Endpoint, RemoteConfig } from './lanes/config.js';
import { ControlLane } from './lanes/control-lane.js';
import type { Done } from './lanes/exchange.js';
import { LocalUses, type LocalUse } from './queues/local-uses.js';
import type { Lane } from './lanes/lane.js';
import type { LaneContext } from './lanes/lane-context.js';
import type { QueuePool } from './queues/queue-pool.js';
import { Listeners } from './lanes/listeners.js';
import { KeyQueues } from './queues/key-queues.js';
import { NO_PROBE, DrainProbe } from './lanes/drain-probe.js';
import { ServerRecord } from './lanes/server-record.js';
import { Shortage } from './lanes/shortage.js';
import { TryLanes } from './queues/try-lanes.js';
import { type Taken, WaitLanes, type WhyWait } from './lanes/wait-lanes.js';

/** The least that the option takes: a server that hangs up at once must not be asked all the time. */
const MIN_READ_TIMEOUT_MS: Ms = 500;
/** A read timeout of less than this part of what was thought matters to lanes that are not about to speak. */
const NEWS = 0.9;

export interface PoolHooks {
  /** up: the first command lane is there. down: the last one is lost. draining: the server said so; once. */
  link(server: string, state: 'up' | 'down' | 'draining', error?: LockError): void;
  /** It serves less well than it should. */
  degraded(server: string, detail: string): void;
  /** Its read timeout is shorter than was thought: what was believed to be sure may not be. */
  hastened(server: string, detail: string): void;
}

/** What a pool consists of at the moment: lanes by what they do, and the key queues that poll for want of one. */
export interface PoolStats {
  /** Command lanes of any state. */
  readonly command: number;
  /** Wait lanes on their way, in a queue of the server, or closing. */
  readonly blocked: number;
  /** Wait lanes that own a grant. */
  readonly holding: number;
  /** Wait lanes kept for the next who waits. */
  readonly free: number;
  /** Key queues without a lane. */
  readonly polling: number;
}

/** All connections to one server. */
export class ServerPool implements QueuePool {
  readonly server: string;
  /** Of callers that wait: they keep the process alive. */
  readonly waits: Alarms;
  /** Everything else. */
  readonly alarms: Alarms;
  readonly queues: KeyQueues;
  /** QueuePool */
  defaultLeaseMs: Ms = 0;
  readonly localUses = new LocalUses<LocalUse>();
  readonly tries = new TryLanes();
  /** Asked before an owner speaks of its own accord (rule 9). */
  readonly drainProbe: Pick<DrainProbe, 'beforeOwnerSpeaks'>;
  /** Who listens to signals. */
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
      silenced: (silence: Ms) => this.learnReadTimeout(silence),
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

  /** Whether a command lane is connected, or was a moment ago and is being replaced. */
  get isLinked(): boolean {
    return this.commandLanes.isUp;
  }

  /** Why no command lane is connected. */
  get outage(): LockError | undefined {
    return this.commandLanes.error;
  }

  /** Why the server gives no connections for those who wait. */
  get shortage(): string | undefined {
    return this.shortOf.detail;
  }

  /** Whether the server has said that it shuts down, and no new one has been found at its address since. */
  get draining(): boolean {
    return this.isDraining;
  }

  /** The option, or less: what the server was seen to do. */
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

  /** The usable command lane that owns least. */
  command(): Lane | undefined {
    return this.commandLanes.lane();
  }

  /** As CommandLanes.whenUp. */
  whenCommand(deadline: Ms, callback: (outcome: Lane | LockError) => void, since?: Ms): () => void {
    return this.commandLanes.whenUp(deadline, callback, since);
  }

  /**
   * An exclusive lane. Returns the cancellation; undefined if there is none to be had.
   * @throws ConfigError for TLS options that Node refuses; ShuttingDownError
   */
  wait(why: WhyWait, callback: Taken): (() => void) | undefined {
    return this.waitLanes.take(why, callback);
  }

  /** Whether the server has ended this wait lane as it does when it has no room for it. */
  wasRefused(lane: Lane): boolean {
    return this.waitLanes.wasRefused(lane);
  }

  /** A request that owns nothing and may have a long answer. */
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

  /** Sends away who waits, gives outstanding answers up to `graceMs`, then closes everything. */
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

  /** The lanes that own something say nothing any more and stay until their connections end; the others go. */
  private drain(): void {
    if (this.isDraining) return;
    this.isDraining = true;
    this.hooks.link(this.server, 'draining');
    // Where a connection costs nothing, there is nothing to be spared.
    if (!this.config.autoRelease) return;
    this.commandLanes.drain();
    this.waitLanes.drain();
    this.control.drain();
  }

  /** The server closes connections earlier than the option says: all lanes speak more often from now on (rule 3). */
  private learnReadTimeout(silence: Ms): void {
    const { context, config } = this;
    const seen = Math.max(silence, MIN_READ_TIMEOUT_MS);
    const isNews = seen < context.readTimeoutMs * NEWS;
    context.readTimeoutMs = Math.min(context.readTimeoutMs, seen);
    // Several connections are closed at nearly the same time.
    if (!isNews) return;
    for (const lane of this.commandLanes.lanes()) lane.rearm();
    for (const lane of this.waitLanes.lanes) lane.rearm();
    const [was, is] = [config.readTimeoutMs / 1000, (seen / 1000).toFixed(1)];
    this.hooks.hastened(
      this.server,
      `connections are closed after ${is} s of silence, not after ${was} s (option remote.readTimeoutS): they speak more often from now on`,
    );
  }

  /** A command lane is connected, or lost; or the first attempt has failed, which loses nothing. */
  private linked(wasLinked: boolean, error?: LockError): void {
    const { isLinked } = this;
    // A server that shuts down takes no new connections: this is another one.
    const isOther = !error && this.isDraining;
    if (isOther) this.isDraining = false;
    if (isLinked) this.control.keep();
    else this.control.pause();
    if (isLinked === wasLinked && !isOther) return;
    this.shortOf.over();
    if (isLinked) this.welcome();
    this.hooks.link(this.server, isLinked ? 'up' : 'down', error);
  }

  /** What the other lanes met before may be over. */
  private welcome(): void {
    this.commandLanes.open();
    this.queues.resume();
  }
}
