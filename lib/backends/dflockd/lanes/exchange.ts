import type { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { Reply, Request } from '../../../protocol/messages.js';

/** The outcome of a request, passed in the turn in which it is known. `sentAt`: when it was handed to the socket. */
export type Done = (outcome: Reply | LockError, sentAt: Ms) => void;

/** Whether the request holds up those behind it on its connection (spec 1.7). */
export const isBlocking = (r: Request): boolean => (r.t === 'acquire' || r.t === 'wait') && r.waitMs > 0;

/** How long the server may take for a blocking request. It counts whole seconds. */
export const waitOf = (r: Request): Ms => Math.ceil((r as { waitMs: Ms }).waitMs / 1000) * 1000;

/**
 * Whether a bare `error` reply may announce the end of an idle connection (rule 7), even where it is the usual reply,
 * as to a ping before 1.14.
 */
export const isAmbiguous = (r: Request): boolean =>
  r.t === 'ping' || r.t === 'renew' || r.t === 'release' || (r.t === 'acquire' && r.waitMs === 0);

/** The request that releases a lock granted after its caller has stopped waiting. */
export function releaseOf(request: Request, reply: Reply): Request | undefined {
  if (reply.s !== 'granted' || (request.t !== 'acquire' && request.t !== 'wait')) return undefined;
  return { t: 'release', kind: request.kind, key: request.key, token: reply.token };
}

/**
 * A request and its pending reply. Its position in the lane's pipeline outlives its caller, because replies come in
 * order.
 */
export class Exchange {
  sentAt: Ms = 0;
  /** Time by which the reply must come. */
  dueAt: Ms = Infinity;
  /** Overdue: casts doubt on the lane. */
  late = false;
  next: Exchange | undefined;

  constructor(
    readonly request: Request,
    /** Undefined: a tombstone. No caller waits for the reply any more. */
    public done: Done | undefined,
    /** How long the reply may take after the request is sent. */
    readonly patience: Ms,
  ) {}
}

/** Requests in the order in which they were sent, which is the order of their replies. */
export class ExchangeQueue {
  head: Exchange | undefined;
  private tail: Exchange | undefined;
  size = 0;

  push(exchange: Exchange): void {
    if (this.tail) this.tail.next = exchange;
    else this.head = exchange;
    this.tail = exchange;
    this.size++;
  }

  shift(): Exchange | undefined {
    const { head } = this;
    if (!head) return undefined;
    this.head = head.next;
    if (!this.head) this.tail = undefined;
    head.next = undefined;
    this.size--;
    return head;
  }
}
