import type { LockError } from '../../../common/errors.js';
import type { Ms } from '../../../common/system.js';
import type { Reply, Request } from '../../../protocol/messages.js';

/** What came of a request. `sentAt`: when it was handed to the socket. Called in the turn in which it is known. */
export type Done = (outcome: Reply | LockError, sentAt: Ms) => void;

/** Stalls what is behind it on its connection (spec 1.7). */
export const isBlocking = (r: Request): boolean => (r.t === 'acquire' || r.t === 'wait') && r.waitMs > 0;

/** How long the server may take for a blocking request: it counts whole seconds. */
export const waitOf = (r: Request): Ms => Math.ceil((r as { waitMs: Ms }).waitMs / 1000) * 1000;

/**
 * A bare `error` to these may as well announce the end of an idle connection (rule 7), even where it is the usual answer:
 * to a ping, before 1.14.
 */
export const isAmbiguous = (r: Request): boolean =>
  r.t === 'ping' || r.t === 'renew' || r.t === 'release' || (r.t === 'acquire' && r.waitMs === 0);

/** What gives back a lock that an answer brings although nobody waits for it any more. */
export function releaseOf(request: Request, reply: Reply): Request | undefined {
  if (reply.s !== 'granted' || (request.t !== 'acquire' && request.t !== 'wait')) return undefined;
  return { t: 'release', kind: request.kind, key: request.key, token: reply.token };
}

/** A request and its answer to come. Its place in the line of its lane outlives its caller: answers come in order. */
export class Exchange {
  sentAt: Ms = 0;
  /** When its caller has waited long enough. */
  dueAt: Ms = Infinity;
  /** Overdue: counts as a doubt about the lane. */
  late = false;
  next: Exchange | undefined;

  constructor(
    readonly request: Request,
    /** Undefined: a tombstone. Nobody waits for the answer any more. */
    public done: Done | undefined,
    /** How long the answer may take once the request is sent. */
    readonly patience: Ms,
  ) {}
}

/** Requests in the order in which they were sent, which is that of their answers. */
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
