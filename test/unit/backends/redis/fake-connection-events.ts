import type { ConnectionEvents } from '../../../../lib/backends/redis/drivers/connection.js';

/** What a connection has told, in order. */
export class Heard implements ConnectionEvents {
  readonly log: string[] = [];

  message(channel: string, text: string): void {
    this.log.push(`${channel}: ${text}`);
  }

  invalidated(keys: readonly string[] | null): void {
    this.log.push(`invalidated ${String(keys)}`);
  }

  closed(error: unknown): void {
    this.log.push(`closed ${(error as Error).message}`);
  }
}
