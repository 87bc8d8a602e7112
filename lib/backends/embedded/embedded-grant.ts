import type { Ms } from '../../common/system.js';
import { fenceOf } from '../../protocol/token.js';
import type { AcquireRequest, Grant, Owner } from '../backend.js';

/** The server name of what this process grants itself. */
export const EMBEDDED = 'embedded';

/** Nothing stands between holder and engine that could be lost. */
const THIS_PROCESS: Owner = Object.freeze({
  id: EMBEDDED,
  provenUntil: () => Infinity,
  onLost: () => () => undefined,
});

/** A lock that the engine in this process gave. */
export class EmbeddedGrant implements Grant {
  readonly server = EMBEDDED;
  readonly owner = THIS_PROCESS;

  constructor(
    readonly req: AcquireRequest,
    /** The key as bytes. */
    readonly bytes: string,
    readonly token: string,
    readonly validFrom: Ms,
    readonly leaseMs: Ms,
  ) {}

  get fence(): bigint | undefined {
    return fenceOf(this.token);
  }
}
