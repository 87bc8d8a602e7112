import type { LockError } from '../../../../../lib/common/errors.js';
import type { Commands, FreeSlotOp, SlotTryOp } from '../../../../../lib/backends/postgres/commands/commands.js';
import { PUBLISH, UNPUBLISH } from '../../../../../lib/backends/postgres/ids/published-statement.js';
import type { Session, Statement } from '../../../../../lib/backends/postgres/sessions/session.js';

const newSession = (): Session => ({ server: 'db:5432/app' }) as Session;

/** The command connection; the test answers what is asked of it. */
export class FakeCommands implements Pick<Commands, 'session' | 'outage' | 'query' | 'trySlot' | 'freeSlot'> {
  session: Session | undefined = newSession();
  outage: LockError | undefined;
  /** Not answered yet. */
  readonly tries: SlotTryOp[] = [];
  readonly freed: FreeSlotOp[] = [];
  readonly published: Statement[] = [];
  /** Publications are answered at once with this. */
  others: string | null | undefined = null;
  /** What is published: the object ids, once for each time. */
  readonly limits: number[] = [];
  private clock = 1000n;

  query(statement: Statement): void {
    const [, objectId] = statement.values as [number, number];
    if (statement.text === PUBLISH.text) this.limits.push(objectId & 0xfffff);
    if (statement.text === UNPUBLISH.text) this.limits.splice(this.limits.indexOf(objectId & 0xfffff), 1);
    if (this.others === undefined) this.published.push(statement);
    else statement.answered([[this.others]]);
  }

  trySlot(op: SlotTryOp): void {
    if (this.outage) return op.failed(this.outage);
    if (op.isDropped) return op.dropped();
    this.tries.push(op);
  }

  freeSlot(session: Session, op: FreeSlotOp): void {
    this.freed.push(op);
    op.over();
    op.done(session === this.session ? 'released' : 'gone');
  }

  grant(slot?: bigint): bigint {
    const op = this.tries.shift()!;
    const granted = slot ?? op.candidates[0]!;
    op.granted(this.session!, granted, (this.clock += 1000n), 0);
    return granted;
  }

  refuse(): void {
    this.tries.shift()!.refused();
  }

  fail(error: LockError): void {
    this.tries.shift()!.failed(error);
  }

  reconnect(): void {
    this.session = newSession();
    this.limits.length = 0;
  }
}
