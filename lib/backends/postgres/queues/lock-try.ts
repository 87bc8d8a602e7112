import type { Ms } from '../../../common/system.js';
import type { Released } from '../../backend.js';
import type { TryOp, UnlockOp } from '../commands/commands.js';
import type { AdvisoryId } from '../ids/lock-id.js';
import type { Session } from '../sessions/session.js';
import type { Holdings } from './holdings.js';
import { KeyTry, type KeyTryOf } from './key-try.js';
import type { QueueSite } from './queue-site.js';

/** What a try needs of the queue of its lock. */
export interface LockTryOf extends KeyTryOf {
  readonly placeId: AdvisoryId;
  granted(session: Session, fence: bigint, sentAt: Ms): void;
}

/** A try of a queue for a lock. */
export class LockTry extends KeyTry<LockTryOf> implements TryOp {
  readonly id: AdvisoryId;

  constructor(
    queue: LockTryOf,
    private readonly site: Pick<QueueSite, 'try'>,
    since: Ms | undefined,
  ) {
    super(queue, since);
    this.id = queue.placeId;
  }

  /** Trial */
  send(): void {
    this.site.try(this);
  }

  /** TryOp */
  granted(session: Session, fence: bigint, sentAt: Ms): void {
    this.queue.granted(session, fence, this.validFrom(sentAt));
  }
}

/** The release of a lock that the command session has. It counts until the server has freed it, whenever its holder is told. */
export class LockRelease implements UnlockOp {
  constructor(
    readonly id: AdvisoryId,
    private readonly holdings: Pick<Holdings, 'give'>,
    readonly done: (outcome: Released) => void,
  ) {}

  /** UnlockOp */
  over(): void {
    this.holdings.give();
  }
}
