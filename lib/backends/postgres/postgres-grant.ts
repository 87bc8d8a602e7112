import type { Linked } from '../../common/linked-list.js';
import type { Ms } from '../../common/system.js';
import type { AcquireRequest, Grant, Owner } from '../backend.js';
import type { AdvisoryId } from './ids/lock-id.js';
import type { Tenure } from './queues/tenure.js';

const hex = (id: AdvisoryId): string =>
  typeof id === 'bigint' ? BigInt.asUintN(64, id).toString(16) : id.map((half) => (half >>> 0).toString(16)).join('.');

/** A lock that Postgres gave to this process: a turn of a tenure. */
export class PostgresGrant implements Grant, Linked<PostgresGrant> {
  prev: PostgresGrant | undefined = undefined;
  next: PostgresGrant | undefined = undefined;
  readonly fence: bigint;
  readonly validFrom: Ms;
  /** Released, or its lease is over. */
  isOver = false;
  /** When its lease ends. */
  until: Ms;

  /** @param number of the grant in this process */
  constructor(
    readonly req: AcquireRequest,
    readonly tenure: Tenure,
    readonly owner: Owner,
    readonly leaseMs: Ms,
    private readonly number: number,
  ) {
    this.fence = tenure.fence;
    this.validFrom = tenure.validFrom;
    this.until = this.validFrom + leaseMs;
  }

  get server(): string {
    return this.tenure.session.server;
  }

  /** Few ever ask for it. */
  get token(): string {
    const { session, id } = this.tenure;
    return `${session.pid}-${hex(id)}-${this.number}`;
  }
}
