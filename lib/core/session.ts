import { LinkedList } from '../common/linked-list.js';
import type { Hold, Resource, Ticket, Waiter } from './resource.js';
import { WEIGHT } from './signal-weight.js';
import type { OpId, SessionSink } from './types.js';

/**
 * One connection, as the engine sees it: its holds, its waiting operations, its two-phase states. It ends with its
 * connection: Engine.close, which is in disconnect.ts.
 */
export class Session {
  readonly holds = new LinkedList<Hold>();
  /** Operations that wait in a queue. */
  readonly waiting = new Map<OpId, Waiter>();
  readonly tickets = new Map<Resource, Ticket>();
  closed = false;
  /** What a copy of a signal costs its host. */
  copyWeight = WEIGHT.copy;

  constructor(
    /** Counts from 1 for each engine (spec 4.1). */
    readonly id: number,
    readonly sink: SessionSink,
    readonly peer: string,
  ) {}
}
