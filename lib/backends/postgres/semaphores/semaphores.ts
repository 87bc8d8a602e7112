import { type Alarms, newAlarm } from '../../../common/alarms.js';
import { LimitMismatchError } from '../../../common/errors.js';
import { wrong } from '../../../common/option-checks.js';
import { shown } from '../../../common/shown.js';
import type { Ms } from '../../../common/system.js';
import { MAX_PUBLISHED } from '../ids/published-id.js';
import { Semaphore, type SemaphoreHost } from './semaphore.js';

/** How long other processes know a limit after its last use. */
const KEPT_MS: Ms = 60_000;
/** The most limits that are published without being used. Each takes room in the server's lock table. */
const MAX_UNUSED = 100;
/** A try for a slot of a full semaphore costs as much as this many locks. */
const MANY_SLOTS = 1000;

export interface SemaphoresHost extends Pick<SemaphoreHost, 'commands' | 'clock' | 'entropy'> {
  readonly alarms: Alarms;
  warn(message: string): void;
}

/** The semaphores that this process uses, or has used within a minute. */
export class Semaphores implements SemaphoreHost {
  readonly commands: SemaphoreHost['commands'];
  readonly clock: SemaphoreHost['clock'];
  readonly entropy: SemaphoreHost['entropy'];
  private readonly byKey = new Map<string, Semaphore>();
  /** Unused semaphores with the time of their last use, the oldest first. */
  private readonly idle = new Map<Semaphore, Ms>();
  private readonly sweep = newAlarm((now) => this.forgetOld(now));

  /** @param forgotten called with each semaphore that has not been used for a while, or cannot be used */
  constructor(
    private readonly host: SemaphoresHost,
    private readonly forgotten: (semaphore: Semaphore) => void,
  ) {
    this.commands = host.commands;
    this.clock = host.clock;
    this.entropy = host.entropy;
  }

  get size(): number {
    return this.byKey.size;
  }

  /**
   * @param key with its namespace
   * @throws ConfigError for a limit that is too large; LimitMismatchError for one that is not the limit of this key
   */
  get(key: string, limit: number): Semaphore {
    const known = this.byKey.get(key);
    if (known) {
      if (known.limit !== limit) throw new LimitMismatchError();
      return known;
    }
    if (limit > MAX_PUBLISHED) throw wrong('limit', `at most ${MAX_PUBLISHED} on Postgres`, limit);
    if (limit > MANY_SLOTS) {
      this.host.warn(
        `the semaphore "${shown(key)}" has a limit of ${limit}: on Postgres, each acquire of a full one tries as many ` +
          'locks; divide it into several',
      );
    }
    const semaphore = new Semaphore(key, limit, this);
    this.byKey.set(key, semaphore);
    return semaphore;
  }

  /** SemaphoreHost */
  used(semaphore: Semaphore): void {
    this.idle.delete(semaphore);
  }

  /** SemaphoreHost */
  unused(semaphore: Semaphore): void {
    if (this.byKey.get(semaphore.key) !== semaphore) return;
    const now = this.host.clock.now();
    this.idle.set(semaphore, now);
    const [oldest] = this.idle.keys();
    if (this.idle.size > MAX_UNUSED) this.forget(oldest!);
    if (this.sweep.slot < 0) this.host.alarms.set(this.sweep, now + KEPT_MS);
  }

  /** SemaphoreHost. Nothing is published, so that the next caller may ask for the limit of the others. */
  mismatched(semaphore: Semaphore): void {
    this.forget(semaphore);
  }

  private forgetOld(now: Ms): void {
    for (const [semaphore, since] of this.idle) {
      if (since + KEPT_MS > now) return this.host.alarms.set(this.sweep, since + KEPT_MS);
      this.forget(semaphore);
    }
  }

  private forget(semaphore: Semaphore): void {
    this.idle.delete(semaphore);
    if (this.byKey.get(semaphore.key) === semaphore) this.byKey.delete(semaphore.key);
    semaphore.withdraw();
    this.forgotten(semaphore);
  }
}
