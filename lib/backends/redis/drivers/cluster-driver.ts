import { ShuttingDownError, UnsupportedError, type LockError } from '../../../common/errors.js';
import type { Timer } from '../../../common/system.js';
import { slotOf } from '../scripts/companion-keys.js';
import type { Script } from '../scripts/script.js';
import { ClusterChannels } from './cluster-channels.js';
import { ClusterMap } from './cluster-map.js';
import { ClusterNode } from './cluster-node.js';
import { addressOf, type ClusterDialer, type ClusterNodes, type Endpoint } from './connection.js';
import type { DriverListener, RedisDriver } from './driver.js';
import type { Link } from './link.js';
import { redirectionOf, replyCode, typedError, unavailable } from './redis-errors.js';
import { isUnknownScript, scriptWords } from './run-script.js';
import { isAtLeast, parseInfo } from './server-info.js';
import type { DriverSettings } from './settings.js';
import type { SubscriptionsListener } from './subscriptions.js';

/** A slot may be on its way while another one is as well. */
const MAX_REDIRECTIONS = 5;
/** The map is read at most so often, and again after so long while a node cannot be reached. */
const REFRESH_MS = 500;

/**
 * A cluster: a connection for commands to each master, and one for messages to each master whose slots have a channel (Redis
 * 7 or newer), or to one node for all. The library makes the connections; slots and redirections are kept here, because the
 * libraries send commands again whose first sending may have been executed.
 */
export class ClusterDriver implements RedisDriver {
  readonly isCluster = true;
  readonly server = 'cluster';
  readonly keyPrefix: string;
  readonly writesAtOnce: boolean;
  isSharded = false;
  private listener!: DriverListener;
  private nodes: ClusterNodes | undefined;
  private readonly map = new ClusterMap<ClusterNode>();
  private channels: ClusterChannels | undefined;
  private refreshing: Promise<void> | undefined;
  private failures = 0;
  private readonly ending = new Set<Promise<unknown>>();
  private again: Timer | undefined;
  private wasAccepted = false;
  private isUp = false;
  /** Why it is down, as it was said. */
  private said: string | undefined;
  private isClosed = false;

  constructor(
    private readonly dialer: ClusterDialer,
    private readonly settings: DriverSettings,
  ) {
    this.keyPrefix = dialer.keyPrefix;
    this.writesAtOnce = dialer.writesAtOnce;
  }

  async open(listener: DriverListener): Promise<void> {
    this.listener = listener;
    if (this.settings.watch) {
      throw new UnsupportedError(
        '`watch` needs one server: in a cluster, Redis sends no invalidations to another connection',
      );
    }
    try {
      await this.refresh();
      await this.allOpened();
    } catch (error) {
      const typed = this.typed(error);
      if (typed.isTransient) this.refreshSoon();
      else await this.close();
      throw typed;
    }
  }

  eval(script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const slot = slotOf(keys[0]!);
    const words = (link: Link): readonly string[] => scriptWords(link, script, keys, args);
    return this.send(slot, words).catch((error: unknown) => {
      if (!isUnknownScript(error)) throw error;
      return this.send(slot, words);
    });
  }

  command(key: string | undefined, args: readonly string[]): Promise<unknown> {
    if (key !== undefined) return this.send(slotOf(key), () => args);
    const node = this.map.nodes().find(({ commands }) => commands.isUp);
    return node ? node.commands.call(args) : Promise.reject(this.unavailable('no node is connected'));
  }

  async subscribe(channel: string): Promise<void> {
    const { channels } = this;
    if (!channels) throw this.unavailable('not connected');
    for (let redirections = 0; ; redirections++) {
      try {
        return await channels.add(channel);
      } catch (error) {
        this.refreshSoon();
        if (!redirectionOf(error) || redirections === MAX_REDIRECTIONS) throw error;
        channels.forget(channel);
        await this.refresh();
      }
    }
  }

  unsubscribe(channel: string): void {
    this.channels?.remove(channel);
  }

  /** @param key of what was asked in vain; its node alone is dropped */
  kick(key?: string): void {
    const node = key === undefined ? undefined : this.map.at(slotOf(key));
    for (const each of node ? [node] : this.map.nodes()) each.kick();
    this.refreshSoon();
  }

  watch(): Promise<number> {
    return Promise.reject(new UnsupportedError('`watch` needs one server, not a cluster'));
  }

  async close(): Promise<void> {
    this.isClosed = true;
    if (this.again) this.settings.clock.clearTimer(this.again);
    const error = new ShuttingDownError({ server: this.server });
    const ends = this.map.nodes().map((node) => node.close(error));
    await Promise.all([...ends, ...this.ending]);
  }

  /** @param words what is sent on a connection */
  private async send(slot: number, words: (link: Link) => readonly string[]): Promise<unknown> {
    let link = this.linkOf(slot);
    let isAsking = false;
    for (let redirections = 0; ; redirections++) {
      // A connection that is being made for the first time is worth the wait.
      if (!link.isUp) await link.opened();
      try {
        // In one turn, so that nothing is sent between the two.
        const asking = isAsking ? link.call(['ASKING']) : undefined;
        const reply = link.call(words(link));
        asking?.catch(() => undefined);
        return await reply;
      } catch (error) {
        // A script that came with it has not been read, or the node has forgotten all of them.
        link.scripts.clear();
        const redirection = redirectionOf(error);
        if (replyCode(error) === 'CLUSTERDOWN') this.refreshSoon();
        if (!redirection || redirections === MAX_REDIRECTIONS) throw error;
        const node = this.nodeAt(redirection.host === '' ? { ...redirection, host: hostOf(link) } : redirection);
        isAsking = redirection.isAsk;
        if (!isAsking) {
          this.map.set(redirection.slot, node);
          this.refreshSoon();
        }
        link = node.commands;
      }
    }
  }

