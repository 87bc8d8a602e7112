import type { Alarms } from '../../common/alarms.js';
import { newAlarm } from '../../common/alarms.js';
import { type LockError, LockUnavailableError } from '../../common/errors.js';
import type { Clock, Ms } from '../../common/system.js';
import type { DriverListener, RedisDriver } from './drivers/driver.js';

export interface LinkHooks {
  /** Asked on the first connection; rejects with a LockError. */
  probe(): Promise<void>;
  /** The server can be used. `isFirst`: for the first time. */
  up(isFirst: boolean): void;
  down(error: LockError): void;
  subscribed(channel: string): void;
  message(channel: string, text: string): void;
  invalidated(keys: readonly string[] | undefined): void;
  /** It will never be used. */
  ended(error: LockError): void;
}

/** After a probe that has failed, and may succeed. */
const PROBE_PAUSE_MS: Ms = 500;

/** The connections of a backend: whether they can be used, and why not. */
export class RedisLink implements DriverListener {
  /** Why nothing can be sent; undefined: it can. */
  outage: LockError | undefined;
  private driver: RedisDriver | undefined;
  private starting: Promise<void> | undefined;
  private isOpening = false;
  private isProbed = false;
  private isClosed = false;
  private readonly alarm = newAlarm(() => this.probeAgain());

  constructor(
    private readonly clock: Clock,
    private readonly alarms: Alarms,
    private readonly requestTimeoutMs: Ms,
    private readonly hooks: LinkHooks,
  ) {
    this.outage = new LockUnavailableError('the Redis backend has not been started');
  }

  /**
   * Connects and probes. After a transient error it goes on by itself, and a second start says how far it has come; after any other a
   * second start begins anew.
   */
  start(driver: RedisDriver): Promise<void> {
    if (this.isProbed) return Promise.resolve();
    if (this.starting) return this.starting;
    if (this.driver) return Promise.reject(this.outage!);
    this.driver = driver;
    this.isOpening = true;
    return this.begin(
      driver.open(this).finally(() => {
        this.isOpening = false;
      }),
    );
  }

  /** @param error why nothing can be sent any more */
  close(error: LockError): void {
    this.isClosed = true;
    this.outage = error;
    this.alarms.cancel(this.alarm);
  }

  /** DriverListener */
  up(): void {
    if (this.isOpening || this.isClosed) return;
    if (this.isProbed) this.usable(false);
    else this.begin(Promise.resolve()).catch(() => undefined);
  }

  /** DriverListener */
  down(error: LockError): void {
    const wasUp = !this.outage;
    this.outage = error;
    if (wasUp && !this.isClosed) this.hooks.down(error);
  }

  /** DriverListener */
  subscribed(channel: string): void {
    if (!this.isClosed) this.hooks.subscribed(channel);
  }

  /** DriverListener */
  message(channel: string, text: string): void {
    if (!this.isClosed) this.hooks.message(channel, text);
  }

  /** DriverListener */
  invalidated(keys: readonly string[] | undefined): void {
    if (!this.isClosed) this.hooks.invalidated(keys);
  }

  /** Probes as soon as `connected`. */
  private begin(connected: Promise<void>): Promise<void> {
    let isConnected = false;
    return (this.starting ??= connected
      .then(() => {
        isConnected = true;
        return this.probe();
      })
      .then(
        () => {
          this.isProbed = true;
          if (!this.isClosed) this.usable(true);
        },
        (error: LockError) => {
          this.failed(error, isConnected);
          throw error;
        },
      )
      .finally(() => {
        this.starting = undefined;
      }));
  }

  /** All of its requests together may take as long as one. */
  private async probe(): Promise<void> {
    const { clock, driver } = this;
    const timer = clock.setTimer(() => driver?.kick(), this.requestTimeoutMs);
    try {
      await this.hooks.probe();
    } finally {
      clock.clearTimer(timer);
    }
  }

  private usable(isFirst: boolean): void {
    this.outage = undefined;
    this.hooks.up(isFirst);
  }

  private failed(error: LockError, isConnected: boolean): void {
    this.outage = error;
    if (this.isClosed) return;
    if (error.isTransient) {
      // The driver says when it has a connection; this one may last.
      if (isConnected) this.alarms.set(this.alarm, this.clock.now() + PROBE_PAUSE_MS);
      return;
    }
    const { driver } = this;
    this.driver = undefined;
    this.hooks.ended(error);
    driver?.close().catch(() => undefined);
  }

  private probeAgain(): void {
    if (!this.isProbed && !this.isClosed && this.driver && !this.isOpening) {
      this.begin(Promise.resolve()).catch(() => undefined);
    }
  }
}
