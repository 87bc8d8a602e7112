import type { ServerStats } from '../../protocol/server-stats.js';

/**
 * Reads of one server's `stats`, which lists everything that the server knows: at most one at a time. Callers that come while
 * one is under way share the next: the answer to a request that was sent earlier may lack what they have just done.
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
