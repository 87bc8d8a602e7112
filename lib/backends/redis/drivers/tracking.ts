import { ConfigError, LockUnavailableError, UnsupportedError, type LockError } from '../../../common/errors.js';
import type { Link } from './link.js';
import { replyCode } from './redis-errors.js';
import type { Subscriptions } from './subscriptions.js';

/**
 * CLIENT TRACKING of the commands connection, whose invalidations go to the subscriber. Only what `watch` reads is tracked
 * (OPTIN), and only what others change is told (NOLOOP).
 */
export class Tracking {
  /** The connection of the subscriber to which the server sends now. */
  private target: string | undefined;

  constructor(
    private readonly commands: Link,
    private readonly subscriber: Subscriptions,
    private readonly isOn: boolean,
  ) {}

  async watch(keys: readonly string[]): Promise<number> {
    await this.aim();
    if (keys.length === 0) return 0;
    // In one turn, so that nothing is sent between the two.
    const caching = this.commands.call(['CLIENT', 'CACHING', 'YES']);
    const existing = this.commands.call(['EXISTS', ...keys]);
    const [, count] = await Promise.all([caching, existing]).catch((error: unknown) => {
      this.target = undefined;
      throw error;
    });
    return Number(count);
  }

  private async aim(): Promise<void> {
    if (!this.isOn) throw new ConfigError('the driver was made without `watch`');
    const { clientId } = this.subscriber;
    if (clientId === undefined) throw new LockUnavailableError('not connected', { server: this.commands.server });
    const target = `${this.commands.connections}>${clientId}`;
    if (this.target === target) return;
    await this.commands
      .call(['CLIENT', 'TRACKING', 'ON', 'REDIRECT', clientId, 'OPTIN', 'NOLOOP'])
      .catch((error: LockError) => {
        throw replyCode(error) === 'ERR'
          ? new UnsupportedError('the server refuses CLIENT TRACKING, on which `watch` rests', {
              server: this.commands.server,
              cause: error,
            })
          : error;
      });
    this.target = target;
  }
}
