import { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { Commands, TryOp, UnlockOp } from '../commands/commands.js';
import type { AdvisoryId } from '../ids/lock-id.js';
import type { Session } from '../sessions/session.js';
import type { KeptHolds } from './kept-holds.js';
import type { Looker } from './looks.js';

/** A try for a lock that may be kept: what it is granted is given back if it is. Only then is it refused. */
export class CheckedTry implements TryOp, UnlockOp, Looker {
  readonly id: AdvisoryId;
  private session: Session | undefined;
  private fence = 0n;
  private sentAt: Ms = 0;
  /** Why nobody knows whether it is kept. */
  private error: LockError | undefined;

  /** @param since when its caller began to wait */
  constructor(
    private readonly op: TryOp,
    private readonly kept: KeptHolds,
    private readonly commands: Pick<Commands, 'unlock'>,
    readonly since: Ms,
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

  dropped(): void {
    this.op.dropped();
  }

  failed(error: LockError): void {
    this.op.failed(error);
  }

  overdue(error: LockError): void {
    if (!this.isDropped) this.op.overdue(error);
  }

  /** Looker */
  looked(restMs: Ms): void {
    if (restMs === 0) this.op.granted(this.session!, this.fence, this.sentAt);
    else this.giveBack();
  }

  /** Looker */
  lookFailed(error: LockError): void {
    this.error = error;
    this.overdue(error);
    this.giveBack();
  }

  /** UnlockOp: of what is given back. */
  over(): void {
    if (this.error) this.op.failed(this.error);
    else this.op.refused();
  }

  /** UnlockOp */
  done(outcome: Parameters<UnlockOp['done']>[0]): void {
    if (outcome instanceof LockError) this.overdue(outcome);
  }

  private giveBack(): void {
    this.commands.unlock(this.session!, this);
  }
}
