import type { ServerStats } from '../../protocol/server-stats.js';

/**
 * Reads one server's `stats`, its whole state, with at most one request at a time. Callers that come while a request is
 * in flight share the next one, because the reply to an earlier request may not reflect what they have just done.
 */
export class SharedStats {
  private next: Promise<ServerStats> | undefined;
  private last: Promise<unknown> = Promise.resolve();

  constructor(private readonly ask: () => Promise<ServerStats>) {}

  read(): Promise<ServerStats> {
    return (this.next ??= this.last.then(() => {
      this.next = undefined;
      const stats = this.ask();
      this.last = stats.catch(() => undefined);
      return stats;
    }));
  }
}
