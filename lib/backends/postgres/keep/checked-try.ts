import type { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { Commands, TryOp } from '../commands/commands.js';
import type { AdvisoryId } from '../ids/lock-id.js';
import type { Session } from '../sessions/session.js';
import type { KeptHolds } from './kept-holds.js';
import type { Looker } from './looks.js';

const nothing = (): void => undefined;

/** A try for a lock that may be kept: what it is granted is given back if it is. */
export class CheckedTry implements TryOp, Looker {
  readonly id: AdvisoryId;
  private session: Session | undefined;
  private fence = 0n;
  private sentAt: Ms = 0;

  constructor(
    private readonly op: TryOp,
    private readonly kept: KeptHolds,
    private readonly commands: Pick<Commands, 'unlock'>,
  ) {
    this.id = op.id;
  }

  get isDropped(): boolean {
    return this.op.isDropped;
  }

  granted(session: Session, fence: bigint, sentAt: Ms): void {
    this.session = session;
    this.fence = fence;
    this.sentAt = sentAt;
    this.kept.look(this);
  }

  refused(): void {
    this.op.refused();
  }

  failed(error: LockError): void {
    this.op.failed(error);
  }

  /** Looker */
  looked(restMs: Ms): void {
    const { op, session } = this;
    if (restMs === 0 && !op.isDropped) return op.granted(session!, this.fence, this.sentAt);
    this.giveBack();
    if (!op.isDropped) op.refused();
  }

  /** Looker */
  lookFailed(error: LockError): void {
    this.giveBack();
    if (!this.op.isDropped) this.op.failed(error);
  }

  private giveBack(): void {
    this.commands.unlock(this.session!, { id: this.id, done: nothing });
  }
}
