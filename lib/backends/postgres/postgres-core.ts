import { Alarms } from '../../common/alarms.js';
import { Callbacks } from '../../common/callbacks.js';
import { type LockError, LockLostError, ShuttingDownError } from '../../common/errors.js';
import { RecentTexts } from '../../common/recent-texts.js';
import type { Clock, Entropy, Ms } from '../../common/system.js';
import type { AcquireRequest, BackendHost, LinkEvent, LockKind, Proof, Released } from '../backend.js';
import type { Commands, TryOp } from './commands/commands.js';
import type { WaitSessions } from './commands/wait-sessions.js';
import { PlainStatement } from './commands/plain-statement.js';
import { STATEMENTS } from './commands/statements.js';
import { HashedIds } from './hashed-ids.js';
import type { AdvisoryId } from './ids/lock-id.js';
import { advisoryIdOf, isServerHash } from './ids/lock-id-option.js';
import { hasHeldSlot, isHeld, type Question } from './inspection.js';
import { Keeping } from './keeping.js';
import type { KeptHolds } from './keep/kept-holds.js';
import { Leases } from './leases.js';
import type { BackendConfig } from './options.js';
import { PostgresGrant } from './postgres-grant.js';
import type { PostgresSite, TicketCaller } from './postgres-site.js';
import { type PostgresStats, statsOf } from './postgres-stats.js';
import { Holdings } from './queues/holdings.js';
import type { KeyQueue } from './queues/key-queue.js';
import { KeyQueues } from './queues/key-queues.js';
import { LockQueue } from './queues/lock-queue.js';
import type { Starving } from './queues/queue-site.js';
import { SlotQueues } from './queues/slot-queues.js';
import type { Tenure } from './queues/tenure.js';
import { SessionOwners } from './session-owners.js';
import type { ServerFacts, SessionDialer, TextRow } from './sessions/session.js';

/** Of the server's table of locks, one process may use this part, and no more than so many. */
const TABLE_PART = 1 / 8;
const MOST_HELD = 1000;

const nothing = (): void => undefined;

/** What is locked. */
export type Resource = Pick<AcquireRequest, 'kind' | 'key' | 'limit'>;

/** The connections of a backend. */
export interface Connections {
  readonly dialer: Pick<SessionDialer, 'server' | 'facts' | 'onDegraded' | 'close'>;
  readonly commands: Commands;
  readonly waitSessions: WaitSessions;
}

/** What the backend consists of, put together, and what happens between the parts. */
export class PostgresCore implements PostgresSite {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly waits: Alarms;
  readonly alarms: Alarms;
  readonly holdings = new Holdings((detail) => this.degraded(detail));
  readonly commands: Commands;
  readonly waitSessions: WaitSessions;
  readonly links = new Callbacks<[event: LinkEvent]>();
  /** Holders had better ask whether their session lives. */
  readonly suspects = new Callbacks<[]>();
  readonly tickets = new Set<TicketCaller>();
  ended: LockError | undefined;
  private readonly locks = new KeyQueues<LockQueue>((detail) => this.degraded(detail));
  readonly slots: SlotQueues;
  private readonly keeping: Keeping;
  private readonly leases: Leases;
  private readonly hashes: HashedIds;
  private readonly owners = new SessionOwners();
  private readonly hungry = new Set<Starving>();
  private readonly degradedTexts: RecentTexts;
  private grants = 0;

  constructor(
    readonly config: BackendConfig,
    private readonly connections: Connections,
    private readonly host: BackendHost,
  ) {
    const { clock, entropy } = host;
    const { commands, waitSessions, dialer } = connections;
    this.clock = clock;
    this.entropy = entropy;
    this.degradedTexts = new RecentTexts(clock);
    this.waits = new Alarms(clock, true);
    this.alarms = new Alarms(clock);
    this.leases = new Leases(clock, this.alarms, (grant) => this.end(grant, nothing));
    this.commands = commands;
    this.hashes = new HashedIds(commands);
    this.waitSessions = waitSessions;
    this.slots = new SlotQueues(this);
    this.keeping = new Keeping(config, this);
    commands.onUp((_, isFirst) => this.up(isFirst));
    commands.onDown((error) => this.down(error));
    commands.onFatal((error) => this.refuseAll(error));
    commands.onSuspect(() => this.suspects.tell());
    commands.onDegraded((detail) => this.degraded(detail));
    waitSessions.onFree(() => this.feed());
    waitSessions.onDegraded((detail) => this.degraded(detail));
    dialer.onDegraded((detail) => this.degraded(detail));
    if (config.maxHeld !== undefined) this.holdings.limit = config.maxHeld;
  }

  get server(): string {
    return this.connections.dialer.server;
  }

  get facts(): ServerFacts | undefined {
    return this.connections.dialer.facts;
  }

  async start(): Promise<void> {
    // What was final at the last start may have been mended.
    this.ended = undefined;
    await this.commands.start();
    await this.keeping.prepare();
  }

  async close(graceMs: Ms): Promise<void> {
    const error = new ShuttingDownError({ server: this.server });
    this.refuseAll(error);
    await this.commands.close(graceMs);
    this.waitSessions.close(error);
    this.connections.dialer.close(error);
    this.waits.clear();
    this.alarms.clear();
  }

  /** @throws ShuttingDownError, LockUnavailableError */
  assertUsable(): void {
    const why = this.ended ?? this.commands.outage;
    if (why) throw why;
  }

