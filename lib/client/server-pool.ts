import { Alarms, newAlarm } from '../common/alarms.js';
import { LockError, LockUnavailableError, ShuttingDownError } from '../common/errors.js';
import type { Clock, Entropy, Ms } from '../common/system.js';
import type { Request } from '../protocol/messages.js';
import { Backoff } from './backoff.js';
import { CommandSlot } from './command-slot.js';
import type { Endpoint, RemoteConfig } from './config.js';
import { ControlLane } from './control-lane.js';
import type { Done } from './exchange.js';
import type { Lane } from './lane.js';
import type { LaneContext } from './lane-context.js';
import { type Taken, WaitLanes } from './wait-lanes.js';

/** The connector explains better than an alarm what went wrong: it gets so much longer. */
const EXPLAIN_MS: Ms = 50;

export interface PoolHooks {
  /** The first command lane is up, the last one down. */
  link(server: string, state: 'up' | 'down', error?: LockError): void;
}

/** All connections to one server. */
export class ServerPool {
  readonly server: string;
  readonly clock: Clock;
  /** Of callers that wait: they keep the process alive. */
  readonly waits: Alarms;
  /** Everything else. */
  readonly alarms: Alarms;
  private readonly slots: readonly CommandSlot[];
  private readonly waitLanes: WaitLanes;
  private readonly control: ControlLane;
  private told: 'up' | 'down' | undefined;
  private whenEmptier: (() => void) | undefined;
  private readonly context: LaneContext;

  constructor(
    endpoint: Endpoint,
    private readonly config: RemoteConfig,
    clock: Clock,
    entropy: Entropy,
    private readonly hooks: PoolHooks,
  ) {
    this.server = endpoint.label;
    this.clock = clock;
    this.waits = new Alarms(clock, true);
    this.alarms = new Alarms(clock);
    const { tls, auth, connectTimeoutMs, requestTimeoutMs, readTimeoutMs, reconnect } = config;
    const target = { endpoint, tls, auth, connectTimeoutMs };
    const laneEnded = () => this.whenEmptier?.();
    this.context = { target, requestTimeoutMs, readTimeoutMs, clock, alarms: this.alarms, laneEnded };
    this.slots = Array.from(
      { length: config.commandLanes },
      () =>
        new CommandSlot(this.context, new Backoff(reconnect.minDelayMs, reconnect.maxDelayMs, entropy), (error) =>
          this.linked(error),
        ),
    );
    this.waitLanes = new WaitLanes(this.context, config.maxWaitLanes);
    this.control = new ControlLane(this.context);
  }

  /** Resolves when a command lane is up; rejects with the error of the first attempt. */
  start(): Promise<void> {
    for (const slot of this.slots) slot.open();
    return new Promise((resolve, reject) => {
      this.whenCommand(Infinity, (outcome) => (outcome instanceof LockError ? reject(outcome) : resolve()));
    });
  }

  /** The usable command lane that owns least. */
  command(): Lane | undefined {
    let best: Lane | undefined;
    for (const { lane } of this.slots) if (lane && (!best || lane.grants < best.grants)) best = lane;
    return best;
  }

  /**
   * A command lane: at once, or when one is up, or the error of the next attempt, or LockUnavailableError at `deadline`
   * and after one connect timeout at the latest. Returns the cancellation.
   */
  whenCommand(deadline: Ms, callback: (outcome: Lane | LockError) => void): () => void {
    const lane = this.command();
    if (lane) {
      callback(lane);
      return () => undefined;
    }
    const cancellations: (() => void)[] = [];
    const cancel = (): void => {
      this.waits.cancel(late);
      for (const stop of cancellations) stop();
    };
    let over = false;
    const once = (outcome: Lane | LockError): void => {
      if (over) return;
      over = true;
      cancel();
      callback(outcome);
    };
    const late = newAlarm(() =>
      once(new LockUnavailableError(`${this.server}: not connected in time`, { server: this.server })),
    );
    this.waits.set(late, Math.min(deadline, this.clock.now() + this.config.connectTimeoutMs + EXPLAIN_MS));
    for (const slot of this.slots) if (!over) cancellations.push(slot.whenUp(once));
    return cancel;
  }

  /** An exclusive lane. Returns the cancellation. */
  wait(callback: Taken): () => void {
    return this.waitLanes.take(callback);
  }

  /** A request that owns nothing and may have a long answer. */
  ask(request: Request, done: Done): void {
    this.control.send(request, done);
  }

  /** Open connections, for tests and diagnosis. */
  counts(): { command: number; wait: number; free: number; grants: number } {
    const command = this.slots.flatMap((slot) => slot.lanes);
    const grants = command.reduce((sum, lane) => sum + lane.grants, 0);
    return { command: command.length, wait: this.waitLanes.size, free: this.waitLanes.freeCount, grants };
  }

  /** Waits for outstanding answers up to `graceMs`, then closes everything. */
  async close(graceMs: Ms): Promise<void> {
    const error = new ShuttingDownError({ server: this.server });
    for (const slot of this.slots) slot.retire(error);
    this.waitLanes.retire(error);
    await this.emptied(graceMs);
    for (const slot of this.slots) slot.destroy(error);
    this.waitLanes.destroy(error);
    this.control.destroy(error);
    this.alarms.clear();
    this.waits.clear();
  }

  private get isBusy(): boolean {
    return this.waitLanes.size > 0 || this.slots.some((slot) => slot.lanes.length > 0);
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

  private linked(error?: LockError): void {
    const state = this.slots.some((slot) => slot.isUp) ? 'up' : 'down';
    if (state === this.told) return;
    this.told = state;
    this.hooks.link(this.server, state, error);
  }
}
