import { lockId } from '../../../lib/entries/postgres.js';
import { PostgresPair } from '../../support/postgres/pair.js';
import { PostgresServer } from '../../support/postgres/server.js';
import { until } from '../../support/until.js';
import { Child } from '../lab/child.js';
import { type Outcome, outcomeOf } from '../lab/outcome.js';
import type { Account } from '../processes/beliefs.js';
import type { PostgresHolderOptions } from '../processes/postgres-holder.js';
import type { Entry } from '../processes/postgres-rival.js';

/** How much is measured. */
export interface Scale {
  /** Each with a client and a proxy of its own. */
  readonly locks: number;
  readonly sessionTimeoutMs: number;
}

/** Connections that are no longer needed are kept for longer than this. */
const LEAKED_MS = 700;
const LOCKS = `select (classid::bigint << 32 | objid::bigint)::text as id,
    format('%s of %s, granted: %s', mode, pid, granted) as text
  from pg_locks where locktype = 'advisory' and objsubid = 1`;
const PREFIX = 'lock-';

/**
 * Postgres, and a process that holds locks in it through proxies; a rival wants them all. Every other lock came by
 * waiting, and is owned by another connection of its client than one that was free.
 */
export class PostgresStage {
  proxy!: Child;
  holder!: Child;
  private rival!: Child;

  private constructor(
    readonly server: PostgresServer,
    /** Where there is one. */
    readonly standby: PostgresServer | undefined,
    private readonly scale: Scale,
  ) {}

  static async play<T>(kind: 'server' | 'pair', scale: Scale, act: (stage: PostgresStage) => Promise<T>): Promise<T> {
    const settings = { max_connections: 200 };
    const pair = kind === 'pair' ? await PostgresPair.start({ settings }) : undefined;
    const server = pair ? pair.primary : await PostgresServer.start({ settings });
    const stage = new PostgresStage(server, pair?.standby, scale);
    try {
      await stage.open();
      await stage.hold();
      return await act(stage);
    } finally {
      await stage.close();
    }
  }

  get keys(): readonly string[] {
    return Array.from({ length: this.scale.locks }, (_, i) => `${PREFIX}${i}`);
  }

  /** What became of the locks. @param faultAt when the fault struck a lock, nanoseconds */
  async outcomes(faultAt: (key: string) => number): Promise<Outcome[]> {
    const entries = await this.entries();
    const { beliefs, stalls } = await this.holder.ask<Account>('account');
    return beliefs.map((belief) => outcomeOf(belief, stalls, faultAt(belief.key), entries.get(belief.key)));
  }

  /** The same where nobody is left to ask. */
  async outcomesOfDead(faultAt: number): Promise<Outcome[]> {
    const entries = await this.entries();
    return this.keys.map((key) => {
      const belief = { key, fence: '', affirmedAt: faultAt };
      return outcomeOf(belief, [], faultAt, entries.get(key));
    });
  }

  /** When the rival got what it wanted, nanoseconds. */
  async entries(): Promise<ReadonlyMap<string, number>> {
    return new Map((await this.rival.ask<Entry[]>('entries')).map(({ key, at }) => [key, at]));
  }

  /** The fences of those who take the keys after the holders. */
  async fencesAfter(keys: readonly string[]): Promise<bigint[]> {
    return (await this.rival.ask<string[]>('fences', keys)).map(BigInt);
  }

  /** What somebody has or wants besides the holders, for longer than it takes to give it back. */
  async leaks(): Promise<string[]> {
    const ours = new Set(this.keys.map((key) => lockId(key)));
    // What clients publish about themselves is in the space of two integers.
    const strange = async (): Promise<string[]> =>
      (await this.server.query<{ id: string; text: string }>(LOCKS))
        .filter(({ id }) => !ours.has(BigInt(id)))
        .map(({ id, text }) => `${id}: ${text}`);
    await until(async () => (await strange()).length === 0, 'the locks to be given back', LEAKED_MS).catch(
      () => undefined,
    );
    return strange();
  }

  /** One more process beside the holders, directly at the server. */
  async withChurn<T>(act: (churn: Child) => Promise<T>): Promise<T> {
    const { port } = this.server;
    const churn = await Child.start('postgres-churn', 'churn', [`${port}`, `${this.scale.sessionTimeoutMs}`]);
    try {
      return await act(churn);
    } finally {
      await churn.kill();
    }
  }

  /** The rival goes on at the standby, which is a primary from then on. */
  async promoteStandby(): Promise<void> {
    await this.standby!.promote();
    await this.rival.ask('move', this.standby!.port);
  }

  private async open(): Promise<void> {
    const { locks, sessionTimeoutMs } = this.scale;
    this.proxy = await Child.start('proxy', 'proxy', ['/dev/null']);
    this.rival = await Child.start('postgres-rival', 'rival', [`${this.server.port}`]);
    const ports = await this.proxy.ask<number[]>('open', this.server.port, locks);
    const options: PostgresHolderOptions = { prefix: PREFIX, sessionTimeoutMs };
    this.holder = await Child.start('postgres-holder', 'holder', [JSON.stringify(options), JSON.stringify(ports)]);
  }

  private async hold(): Promise<void> {
    const waitedFor = this.keys.filter((_, i) => i % 2 === 1);
    await this.rival.ask('take', waitedFor);
    const held = this.holder.ask('hold');
    await Promise.race([held, until(() => this.haveWaiters(waitedFor.length), 'the waiters', 20_000)]);
    await this.rival.ask('leave');
    await held;
    await this.rival.ask('want', this.keys);
  }

  private async haveWaiters(count: number): Promise<boolean> {
    return (await this.server.advisoryLocks()).filter(({ granted }) => !granted).length === count;
  }

  private async close(): Promise<void> {
    const children = [this.holder, this.rival, this.proxy].filter((child) => child !== undefined);
    await Promise.all(children.map((child) => child.kill()));
    this.server.resume();
    await Promise.all([this.standby?.stop(), this.server.stop()]);
  }
}
