import type { LockBackend } from '../backends/backend.js';
import { withOrigin } from '../common/error-origin.js';
import { LockError, UnsupportedError } from '../common/errors.js';
import { checkNames, checkObject } from '../common/option-checks.js';
import { nameKey } from '../common/shown.js';
import type { RequestDefaults } from './acquire/checked-acquire.js';
import { checkBounds } from './options/bounds.js';
import { wireKey } from './options/keys.js';

export interface QueryHost {
  /** Attached to errors, see `withOrigin`. */
  readonly origin: object;
  /** Resolves when all servers have been reached. */
  started(): Promise<void>;
  /** Resolves when the backend has started, even if it has not reached every server. */
  ready(): Promise<void>;
}

/** Queries to the servers that involve no held lock. The backend answers them; on dflockd, see remote-queries.ts. */
export class Queries<S> {
  constructor(
    private readonly backend: LockBackend<S>,
    private readonly defaults: RequestDefaults,
    private readonly host: QueryHost,
  ) {}

  ping(): Promise<void> {
    return this.asking(async () => {
      await this.host.started();
      await this.backend.ping();
    });
  }

  stats(): Promise<S[]> {
    return this.asking(async () => {
      await this.host.started();
      return this.backend.stats();
    });
  }

  async isLocked(key: string, options: { readonly limit?: number | undefined }): Promise<boolean> {
    checkNames('', checkObject('options', options), ['limit']);
    const kind = checkBounds('limit', options.limit) === undefined ? 'lock' : 'sem';
    const { namespace, limits } = this.defaults;
    const wire = wireKey(namespace, key, limits.maxKeyBytes);
    const { backend } = this;
    if (!backend.isLocked || backend.capabilities.inspect === 'none') {
      throw new UnsupportedError(`${backend.name} cannot tell whether a key is locked`, { key });
    }
    try {
      return await this.asking(async () => {
        await this.host.ready();
        return backend.isLocked!(wire, kind);
      });
    } catch (error) {
      if (error instanceof LockError && error.key !== undefined) nameKey(error, key);
      throw error;
    }
  }

  private async asking<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      throw withOrigin(error, this.host.origin);
    }
  }
}
