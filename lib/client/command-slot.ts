import { type Alarm, newAlarm } from '../common/alarms.js';
import { AuthError, ConfigError, LockError, LockUnavailableError } from '../common/errors.js';
import type { Ms } from '../common/system.js';
import type { Backoff } from './backoff.js';
import { Lane } from './lane.js';
import type { LaneContext } from './lane-context.js';

/** Told when a lane is connected, and when none can be, for which `error` is the reason. */
export type SlotChanged = (error?: LockError) => void;

/** idle (before the first use) → dialing → up; down waits for the next attempt; failed and closed are for ever. */
type State = 'idle' | 'dialing' | 'up' | 'down' | 'failed' | 'closed';

type Waiting = (outcome: Lane | LockError) => void;

/** A command lane that is always there: connected again when it is lost, replaced when it is suspect. */
export class CommandSlot {
  private state: State = 'idle';
  private current: Lane | undefined;
  /** Suspect and draining lanes, kept for the grants they own. */
  private readonly elders = new Set<Lane>();
  private readonly waiting = new Set<Waiting>();
  private readonly redial: Alarm = newAlarm(() => this.dial());
  private lastError: LockError | undefined;
  private told: 'nothing' | 'up' | 'down' = 'nothing';

  constructor(
    private readonly context: LaneContext,
    private readonly backoff: Backoff,
    private readonly changed: SlotChanged,
  ) {}

  /** The lane, if it can be used right now. */
  get lane(): Lane | undefined {
    return this.current?.isUsable ? this.current : undefined;
  }

  /** Connected; stays so while a suspect lane is being replaced. */
  get isUp(): boolean {
    return this.told === 'up';
  }

  get lanes(): readonly Lane[] {
    return this.current ? [this.current, ...this.elders] : [...this.elders];
  }

  /** Connects, if it has not begun to. */
  open(): void {
    if (this.state === 'idle') this.dial();
  }

  /**
   * The lane as soon as there is one, or the error of the next attempt. Called back at once where that is known.
   * Returns the cancellation.
   */
  whenUp(callback: Waiting): () => void {
    this.open();
    const { lane } = this;
    if (lane) callback(lane);
    else if (this.state === 'failed' || this.state === 'closed') callback(this.lastError!);
    else {
      this.waiting.add(callback);
      return () => this.waiting.delete(callback);
    }
    return () => undefined;
  }

  /** The server shuts down. */
  drain(): void {
    for (const lane of this.lanes) lane.drain();
  }

  /** No more attempts; the lanes end when their last answers have come. */
  retire(error: LockError): void {
    this.finish('closed', error);
    for (const lane of this.lanes) lane.retire(error);
  }

  /** Ends all lanes now. */
  destroy(error: LockError): void {
    this.finish('closed', error);
    for (const lane of this.lanes) lane.end(error);
  }

  private dial(): void {
    this.state = 'dialing';
    try {
      this.current = new Lane('command', this.context, {
        connected: (lane) => this.connected(lane),
        freed: (lane) => this.dismiss(lane),
        doubted: (lane) => this.setAside(lane),
        trusted: (lane) => lane === this.current && this.tell(lane),
        ended: (lane, error) => this.ended(lane, error),
      });
    } catch (error) {
      this.lost(error as LockError);
    }
  }

  private connected(lane: Lane): void {
    this.state = 'up';
    this.backoff.reset();
    this.lastError = undefined;
    this.told = 'up';
    this.changed();
    this.tell(lane);
  }

  /** The lane keeps its grants; new work goes to another. */
  private setAside(lane: Lane): void {
    if (lane !== this.current || this.state !== 'up') return;
    this.elders.add(lane);
    this.current = undefined;
    this.dial();
  }

  /** A lane that had been set aside and owns nothing is of no more use. */
  private dismiss(lane: Lane): void {
    if (this.elders.has(lane)) lane.end(new LockUnavailableError(`${lane.server}: replaced`, { server: lane.server }));
  }

  private ended(lane: Lane, error: LockError): void {
    if (this.elders.delete(lane)) return;
    this.current = undefined;
    if (this.state === 'dialing' || this.state === 'up') this.lost(error);
  }

  private lost(error: LockError): void {
    const everUp = this.told !== 'nothing';
    // Time does not heal these; but where TLS has worked once, it may again.
    if (error instanceof AuthError || (error instanceof ConfigError && !everUp)) {
      this.finish('failed', error);
    } else {
      this.state = 'down';
      this.lastError = error;
      this.redialIn(this.backoff.next());
    }
    if (this.told !== 'down') {
      this.told = 'down';
      this.changed(error);
    }
    this.tell(error);
  }

  private redialIn(delay: Ms): void {
    const { alarms, clock } = this.context;
    // Never in the same turn: a server that accepts and closes would be asked again and again.
    alarms.set(this.redial, clock.now() + Math.max(delay, 1));
  }

  private finish(state: 'failed' | 'closed', error: LockError): void {
    if (this.state === 'closed') return;
    this.state = state;
    this.lastError = error;
    this.context.alarms.cancel(this.redial);
    this.tell(error);
  }

  private tell(outcome: Lane | LockError): void {
    const waiting = [...this.waiting];
    this.waiting.clear();
    for (const callback of waiting) callback(outcome);
  }
}
