import type { Ms } from '../../../common/system.js';
import type { Released } from '../../backend.js';
import type { AdvisoryId } from '../ids/lock-id.js';
import type { Session } from '../sessions/session.js';
import type { Place } from './place.js';
import type { QueueSite } from './queue-site.js';

/** The owner of a tenure, which gives it to callers. */
export interface TenureKeeper {
  /** The holder of this turn is done. `done` may be called before this returns. */
  release(tenure: Tenure, done: (outcome: Released) => void): void;
}

/**
 * A lock or slot that a session of ours has, from the server's grant to the release. Callers of this process may have it one after
 * another: these are its turns.
 */
export class Tenure {
  /** How often the tenure was handed on. */
  turn = 0;
  /** The key of the caller whose turn it is: several keys may share an id. */
  key = '';
  /** It has been released, but is kept for a while (a minimum hold), so it is not handed on. */
  isKept = false;

  /**
   * @param fence of the first turn
   * @param validFrom when it was held for certain, as far as is known: not later than the grant was read
   * @param since when the grant was read
   * @param place whose session has it; undefined: the command session has it
   */
  constructor(
    readonly keeper: TenureKeeper,
    readonly id: AdvisoryId,
    readonly session: Session,
    private readonly first: bigint,
    public validFrom: Ms,
    readonly since: Ms,
    readonly place?: Place,
  ) {}

  /** Of the current turn. */
  get fence(): bigint {
    return this.turn === 0 ? this.first : this.first + BigInt(this.turn);
  }
}

/**
 * Whether the next caller of this process may have it: only for a bounded number of turns, soon after the grant, and on a session
 * that certainly lives.
 */
export function mayHandOn(
  { turn, since, session, isKept }: Tenure,
  { clock, config }: Pick<QueueSite, 'clock' | 'config'>,
): boolean {
  if (session.isEnded || isKept || turn >= config.localTurns) return false;
  const now = clock.now();
  return now - since < config.localMs && session.provenUntil() - now >= config.sessionTimeoutMs / 2;
}