  private linkOf(slot: number): Link {
    const node = this.map.at(slot);
    if (node) return node.commands;
    this.refreshSoon();
    throw this.unavailable(`no node has the slot ${slot}`);
  }

  private nodeAt(endpoint: Endpoint): ClusterNode {
    return this.map.node(addressOf(endpoint), () => {
      const node = new ClusterNode(endpoint, this.nodes!.dialer(endpoint), this.settings, {
        up: () => this.up(),
        down: (error) => this.down(error),
      });
      node.commands.opened().catch(() => undefined);
      return node;
    });
  }

  private readonly listens: SubscriptionsListener = {
    up: () => this.up(),
    down: (error) => this.down(error),
    subscribed: (channel) => this.listener.subscribed(channel),
    message: (channel, text) => this.listener.message(channel, text),
    invalidated: () => undefined,
  };

  private async allOpened(): Promise<void> {
    const attempts = await Promise.allSettled(this.map.masters().map(({ commands }) => commands.opened()));
    const failed = attempts.flatMap((attempt) => (attempt.status === 'rejected' ? [attempt.reason as LockError] : []));
    const error = failed.find(({ isTransient }) => !isTransient) ?? failed[0];
    if (error) throw error;
    await this.channels?.opened();
  }

  private refresh(): Promise<void> {
    this.refreshing ??= this.readMap().finally(() => (this.refreshing = undefined));
    return this.refreshing;
  }

  private refreshSoon(): void {
    if (this.isClosed) return;
    const { clock, entropy, minDelayMs, maxDelayMs } = this.settings;
    const delay =
      this.failures === 0 ? REFRESH_MS : Math.min(minDelayMs * 2 ** this.failures, maxDelayMs) * entropy.unit();
    this.again ??= clock.setTimer(() => {
      this.again = undefined;
      this.refresh().then(
        () => {
          this.failures = 0;
          if (!this.isUp) this.refreshSoon();
        },
        () => {
          this.failures++;
          this.refreshSoon();
        },
      );
    }, delay);
  }

  private async readMap(): Promise<void> {
    let asked = this.map.nodes().filter(({ commands }) => commands.isUp);
    if (asked.length === 0) {
      this.nodes = await this.found();
      if (this.isClosed) return;
      asked = this.nodes.known.map((endpoint) => this.nodeAt(endpoint));
    }
    let failure: unknown;
    for (const node of asked) {
      try {
        await node.commands.opened();
        const slots = await node.commands.call(['CLUSTER', 'SLOTS']);
        if (!this.wasAccepted) await this.accepted(node.commands);
        if (!this.isClosed) this.adopt(slots, node.endpoint);
        return;
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  /** A library may wait for ever for a node that is silent. */
  private async found(): Promise<ClusterNodes> {
    const { clock } = this.settings;
    let timer: Timer | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = clock.setTimer(() => reject(this.unavailable('no node answers')), 2 * this.dialer.timeoutMs);
    });
    try {
      return await Promise.race([this.dialer.find(), late]);
    } finally {
      clock.clearTimer(timer!);
    }
  }

  private async accepted(link: Link): Promise<void> {
    const { version } = parseInfo(await link.call(['INFO']));
    this.isSharded = isAtLeast(version, 7);
    this.channels = new ClusterChannels(this.map, this.isSharded, this.listens, (text) => this.unavailable(text));
    this.wasAccepted = true;
  }

  private adopt(slots: unknown, asked: Endpoint): void {
    for (const node of this.map.replace(slots, asked, (endpoint) => this.nodeAt(endpoint))) {
      const end: Promise<unknown> = node
        .close(this.unavailable(`${addressOf(node.endpoint)} has no slots any more`))
        .finally(() => this.ending.delete(end));
      this.ending.add(end);
    }
    this.channels!.settle(() => this.refreshSoon());
    this.up();
  }

  private up(): void {
    if (this.isUp || this.isClosed || !this.wasAccepted) return;
    const masters = this.map.masters();
    if (masters.length === 0 || masters.some((node) => !node.isUp)) return;
    this.isUp = true;
    this.said = undefined;
    this.listener.up();
  }

  private down(error: LockError): void {
    if (this.isClosed) return;
    this.isUp = false;
    this.refreshSoon();
    if (this.said === error.code) return;
    this.said = error.code;
    this.listener.down(error);
  }

  private typed(error: unknown): LockError {
    return typedError(error, { server: this.server, wasAccepted: this.wasAccepted, isConnecting: true });
  }

  private unavailable(text: string): LockError {
    return unavailable(this.server, text, '(cluster)');
  }
}

/** MOVED without a host means the node that said so. */
const hostOf = (link: Link): string => link.server.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
