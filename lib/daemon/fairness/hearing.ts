import type { Clock, Ms } from '../../common/system.js';
import type { Backlog } from '../../core/driver.js';

/** Work that was read, and waits for a later turn of the event loop. */
export interface WaitingWork {
  readonly isEmpty: boolean;
  /** Calls back when everything that waits now has had its turn once. */
  afterAll(done: () => void): void;
}

/** Whoever floods the daemon delays deadlines by this much at most. */
const MOST_MS: Ms = 100;
/** The first poll accepts new connections, the second reads from them. */
const QUIET_POLLS = 2;

/**
 * Notices when everything that has arrived has been executed, except the rest of a flood. To be used before a deadline
 * ends something: after a stall, what came in time may wait behind what came from others.
 */
export class Hearing implements Backlog {
  /** Who has asked in this turn. */
  private asked: (() => void)[] | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly work: WaitingWork,
  ) {}

  /** Backlog */
  whenHeard(heard: () => void): void {
    if (this.asked) this.asked.push(heard);
    else this.begin([heard]);
  }

  private begin(all: (() => void)[]): void {
    const { clock, work } = this;
    const began = clock.now();
    let quietPolls = 0;
    const closeList = (): void => {
      if (this.asked === all) this.asked = undefined;
    };
    const poll = (): void => clock.afterPoll(look);
    const look = (): void => {
      closeList();
      quietPolls = work.isEmpty ? quietPolls + 1 : 0;
      if (quietPolls === QUIET_POLLS || clock.now() - began >= MOST_MS) for (const heard of all) this.tell(heard);
      else if (work.isEmpty) poll();
      else work.afterAll(poll);
    };
    this.asked = all;
    clock.endOfTurn(closeList);
    poll();
  }

  /** An error of one does not keep the others waiting: holders depend on them. */
  private tell(heard: () => void): void {
    try {
      heard();
    } catch (error) {
      this.clock.endOfTurn(() => {
        throw error;
      });
    }
  }
}
