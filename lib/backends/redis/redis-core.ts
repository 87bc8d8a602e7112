import { Alarms } from '../../common/alarms.js';
import { Callbacks } from '../../common/callbacks.js';
import { type LockError, ShuttingDownError } from '../../common/errors.js';
import { LinkedList } from '../../common/linked-list.js';
import { RecentTexts } from '../../common/recent-texts.js';
import type { Clock, Ms } from '../../common/system.js';
import type { BackendHost, Grant, LinkEvent, LockKind } from '../backend.js';
import { Calls } from './calls.js';
import { type ChannelUse, ONE_CHANNEL, ShardedChannels } from './channels.js';
import type { RedisDriver } from './drivers/driver.js';
import { degradation, isNoMaster, typedError } from './drivers/redis-errors.js';
import { checkServer } from './drivers/server-info.js';
import { Joins } from './joins.js';
import { KeyNames } from './key-names.js';
import { LocalQueue } from './local-queue.js';
import type { Op } from './op.js';
import type { RedisConfig } from './options.js';
import { addLock, addSemaphore, Outbox, type OutboxContext, singleOf } from './outbox.js';
import { joinAs, serverInfo } from './probe.js';
import { RedisGrant } from './redis-grant.js';
import { RedisLink } from './redis-link.js';
import type { RedisCounts, RedisSite } from './redis-site.js';
import { type Renewal, Renewals } from './renewals.js';
import { Release, Withdrawal } from './repeated.js';
import { Retries } from './retries.js';
import type { LockKeys } from './scripts/companion-keys.js';
import { lockScript } from './scripts/lock-script.js';
import { channelOf, parseMessage } from './scripts/messages.js';
import { semaphoreScript } from './scripts/semaphore-script.js';
import { Salts, saltOf } from './scripts/token.js';
import type { Asker, QueuedWaiter, Told } from './waiting.js';
import { KeyWatch } from './watch.js';

/** What the backend consists of, put together, and what happens between the parts. */
export class RedisCore implements RedisSite {
  readonly clock: Clock;
  readonly waits: Alarms;
  readonly alarms: Alarms;
  readonly salts: Salts;
  readonly counts: RedisCounts = { pokes: 0, lostPlaces: 0, confirmations: 0, orphans: 0 };
  readonly retries: Retries;
  readonly names: KeyNames;
  readonly open = new LinkedList<QueuedWaiter>();
  readonly joins = new Joins();
  readonly bySalt = new Map<string, Asker>();
  readonly links = new Callbacks<[event: LinkEvent]>();
  readonly suspects = new Callbacks<[grant?: Grant]>();
  channels: ChannelUse = ONE_CHANNEL;
  driver: RedisDriver;
  client = '';
  ended: LockError | undefined;
  private readonly calls: Calls;
  private readonly link: RedisLink;
  private readonly queues = new Map<string, LocalQueue>();
  private readonly degradedTexts: RecentTexts;
  private readonly locks: Outbox;
  private readonly semaphores: Outbox;
  private readonly renewals: Renewals;
  private readonly keyWatch: KeyWatch | undefined;

  constructor(
    readonly config: RedisConfig,
    private readonly dial: () => RedisDriver,
    private readonly host: BackendHost,
  ) {
    const { clock, entropy } = host;
    this.clock = clock;
    this.degradedTexts = new RecentTexts(clock);
    this.waits = new Alarms(clock, true);
    this.alarms = new Alarms(clock);
    this.salts = new Salts(entropy);
    this.calls = new Calls(clock);
    this.driver = dial();
    const { keyPrefix, isCluster, writesAtOnce } = this.driver;
    const prefixes = { lock: keyPrefix + config.prefix, sem: keyPrefix + config.semaphorePrefix };
    this.names = new KeyNames(prefixes, isCluster);
    this.retries = new Retries(clock, entropy, this.alarms, () => !this.link.outage);
    this.link = new RedisLink(clock, this.alarms, config.requestTimeoutMs, {
      probe: () => this.probe(),
      up: (isFirst) => this.up(isFirst),
      down: (error) => this.links.tell({ server: this.server, state: 'down', error }),
      subscribed: () => this.pokeAll(),
      message: (_channel, text) => this.heard(text),
      invalidated: (keys) => this.keyWatch?.invalidated(keys),
      ended: (error) => this.end(error),
    });
    const context: OutboxContext = {
      calls: this.calls,
      server: this.server,
      isCluster,
      writesAtOnce,
      livenessMs: config.livenessMs,
      client: () => this.client,
      eval: (script, keys, args) => this.driver.eval(script, keys, args),
      opError: (text, op) => this.opError(text, op.keys),
    };
    this.locks = new Outbox(context, lockScript, addLock, singleOf);
    this.semaphores = new Outbox(context, semaphoreScript, addSemaphore);
    this.renewals = new Renewals({
      ...context,
      opError: (text, keys) => this.opError(text, keys),
      send: (op) => this.semaphores.push(op),
      renewed: (renewals) => this.keyWatch?.renewed(renewals),
    });
    if (config.watch) {
      this.keyWatch = new KeyWatch(
        (keys) => this.driver.watch(keys),
        (grant) => this.suspects.tell(grant),
        (error) => this.degraded(error.message),
      );
    }
  }

  get server(): string {
    return this.driver.server;
  }

  get outage(): LockError | undefined {
    return this.link.outage;
  }

  start(): Promise<void> {
    if (this.ended) {
      // What was final at the last start may have been mended.
      this.ended = undefined;
      this.driver = this.dial();
    }
    return this.link.start(this.driver);
  }

