import { newAlarm } from '../../common/alarms.js';
import { LockError } from '../../common/errors.js';
import type { Ms } from '../../common/system.js';
import type { LockKind, Released } from '../backend.js';
import type { TryOp } from './commands/commands.js';
import type { AdvisoryId } from './ids/lock-id.js';
import { CheckedTry } from './keep/checked-try.js';
import { KeepSetting } from './keep/keep-setting.js';
import { KeptHolds } from './keep/kept-holds.js';
import type { BackendConfig } from './options.js';
import type { QueueSite } from './queues/queue-site.js';
import type { Tenure } from './queues/tenure.js';

/** The table is prepared again after this time, if what failed may pass. */
const RETRY_MS: Ms = 1000;

const nothing = (): void => undefined;

/**
 * Locks that are kept for a while after their release: in a table, so that they outlive this process (option `keep`), or by keeping
 * the session's lock.
 */
export class Keeping {
  /** Undefined without a table. */
  readonly table: KeptHolds | undefined;
  private readonly setting: KeepSetting;
  private isPrepared = false;
  private preparing: Promise<void> | undefined;
  private unusable: (error: LockError) => void = nothing;
  /** With the next command session it is tried again anyway. */
  private readonly retry = newAlarm(() => {
    if (this.site.commands.session) this.attempt();
  });

  constructor(
    private readonly config: Pick<BackendConfig, 'keep' | 'ensureSchema'>,
    private readonly site: Pick<QueueSite, 'clock' | 'alarms' | 'commands' | 'degraded' | 'warn'>,
  ) {
    const { clock, alarms, commands } = site;
    const degraded = (detail: string): void => site.degraded(detail);
    this.table = config.keep && new KeptHolds(config.keep, { clock, alarms, runner: commands, degraded });
    this.setting = new KeepSetting(config.keep, commands, (message) => site.warn(message));
  }

  /**
   * There is a command session.
   * @param unusable called if the table cannot be used, unless that may pass
   */
  up(unusable: (error: LockError) => void): void {
    this.unusable = unusable;
    this.setting.publish();
    this.attempt();
  }

  /**
   * Whether a lock that nobody has is kept.
   * @param since when the caller began to wait
   */
  isKept(id: AdvisoryId, since: Ms): Promise<boolean> {
    const { table } = this;
    if (!table) return Promise.resolve(false);
    return new Promise((resolve, lookFailed) =>
      table.look({ id, since, looked: (restMs) => resolve(restMs > 0), lookFailed }),
    );
  }

  /**
   * Makes sure that there is a table, unless it was there before.
   * @throws ConfigError, LockUnavailableError
   */
  prepare(): Promise<void> {
    const { table } = this;
    if (!table || this.isPrepared) return Promise.resolve();
    this.preparing ??= table
      .prepare(this.config.ensureSchema)
      .then(() => {
        this.isPrepared = true;
      })
      .finally(() => {
        this.preparing = undefined;
      });
    return this.preparing;
  }

  /** Tries for a lock. One that is kept is refused. */
  try(op: TryOp): void {
    const { commands, clock } = this.site;
    commands.try(this.table ? new CheckedTry(op, this.table, commands, op.since ?? clock.now()) : op);
  }

  /** Releases a lock, which is then kept from everybody for so long. A slot is kept only while this process lives. */
  release(tenure: Tenure, kind: LockKind, keepMs: Ms, done: (outcome: Released) => void): void {
    const { table } = this;
    if (!table || kind === 'sem') return this.keepHere(tenure, keepMs, done);
    // From now on nobody else has it without a look.
    tenure.isKept = true;
    table.keep(tenure.id, keepMs, (error) => {
      const { isEnded } = tenure.session;
      // The row is there, whatever becomes of the session now.
      if (!error) tenure.keeper.release(tenure, (outcome) => done(isEnded ? outcome : 'released'));
      else if (isEnded) this.lost(tenure, error, done);
      else this.keepHere(tenure, keepMs, done);
    });
  }

  private keepHere(tenure: Tenure, keepMs: Ms, done: (outcome: Released) => void): void {
    const { alarms, clock } = this.site;
    const alarm = newAlarm(() => tenure.keeper.release(tenure, nothing));
    alarms.set(alarm, clock.now() + keepMs);
    done('released');
  }

  private attempt(): void {
    const { alarms, clock } = this.site;
    this.prepare().catch((error: unknown) => {
      if (!(error instanceof LockError)) return;
      if (error.isTransient) alarms.set(this.retry, clock.now() + RETRY_MS);
      else this.unusable(error);
    });
  }

  /** Nobody knows whether it is kept. */
  private lost(tenure: Tenure, error: LockError, done: (outcome: Released) => void): void {
    tenure.keeper.release(tenure, nothing);
    done(error);
  }
}
