import { ShuttingDownError, type LockError } from '../../../common/errors.js';
import type { Script } from '../scripts/script.js';
import type { Dialer } from './connection.js';
import type { DriverListener, RedisDriver } from './driver.js';
import { Link } from './link.js';
import { isNoMaster, unavailable } from './redis-errors.js';
import { runOn } from './run-script.js';
import { infoWhenLoaded } from './server-info.js';
import type { DriverSettings } from './settings.js';
import { Subscriptions } from './subscriptions.js';
import { Tracking } from './tracking.js';

/** One server, or the master that Sentinels name: a connection for commands, and one for messages. */
export class PairDriver implements RedisDriver {
  readonly isCluster = false;
  readonly isSharded = false;
  readonly server: string;
  readonly keyPrefix: string;
  readonly writesAtOnce: boolean;
  private readonly commands: Link;
  private readonly subscriber: Subscriptions;
  private readonly tracking: Tracking;
  private listener!: DriverListener;
  private isUp = false;
  /** Why it is down, as it was said. */
  private said: string | undefined;
  private isClosed = false;

  constructor(
    private readonly dialer: Dialer,
    private readonly settings: DriverSettings,
  ) {
    this.server = dialer.server;
    this.keyPrefix = dialer.keyPrefix;
    this.writesAtOnce = dialer.writesAtOnce;
    const down = (error: LockError): void => this.down(error);
    const up = (): void => this.up();
    this.commands = new Link(
      dialer,
      'commands',
      settings,
      { up, down, message: () => undefined, invalidated: () => undefined },
      (link) => this.checkReady(link),
    );
    this.subscriber = new Subscriptions(
      dialer,
      settings,
      {
        up,
        down,
        subscribed: (channel) => this.listener.subscribed(channel),
        message: (channel, text) => this.listener.message(channel, text),
        invalidated: (keys) => this.listener.invalidated(keys ?? undefined),
      },
      false,
    );
    this.tracking = new Tracking(this.commands, this.subscriber, settings.watch);
  }

  async open(listener: DriverListener): Promise<void> {
    this.listener = listener;
    const attempts = await Promise.allSettled([this.commands.opened(), this.subscriber.link.opened()]);
    const errors = attempts.flatMap((attempt) => (attempt.status === 'rejected' ? [attempt.reason as LockError] : []));
    const error = errors.find(({ isTransient }) => !isTransient) ?? errors[0];
    if (!error) return;
    if (!error.isTransient) await this.close();
    throw error;
  }

  eval(script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    return runOn(this.commands, script, keys, args).catch((error: unknown) => {
      // A replica now, or one that was found by an old answer of a Sentinel.
      if (isNoMaster(error)) this.kick();
      throw error;
    });
  }

  command(_key: string | undefined, args: readonly string[]): Promise<unknown> {
    return this.commands.call(args);
  }

  subscribe(channel: string): Promise<void> {
    return this.subscriber.add(channel);
  }

  unsubscribe(channel: string): void {
    this.subscriber.remove(channel);
  }

  kick(): void {
    this.commands.kick();
    this.subscriber.link.kick();
  }

  watch(keys: readonly string[]): Promise<number> {
    return this.tracking.watch(keys);
  }

  async close(): Promise<void> {
    this.isClosed = true;
    const error = new ShuttingDownError({ server: this.server });
    await Promise.all([this.commands.close(error), this.subscriber.close(error)]);
  }

  /** The server may be reading its data from disk, and Sentinels may name a master that has become a replica. */
  private async checkReady(link: Link): Promise<void> {
    const { role } = await infoWhenLoaded(link);
    if (this.dialer.isSentinel && role === 'slave') throw unavailable(this.server, 'the Sentinels name a replica');
  }

  private up(): void {
    if (this.isUp || this.isClosed || !this.commands.isUp || !this.subscriber.link.isUp) return;
    this.isUp = true;
    this.said = undefined;
    this.listener.up();
    // What changed while nobody told.
    if (this.settings.watch) this.listener.invalidated(undefined);
  }

  private down(error: LockError): void {
    this.isUp = false;
    if (this.said === error.code || this.isClosed) return;
    this.said = error.code;
    this.listener.down(error);
  }
}