  async close(graceMs: Ms): Promise<void> {
    const { clock, calls, bySalt, link } = this;
    const error = new ShuttingDownError({ server: this.server });
    this.refuseAll(error);
    await new Promise<void>((resolve) => {
      const timer = clock.setTimer(resolve, graceMs, true);
      const idle = (): void => {
        clock.clearTimer(timer);
        resolve();
      };
      // What has just been asked for leaves in this turn.
      clock.endOfTurn(() => calls.idle(idle));
    });
    link.close(error);
    this.waits.clear();
    this.alarms.clear();
    await this.driver.close();
    bySalt.clear();
  }

  /** @throws ShuttingDownError, LockUnavailableError */
  assertUsable(): void {
    const why = this.ended ?? this.outage;
    if (why) throw why;
  }

  unit(): number {
    return this.host.entropy.unit();
  }

  send(op: Op): void {
    (op.kind === 'lock' ? this.locks : this.semaphores).push(op);
  }

  renew(renewal: Renewal): void {
    this.renewals.push(renewal);
  }

  command(key: string | undefined, args: readonly string[]): Promise<unknown> {
    return this.driver.command(key, args);
  }

  hold(grant: Asker & { isKnown: boolean }, salt: string): void {
    grant.isKnown = true;
    this.bySalt.set(salt, grant);
  }

  asker(salt: string): Asker | undefined {
    const one = this.bySalt.get(salt);
    if (one) return one;
    // A message may be quicker than the answer to the request. That is rare, and so is a list here.
    for (const asker of this.open) if (asker.x === salt) return asker;
    return undefined;
  }

  tell(told: Told): void {
    const { token, kind, key } = told;
    const one = this.asker(saltOf(token));
    if (one) return one.told(told);
    this.counts.orphans++;
    new Release(this, kind, this.names.ofFull(kind, key), 1, token, 0, Infinity, () => undefined).start();
  }

  enter(waiter: QueuedWaiter, reply: readonly unknown[]): void {
    const { kind, keys, limit } = waiter;
    let queue = this.queues.get(keys.key);
    if (!queue) {
      queue = new LocalQueue(this, kind, keys, limit, (empty) => {
        if (this.queues.get(empty.keys.key) === empty) this.queues.delete(empty.keys.key);
      });
      this.queues.set(keys.key, queue);
    }
    queue.enter(waiter, reply);
  }

  withdraw({ kind, keys, limit }: { kind: LockKind; keys: LockKeys; limit: number }, member: string): void {
    new Withdrawal(this, kind, keys, limit, 'c', member, '').start();
  }

  /** It is about to be released. */
  forget(grant: RedisGrant): void {
    grant.isReleased = true;
    if (grant.isKnown) this.bySalt.delete(grant.salt);
    this.keyWatch?.delete(grant);
  }

  degraded(detail: string): void {
    if (this.degradedTexts.add(detail)) this.links.tell({ server: this.server, state: 'degraded', detail });
  }

  /** What has happened, for statistics. */
  tally(): RedisCounts & { queues: number; waiters: number; calls: number; ops: number } {
    let waiters = 0;
    for (const queue of this.queues.values()) waiters += queue.waiters.size;
    const { counts, queues, calls, locks, semaphores } = this;
    return { ...counts, queues: queues.size, waiters, calls: calls.count, ops: locks.count + semaphores.count };
  }

  private async probe(): Promise<void> {
    const { driver, host, clock, alarms, config } = this;
    const warnings = checkServer(await serverInfo(driver), driver.server, driver.isCluster);
    for (const warning of warnings) host.log('warn', warning);
    // Whether it may be used at all; any key will do.
    if (config.watch) await driver.watch([this.names.of('lock', '').key]);
    this.client = await joinAs(driver, host.entropy);
    if (!driver.isSharded) return;
    this.channels = new ShardedChannels(
      clock,
      alarms,
      (tag) => this.driver.subscribe(channelOf(this.client, tag)),
      (tag) => this.driver.unsubscribe(channelOf(this.client, tag)),
    );
  }

  private up(isFirst: boolean): void {
    this.links.tell({ server: this.server, state: 'up' });
    this.retries.flush();
    this.pokeAll();
    // A failover may have lost what was held.
    if (!isFirst) this.suspects.tell();
  }

  /** It will never be used. */
  private end(error: LockError): void {
    this.refuseAll(error);
  }

  private refuseAll(error: LockError): void {
    this.joins.clear();
    for (const { waiters } of [...this.queues.values()]) for (const one of [...waiters]) one.giveUp(error);
    for (const one of [...this.open]) one.giveUp(error);
    this.ended = error;
    this.retries.flush();
  }

  /** Messages may have been missed. */
  private pokeAll(): void {
    if (!this.outage) for (const queue of this.queues.values()) queue.poke();
  }

  private heard(text: string): void {
    const message = parseMessage(text);
    if (message?.type === 'look') this.queues.get(message.key)?.poke();
    else if (message) {
      const { token, kind, key, confirm } = message;
      this.tell({ token, kind, key, validFrom: undefined, leaseMs: undefined, confirm });
    }
  }

  private opError(text: string, { key }: LockKeys): LockError {
    const { server, driver } = this;
    const error = typedError(text, { server, key: this.names.withoutPrefix(key) });
    if (isNoMaster(error)) driver.kick(key);
    const why = degradation(error);
    if (why) this.degraded(why);
    return error;
  }
}