  /** PostgresSite */
  lockQueueOf(key: string, done: (queue: LockQueue | undefined, error?: LockError) => void): void {
    const known = this.locks.find(key);
    if (known) return done(known);
    const id = advisoryIdOf(this.config.lockId, 'lock', key, 'postgresBackend.lockId');
    if (isServerHash(id)) {
      this.hashes.ask(id.hash, key, (computed, error) => {
        done(computed === undefined ? undefined : this.addQueue(key, computed), error);
      });
    } else {
      done(this.addQueue(key, id));
    }
  }

  grant(req: AcquireRequest, tenure: Tenure, leaseMs: Ms): PostgresGrant {
    const grant = new PostgresGrant(req, tenure, this.owners.of(tenure.session), leaseMs, ++this.grants);
    this.leases.add(grant);
    return grant;
  }

  /** @throws LockLostError, LockUnavailableError */
  renew(grant: PostgresGrant, leaseMs: Ms): Promise<Proof> {
    const { req, tenure } = grant;
    const { session, place } = tenure;
    const lost = (cause?: LockError): LockLostError =>
      new LockLostError(req.key, session.isEnded ? 'disconnected' : 'rejected', { server: session.server, cause });
    return new Promise((resolve, reject) => {
      if (grant.isOver || session.isEnded) return reject(lost());
      const proven = (error?: LockError): void => {
        if (grant.isOver || session.isEnded) return reject(lost(error));
        if (error) return reject(error);
        const validFrom = this.clock.now();
        this.leases.move(grant, validFrom + leaseMs);
        resolve({ validFrom, leaseMs });
      };
      if (this.clock.now() - session.provenAt < this.config.sessionTimeoutMs / 3) proven();
      else if (place) place.confirm(proven);
      else this.commands.prove(session, proven);
    });
  }

  /** The grant ends now, and the next caller may have its lock. */
  end(grant: PostgresGrant, done: (outcome: Released) => void): void {
    if (grant.isOver) return done('gone');
    grant.isOver = true;
    this.leases.remove(grant);
    grant.tenure.keeper.release(grant.tenure, done);
  }

  /** Released, and kept from everybody for so long. */
  keep(grant: PostgresGrant, keepMs: Ms, done: (outcome: Released) => void): void {
    if (grant.isOver || grant.tenure.session.isEnded) return this.end(grant, done);
    grant.isOver = true;
    this.leases.remove(grant);
    this.keeping.release(grant.tenure, grant.req.kind, keepMs, done);
  }

  isLocked(key: string, kind: LockKind): Promise<boolean> {
    if (kind === 'sem') return this.ask(hasHeldSlot(key)).then((rows) => rows[0]?.[0] === 't');
    const since = this.clock.now();
    return new Promise((resolve, reject) => {
      this.lockQueueOf(key, (queue, error) => {
        if (!queue) return reject(error!);
        const { placeId } = queue;
        this.ask(isHeld(placeId), since)
          .then((rows) => rows[0]?.[0] === 't' || this.keeping.isKept(placeId, since))
          .then(resolve, reject);
      });
    });
  }

  async ping(): Promise<void> {
    await this.ask([STATEMENTS.prove, []]);
  }

  stats(): PostgresStats {
    return statsOf(this, this.facts, this.queues());
  }

  get kept(): KeptHolds | undefined {
    return this.keeping.table;
  }

  try(op: TryOp): void {
    this.keeping.try(op);
  }

  starving(queue: Starving): void {
    const { size } = this.hungry;
    this.hungry.add(queue);
    if (size > 0) return;
    this.degraded(
      `all ${this.waitSessions.cap} wait connections are in use: callers that wait for further keys poll instead (option postgresBackend.maxWaitConnections)`,
    );
  }

  degraded(detail: string): void {
    if (this.degradedTexts.add(detail)) this.links.tell({ server: this.server, state: 'degraded', detail });
  }

  warn(message: string): void {
    this.host.log('warn', message);
  }

  private queues(): KeyQueue[] {
    return [...this.locks, ...this.slots];
  }

  private addQueue(key: string, id: AdvisoryId): LockQueue {
    return this.locks.find(key) ?? this.locks.add(key, id, () => new LockQueue(this, id));
  }

  private ask([statement, values]: Question, since?: Ms): Promise<readonly TextRow[]> {
    return new Promise((resolve, reject) => {
      const outcomes = { answered: resolve, failed: reject, ended: reject };
      this.commands.query(new PlainStatement(statement, values, outcomes), since);
    });
  }

  private up(isFirst: boolean): void {
    const { facts, config, holdings } = this;
    if (config.maxHeld === undefined && facts) {
      holdings.limit = Math.max(1, Math.min(MOST_HELD, Math.floor(facts.lockTableSize * TABLE_PART)));
    }
    this.links.tell({ server: this.server, state: 'up' });
    this.keeping.up((error) => this.refuseAll(error));
    for (const queue of this.queues()) {
      if (isFirst) queue.adjust();
      else queue.resume();
    }
    for (const ticket of [...this.tickets]) ticket.resume();
  }

  private down(error: LockError): void {
    for (const queue of this.queues()) queue.down();
    this.links.tell({ server: this.server, state: 'down', error });
  }

  /** A place may be had: who has polled for longest comes first. */
  private feed(): void {
    for (const queue of [...this.hungry]) {
      if (queue.state === 'polling') queue.adjust();
      if (queue.state === 'polling') return;
      this.hungry.delete(queue);
    }
  }

  private refuseAll(error: LockError): void {
    this.ended = error;
    for (const ticket of [...this.tickets]) ticket.giveUp(error);
    for (const queue of this.queues()) queue.fail(error);
  }
}
