import type { Pending, Waiter } from '../../backends/backend.js';
import type { Alarms } from '../../common/alarms.js';
import { withOrigin } from '../../common/error-origin.js';
import { ConfigError, ShuttingDownError, UnsupportedError } from '../../common/errors.js';
import { shownList } from '../../common/shown.js';
import type { Ms } from '../../common/system.js';
import type { BackendStart } from '../acquire/backend-start.js';
import type { Lease } from '../lease/lease.js';
import type { LeaseKeeper } from '../lease/lease-keeper.js';
import type { LockHandle } from '../handle/lock-handle.js';
import type { CheckedAcquire } from '../acquire/checked-acquire.js';
import { explained, type LockAcquirer } from '../acquire/lock-acquirer.js';
import { assertNotNested } from '../acquire/nesting.js';
import { type LockTicket, Ticket, type TicketHost } from './ticket.js';

/** All tickets of a client that are not over. */
export class Tickets implements TicketHost {
  private readonly open = new Set<Ticket>();

  constructor(
    readonly keeper: LeaseKeeper,
    private readonly start: BackendStart,
    private readonly acquirer: LockAcquirer,
  ) {}

  /** @throws ConfigError, UnsupportedError, ShuttingDownError, the reason of the signal */
  issue(request: CheckedAcquire): LockTicket {
    try {
      this.checkIssue(request);
    } catch (error) {
      throw withOrigin(error, this.keeper);
    }
    const ticket = new Ticket(request, this);
    this.open.add(ticket);
    return ticket;
  }

  /** Gives up all places and tells the callers that wait for them. */
  close(): void {
    for (const ticket of [...this.open]) void ticket.giveUp(new ShuttingDownError({ key: ticket.keys[0]! }));
  }

  /** TicketHost */
  get alarms(): Alarms {
    return this.acquirer.alarms;
  }

  /** TicketHost */
  ready({ deadline, signal }: CheckedAcquire): Promise<void> | undefined {
    return this.start.isDecided ? undefined : this.acquirer.ready(deadline, signal);
  }

  /** TicketHost. A place has no deadline: it lasts until it is given up, however long its holder means to wait. */
  enqueue(request: CheckedAcquire, waiter: Waiter): Pending {
    this.assertUsable(request);
    this.keeper.watch.sampleIfStale();
    return this.keeper.backend.enqueue({ ...request.wires[0]!, deadline: Infinity }, 'ticket', waiter);
  }

  /** TicketHost */
  hold(request: CheckedAcquire, leases: readonly Lease[], since: Ms): LockHandle {
    return this.acquirer.hold(request, leases, since);
  }

  /** TicketHost */
  queued(request: CheckedAcquire): void {
    this.acquirer.noteQueued(request);
  }

  /** TicketHost */
  explain(error: unknown, request: CheckedAcquire): unknown {
    return explained(error, request);
  }

  /** TicketHost */
  ended(ticket: Ticket): void {
    this.open.delete(ticket);
  }

  private checkIssue(request: CheckedAcquire): void {
    const { keys, signal } = request;
    if (keys.length > 1) throw new ConfigError(`a ticket is for one key, got ${shownList(keys)}`);
    assertNotNested(this.acquirer.nesting(request));
    this.assertUsable(request);
    signal?.throwIfAborted();
  }

  private assertUsable(request: CheckedAcquire): void {
    this.acquirer.assertUsable(request);
    if (this.start.capabilities?.tickets === false) {
      const { name } = this.keeper.backend;
      throw new UnsupportedError(`${name} does not support tickets`, {
        key: request.keys[0]!,
      });
    }
  }
}
