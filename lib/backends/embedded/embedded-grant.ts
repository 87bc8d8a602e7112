import type { Ms } from '../../common/system.js';
import { fenceOf } from '../../protocol/fence-of-token.js';
import type { AcquireRequest, Grant, Owner } from '../backend.js';

/** The server name of the engine in this process. */
export const EMBEDDED = 'embedded';

/** No connection lies between the holder and the engine, so the owner cannot be lost. */
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
    /** The key as a byte string. */
    readonly bytes: string,
    readonly token: string,
    readonly validFrom: Ms,
    readonly leaseMs: Ms,
  ) {}

  get fence(): bigint | undefined {
    return fenceOf(this.token);
  }
}
