import type { LockError } from '../../../common/errors.js';
import { slotOf } from '../scripts/companion-keys.js';
import type { ClusterMap } from './cluster-map.js';
import type { ClusterNode } from './cluster-node.js';
import type { Subscriptions, SubscriptionsListener } from './subscriptions.js';

/**
 * The channels of a cluster: sharded ones on the masters that have their slots, with a connection to each of those; plain
 * ones, where Redis is older than 7, on any one node for all.
 */
export class ClusterChannels {
  private readonly channels = new Set<string>();
  private plain: Subscriptions | undefined;

  constructor(
    private readonly map: ClusterMap<ClusterNode>,
    private readonly isSharded: boolean,
    private readonly listener: SubscriptionsListener,
    private readonly unavailable: (text: string) => LockError,
  ) {}

  async add(channel: string): Promise<void> {
    this.channels.add(channel);
    const subscriptions = this.of(channel);
    if (!subscriptions) throw this.unavailable('no node has the slot of the channel');
    await subscriptions.add(channel);
  }

  remove(channel: string): void {
    this.channels.delete(channel);
    for (const { subscriptions } of this.map.nodes()) subscriptions?.remove(channel);
  }

  /** Its node does not have its slot any more. */
  forget(channel: string): void {
    this.of(channel)?.forget(channel);
  }

  /** The map has changed, or a node cannot be reached. */
  settle(refused: () => void): void {
    if (this.isSharded) this.follow(refused);
    else this.choose();
  }

  async opened(): Promise<void> {
    await this.plain?.link.opened();
  }

  private of(channel: string): Subscriptions | undefined {
    return this.isSharded ? this.map.at(slotOf(channel))?.subscribe(this.listener, true) : this.plain;
  }

  private follow(refused: () => void): void {
    for (const node of this.map.nodes()) {
      for (const channel of node.subscriptions?.all() ?? []) {
        if (this.map.at(slotOf(channel)) !== node) node.subscriptions!.forget(channel);
      }
    }
    for (const channel of this.channels) {
      const subscriptions = this.of(channel);
      if (subscriptions && !subscriptions.has(channel)) subscriptions.add(channel).catch(refused);
    }
  }

  private choose(): void {
    const link = this.plain?.link;
    const masters = this.map.masters();
    if (link && !link.isClosed && (link.isUp || masters.every(({ commands }) => !commands.isUp))) return;
    const others = masters.filter(({ subscriptions }) => subscriptions === undefined);
    const node = others.find(({ commands }) => commands.isUp) ?? others[0];
    if (!node) return;
    for (const old of this.map.nodes()) old.unsubscribe(this.unavailable('another node is listened to'));
    this.plain = node.subscribe(this.listener, false);
    this.plain.link.opened().catch(() => undefined);
    for (const channel of this.channels) this.plain.add(channel).catch(() => undefined);
  }
}
