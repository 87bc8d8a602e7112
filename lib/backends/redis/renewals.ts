import { type LockError, ProtocolError } from '../../common/errors.js';
import { afterMicrotasks, type Ms } from '../../common/system.js';
import type { LockKind } from '../backend.js';
import type { Call, Calls } from './calls.js';
import type { Op } from './op.js';
import type { LockKeys } from './scripts/companion-keys.js';
import { renewScript } from './scripts/renew-script.js';
import type { Script } from './scripts/script.js';

/** Keys in one call, which blocks Redis for 0.4 ms. */
const MAX_KEYS = 250;

/** A lease that is to begin anew. */
export interface Renewal {
  readonly kind: LockKind;
  /** The full key in `keys`, as one string, if it is at hand. */
  readonly fullKey?: string;
  readonly keys: LockKeys;
  readonly limit: number;
  readonly token: string;
  readonly leaseMs: Ms;
  /** @param sentAt when the request left */
  renewed(sentAt: Ms): void;
  /** Somebody else has the lock, or nobody does. */
  gone(): void;
  unanswered(error: LockError): void;
  refused(error: LockError): void;
}

export interface RenewalsContext {
  readonly calls: Calls;
  readonly server: string;
  readonly isCluster: boolean;
  readonly eval: (script: Script, keys: readonly string[], args: readonly string[]) => Promise<unknown>;
  readonly opError: (text: string, keys: LockKeys) => LockError;
  /** Adds the op of a semaphore to its outbox. */
  readonly send: (op: Op) => void;
  /** Called for locks that have been renewed. */
  readonly renewed: (renewals: readonly Renewal[]) => void;
}

/** Renews leases: those of one turn in as few calls as possible. */
export class Renewals {
  private due: Renewal[] = [];

  constructor(private readonly context: RenewalsContext) {}

  push(renewal: Renewal): void {
    if (renewal.kind === 'sem') this.context.send(new SlotRenewal(renewal));
    else if (this.due.push(renewal) === 1) afterMicrotasks(this.flush);
  }

  private readonly flush = (): void => {
    const { due, context } = this;
    this.due = [];
    const most = context.isCluster ? 1 : MAX_KEYS;
    const calls = new Map<Ms, RenewalCall>();
    for (const renewal of due) {
      const { leaseMs } = renewal;
      let call = calls.get(leaseMs);
      if (!call) calls.set(leaseMs, (call = new RenewalCall(leaseMs, context)));
      if (call.add(renewal) < most) continue;
      call.send();
      calls.delete(leaseMs);
    }
    for (const call of calls.values()) call.send();
  };
}

/** The same string, in one piece: one that was put together is a tree until one of its characters is read. */
function flat(text: string): string {
  text.charCodeAt(0);
  return text;
}

/** The renewals of one call, to the same lease. */
class RenewalCall implements Call {
  sentAt: Ms = 0;
  private readonly renewals: Renewal[] = [];
  private readonly keys: string[] = [];
  private readonly tokens: string[] = [];

  constructor(
    private readonly leaseMs: Ms,
    private readonly context: RenewalsContext,
  ) {}

  /** Returns their number. */
  add(renewal: Renewal): number {
    this.keys.push(flat(renewal.fullKey ?? renewal.keys.key));
    this.tokens.push(flat(renewal.token));
    return this.renewals.push(renewal);
  }

  send(): void {
    const { context, keys, tokens, leaseMs } = this;
    context.calls.send(this, () => context.eval(renewScript, keys, [String(leaseMs), tokens.join('')]));
  }

  answered(replies: unknown): void {
    const { renewals, context, sentAt } = this;
    if (replies === 1) {
      for (const renewal of renewals) renewal.renewed(sentAt);
      return context.renewed(renewals);
    }
    if (!Array.isArray(replies) || replies.length !== renewals.length) {
      const { server } = context;
      return this.failed(new ProtocolError('the script answered something else than it should', { server }));
    }
    const renewed: Renewal[] = [];
    for (let i = 0; i < renewals.length; i++) {
      const renewal = renewals[i]!;
      const reply: unknown = replies[i];
      if (reply === 1) {
        renewal.renewed(sentAt);
        renewed.push(renewal);
      } else if (reply === 0) {
        renewal.gone();
      } else {
        fail(renewal, context.opError(String((reply as unknown[])[1]), renewal.keys));
      }
    }
    if (renewed.length > 0) context.renewed(renewed);
  }

  failed(error: LockError): void {
    for (const renewal of this.renewals) fail(renewal, error);
  }
}

function fail(renewal: Renewal, error: LockError): void {
  if (error.isTransient) renewal.unanswered(error);
  else renewal.refused(error);
}

/** The renewal of a slot of a semaphore, as an op of its script. */
class SlotRenewal implements Op {
  readonly kind = 'sem';
  readonly op = 'n';
  readonly y: string;
  sentAt: Ms = NaN;
  isDropped = false;

  constructor(private readonly renewal: Renewal) {
    this.y = String(renewal.leaseMs);
  }

  get keys(): LockKeys {
    return this.renewal.keys;
  }

  get limit(): number {
    return this.renewal.limit;
  }

  get x(): string {
    return this.renewal.token;
  }

  answered(reply: unknown): void {
    if (reply === 1) this.renewal.renewed(this.sentAt);
    else this.renewal.gone();
  }

  refused(error: LockError): void {
    this.renewal.refused(error);
  }

  unanswered(error: LockError): void {
    this.renewal.unanswered(error);
  }
}
