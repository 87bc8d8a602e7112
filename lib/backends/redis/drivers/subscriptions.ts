import type { LockError } from '../../../common/errors.js';
import type { Timer } from '../../../common/system.js';
import type { Dialer } from './connection.js';
import { INVALIDATE } from './invalidation.js';
import { Link } from './link.js';
import type { DriverSettings } from './settings.js';

export interface SubscriptionsListener {
  up(): void;
  down(error: LockError): void;
  subscribed(channel: string): void;
  message(channel: string, text: string): void;
  invalidated(keys: readonly string[] | null): void;
}

/** A silent connection brings no message, and nobody would notice: it is asked so often whether it is there. */
const PING_MS = 15_000;

/** The connection of a subscriber, and the channels that are subscribed again on each new one. */
export class Subscriptions {
  readonly link: Link;
  private readonly channels = new Set<string>();
  /** Those that the server has confirmed on the connection of today. */
  private readonly standing = new Set<string>();
  private pings: Timer | undefined;
  /** Of the connection that stands, where changes of keys are to be sent to it. */
  clientId: string | undefined;

  constructor(
    dialer: Dialer,
    private readonly settings: DriverSettings,
    private readonly listener: SubscriptionsListener,
    private readonly isSharded: boolean,
  ) {
    this.link = new Link(
      dialer,
      'subscriber',
      settings,
      {
        up: () => this.up(),
        down: (error) => this.down(error),
        message: (channel, text) => listener.message(channel, text),
        invalidated: (keys) => listener.invalidated(keys),
      },
      (link) => this.prepare(link),
    );
  }

  get size(): number {
    return this.channels.size;
  }

  has(channel: string): boolean {
    return this.channels.has(channel);
  }

  all(): readonly string[] {
    return [...this.channels];
  }

  /** Resolves when the subscription stands. After a transient error it is tried again on the next connection. */
  async add(channel: string): Promise<void> {
    this.channels.add(channel);
    // A connection that is being made takes up the channels of its start only.
    if (!this.link.isUp) await this.link.opened();
    if (this.standing.has(channel)) return;
    await this.link.subscribe(channel, this.isSharded).catch((error: LockError) => {
      // Else no connection would be accepted any more.
      if (!error.isTransient) this.channels.delete(channel);
      throw error;
    });
    if (!this.channels.has(channel)) return;
    this.standing.add(channel);
    this.listener.subscribed(channel);
  }

  remove(channel: string): void {
    this.standing.delete(channel);
    if (this.channels.delete(channel)) this.link.unsubscribe(channel, this.isSharded);
  }

  /** Its slot has moved: the server ends the subscription by itself, and node-redis trips over a SUNSUBSCRIBE meanwhile. */
  forget(channel: string): void {
    this.standing.delete(channel);
    this.channels.delete(channel);
  }

  close(error: LockError): Promise<void> {
    this.stopPings();
    return this.link.close(error);
  }

  private async prepare(link: Link): Promise<void> {
    if (this.settings.watch) {
      this.clientId = String(await link.call(['CLIENT', 'ID']));
      await link.subscribe(INVALIDATE, false);
    }
    const channels = this.all();
    await Promise.all(channels.map((channel) => link.subscribe(channel, this.isSharded)));
    for (const channel of channels) {
      if (this.channels.has(channel)) this.standing.add(channel);
    }
  }

  private up(): void {
    this.stopPings();
    this.armPing();
    this.listener.up();
    for (const channel of this.standing) this.listener.subscribed(channel);
  }

  private down(error: LockError): void {
    this.stopPings();
    this.clientId = undefined;
    this.standing.clear();
    this.listener.down(error);
  }

  private armPing(): void {
    this.pings = this.settings.clock.setTimer(() => {
      this.armPing();
      // One without an answer is dropped by the request timeout.
      this.link.call(['PING']).catch(() => undefined);
    }, PING_MS);
  }

  private stopPings(): void {
    if (this.pings) this.settings.clock.clearTimer(this.pings);
    this.pings = undefined;
  }
}
