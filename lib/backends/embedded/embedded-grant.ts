import type { Ms } from '../../common/system.js';
import { fenceOf } from '../../protocol/token.js';
import type { AcquireRequest, Grant, Owner } from '../backend.js';

/** The server name in grants of the engine in this process. */
export const EMBEDDED = 'embedded';

/** The owner of all such grants: between holder and engine there is no connection to lose. */
const THIS_PROCESS: Owner = Object.freeze({
  id: EMBEDDED,
  provenUntil: () => Infinity,
  onLost: () => () => undefined,
});

/** A lock granted by the engine in this process. */
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
