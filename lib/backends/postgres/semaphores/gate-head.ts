import type { Alarm, Alarms } from '../../../common/alarms.js';
import type { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { WaitSession } from '../commands/wait-sessions.js';
import type { Semaphore } from './semaphore.js';
import type { SlotTrial } from './slot-trial.js';
import type { SlotGrant, SlotUser } from './slot-user.js';

export interface GateHeadHost {
  readonly clock: { now(): Ms };
  readonly alarms: Alarms;
  readonly entropy: { unit(): number };
  /** `semPollMs`: the longest time between two tries, for a notification that was lost. */
  readonly config: { readonly semPollMs: Ms };
}

/** Is told what becomes of the head. Its methods must not throw. */
export interface HeadUser {
  /** Either `granted` or `failed` is called once, unless the head is stopped. */
  granted(grant: SlotGrant): void;
  failed(error: LockError): void;
  /** The head has taken no slot and will take none. Called once unless a slot was granted, before or after `failed`. */
  over(): void;
}

const nothing = (): void => undefined;

/**
 * The head of the queue of a semaphore: a wait session of this process has the gate. It tries for a slot at once, after each
 * notification that one was released, and from time to time. Nobody can overtake it: without the gate a try fails.
 */
export class GateHead implements Alarm, SlotUser {
  due: Ms = Infinity;
  slot = -1;
  private trial: SlotTrial | undefined;
  private isListening = false;
  /** Whether the head was served, has failed or was stopped. Its last try may not have been answered. */
  private isOver = false;
  /** A slot was released after the try was sent. */
  private isStale = false;

  constructor(
    private readonly semaphore: Semaphore,
    private readonly wait: WaitSession,
    private readonly host: GateHeadHost,
    private readonly user: HeadUser,
  ) {}

  start(): void {
    this.try();
  }

  /** SlotUser. Those behind this head at the gate must not wait for a slot that nobody here wants. */
  get isDropped(): boolean {
    return this.isOver;
  }

  /** Nobody waits any more. The gate has yet to be released. */
  stop(): void {
    if (this.isOver) return;
    this.end();
    if (!this.trial) this.user.over();
  }

  /** Alarm */
  ring(): void {
    this.try();
  }

  /** SlotUser */
  granted(grant: SlotGrant): void {
    this.trial = undefined;
    if (this.isOver) return this.semaphore.free(grant, { over: () => this.user.over(), done: nothing });
    this.end();
    this.user.granted(grant);
  }

  /** SlotUser. Slots that are released from now on are notified; one that was released before is found by the next try. */
  refused(): void {
    this.trial = undefined;
    if (this.isOver) return this.user.over();
    if (!this.isListening) {
      this.isListening = true;
      this.wait.listen(this.semaphore.channel, this.notified);
    }
    if (this.isStale) return this.try();
    const { alarms, clock, entropy, config } = this.host;
    alarms.set(this, clock.now() + config.semPollMs * (0.5 + 0.5 * entropy.unit()));
  }

  /** SlotUser */
  dropped(): void {
    this.trial = undefined;
    this.user.over();
  }

  /** SlotUser */
  failed(error: LockError): void {
    const wasOver = this.isOver;
    this.trial = undefined;
    if (!wasOver) this.end();
    this.user.over();
    if (!wasOver) this.user.failed(error);
  }

  /** SlotUser. Others must not wait at the gate for a connection of this process. */
  overdue(error: LockError): void {
    this.end();
    this.user.failed(error);
  }

  /** Also once it listens. */
  private readonly notified = (): void => {
    if (this.isOver) return;
    if (this.trial) this.isStale = true;
    else this.try();
  };

  private try(): void {
    if (this.isOver) return;
    this.host.alarms.cancel(this);
    this.isStale = false;
    const trial = this.semaphore.try(this, true);
    // It may have been answered already.
    if (!trial.isOver) this.trial = trial;
  }

  /** A session that listens while it waits would keep the notifications of the whole server. */
  private end(): void {
    this.isOver = true;
    this.host.alarms.cancel(this);
    if (this.isListening) this.wait.unlisten(this.semaphore.channel);
  }
}
