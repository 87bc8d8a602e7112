import { type Alarms, newAlarm } from '../../../common/alarms.js';
import { LockError, LockUnavailableError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { Backoff } from '../../../common/backoff.js';
import { CommandLane, type CommandLaneChanged } from './command-lane.js';
import type { Lane } from './lane.js';
import type { LaneContext } from './lane-context.js';
import { isRefusal } from './lane-errors.js';

/** Extra time for the connector, which explains a failure better than this alarm does. */
const EXPLAIN_MS: Ms = 50;

/** The command lanes of a server. */
export class CommandLanes {
  private readonly commandLanes: readonly CommandLane[];

  /**
   * @param waits whose alarms keep the process alive
   * @param changed told whenever a command lane goes up or down; `wasUp`: any was up before
   */
  constructor(
    private readonly context: LaneContext,
    count: number,
    backoff: () => Backoff,
    private readonly waits: Alarms,
    changed: CommandLaneChanged,
  ) {
    this.commandLanes = Array.from({ length: count }, () => {
      const commandLane: CommandLane = new CommandLane(context, backoff(), (wasUp, error) => {
        changed(wasUp || this.commandLanes.some((other) => other !== commandLane && other.isUp), error);
      });
      return commandLane;
    });
  }

  get isUp(): boolean {
    return this.commandLanes.some((commandLane) => commandLane.isUp);
  }

  /** Why none is connected; a refusal takes precedence over other errors. */
  get error(): LockError | undefined {
    return this.refusal ?? this.commandLanes.find(({ error }) => error)?.error;
  }

  /** Connects those that have not begun to. */
  open(): void {
    for (const commandLane of this.commandLanes) commandLane.open();
  }

  /** Lanes of any state. */
  lanes(): Lane[] {
    return this.commandLanes.flatMap((commandLane) => commandLane.lanes);
  }

  /** The usable lane with the fewest grants. */
  lane(): Lane | undefined {
    let best: Lane | undefined;
    for (const { lane } of this.commandLanes) if (lane && (!best || lane.grants < best.grants)) best = lane;
    return best;
  }

  /**
   * Passes a lane as soon as one is connected, or the error of the next attempt, or LockUnavailableError at `deadline`,
   * but at the latest after one connect timeout. A refusal by a server that has worked before is reported only at a
   * finite deadline. Returns a function that cancels.
   * @param since when the caller asked first: an attempt that has failed since then counts as the next one
   */
  whenUp(deadline: Ms, callback: (outcome: Lane | LockError) => void, since: Ms = Infinity): () => void {
    const outcome = this.lane() ?? this.failure(since);
    if (outcome) {
      callback(outcome);
      return () => undefined;
    }
    let over = false;
    const cancellations: (() => void)[] = [];
    const cancel = (): void => {
      over = true;
      this.waits.cancel(late);
      for (const stop of cancellations) stop();
    };
    const once = (outcome: Lane | LockError): void => {
      if (over) return;
      cancel();
      callback(outcome);
    };
    const late = newAlarm((now) => {
      const { refusal } = this;
      if (refusal && now < deadline && deadline < Infinity) return this.waits.set(late, deadline);
      const settle = (): void => once(refusal ?? this.notInTime());
      if (now >= deadline) return settle();
      // After a stall the connector may be overdue as well, so let it fail first.
      const { clock } = this.context;
      clock.afterPoll(() => clock.afterPoll(settle));
    });
    const listen = (commandLane: CommandLane): void => {
      const stop = commandLane.whenUp((outcome) => {
        if (over || !(outcome instanceof LockError)) return once(outcome);
        // Another attempt is under way and decides the outcome, unless its command lane has failed meanwhile and dials
        // again.
        if (this.commandLanes.some((other) => other.isDialing && other.failedAt <= begun)) return;
        if (deadline < Infinity && outcome.isTransient && isRefusal(outcome)) return listen(commandLane);
        once(outcome);
      });
      cancellations.push(stop);
    };
    const { clock, target } = this.context;
    const begun = clock.now();
    this.waits.set(late, Math.min(deadline, begun + target.connectTimeoutMs + EXPLAIN_MS));
    for (const commandLane of this.commandLanes) if (!over) listen(commandLane);
    return cancel;
  }

  /** The server shuts down. */
  drain(): void {
    for (const commandLane of this.commandLanes) commandLane.drain();
  }

  /** Makes no more attempts; the lanes end after their last replies. */
  retire(error: LockError): void {
    for (const commandLane of this.commandLanes) commandLane.retire(error);
  }

  /** Ends all lanes now. */
  destroy(error: LockError): void {
    for (const commandLane of this.commandLanes) commandLane.destroy(error);
  }

  /** The refusal of a server that has worked before. */
  private get refusal(): LockError | undefined {
    return this.commandLanes.find(({ error }) => error?.isTransient && isRefusal(error))?.error;
  }

  /** Why there is no lane, if every command lane has failed since then. */
  private failure(since: Ms): LockError | undefined {
    return this.commandLanes.every((commandLane) => !commandLane.lane && commandLane.failedAt >= since)
      ? this.error
      : undefined;
  }

  private notInTime(): LockUnavailableError {
    const server = this.context.target.endpoint.label;
    return new LockUnavailableError(`${server}: not connected in time`, { server });
  }
}
