import type { Grant } from '../../backends/backend.js';
import type { HeldGrant } from '../events/events.js';

/** A grant as users see it. The token can release the lock, so it is a getter and absent from copies of the grant. */
export class LockGrant implements HeldGrant {
  readonly key: string;
  readonly server: string;
  declare readonly fence?: bigint;
  readonly #token: string;

  constructor(key: string, { token, fence, server }: Grant) {
    this.key = key;
    this.server = server;
    if (fence !== undefined) this.fence = fence;
    this.#token = token;
  }

  get token(): string {
    return this.#token;
  }

  toJSON(): object {
    const { key, server, fence } = this;
    return { key, server, fence: fence?.toString() };
  }
}
