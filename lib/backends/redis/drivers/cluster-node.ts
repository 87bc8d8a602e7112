import type { LockError } from '../../../common/errors.js';
import type { Dialer, Endpoint } from './connection.js';
import { Link } from './link.js';
import { infoWhenLoaded } from './server-info.js';
import type { DriverSettings } from './settings.js';
import { Subscriptions, type SubscriptionsListener } from './subscriptions.js';

/** The connections to one node of a cluster. */
export class ClusterNode {
  readonly commands: Link;
  /** Made when the first channel needs it. */
  subscriptions: Subscriptions | undefined;

  constructor(
    readonly endpoint: Endpoint,
    private readonly dialer: Dialer,
    private readonly settings: DriverSettings,
    listener: { up(): void; down(error: LockError): void },
  ) {
    this.commands = new Link(
      dialer,
      'commands',
      settings,
      { ...listener, message: () => undefined, invalidated: () => undefined },
      async (link) => void (await infoWhenLoaded(link)),
    );
  }

  get isUp(): boolean {
    return this.commands.isUp && this.subscriptions?.link.isUp !== false;
  }

  subscribe(listener: SubscriptionsListener, isSharded: boolean): Subscriptions {
    this.subscriptions ??= new Subscriptions(this.dialer, this.settings, listener, isSharded);
    return this.subscriptions;
  }

  unsubscribe(error: LockError): void {
    void this.subscriptions?.close(error);
    this.subscriptions = undefined;
  }

  kick(): void {
    this.commands.kick();
    this.subscriptions?.link.kick();
  }

  async close(error: LockError): Promise<void> {
    await Promise.all([this.commands.close(error), this.subscriptions?.close(error)]);
  }
}
