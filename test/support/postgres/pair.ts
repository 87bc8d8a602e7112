import { until } from '../until.js';
import { type PostgresOptions, PostgresServer } from './server.js';

/** A primary and a standby that follows it, asynchronously, by streaming. */
export class PostgresPair {
  private constructor(
    readonly primary: PostgresServer,
    readonly standby: PostgresServer,
  ) {}

  static async start(options: Omit<PostgresOptions, 'primary' | 'isFresh'> = {}): Promise<PostgresPair> {
    const primary = await PostgresServer.start({
      ...options,
      settings: { wal_keep_size: '256MB', ...options.settings },
    });
    try {
      const standby = await PostgresServer.start({ ...options, primary });
      const pair = new PostgresPair(primary, standby);
      await pair.caughtUp().catch(async (error: unknown) => {
        await standby.stop();
        throw error;
      });
      return pair;
    } catch (error) {
      await primary.stop();
      throw error;
    }
  }

  /** Resolves when the standby has everything that the primary has written so far. */
  async caughtUp(): Promise<void> {
    const [{ lsn }] = (await this.primary.query('select pg_current_wal_lsn()::text as lsn')) as [{ lsn: string }];
    await until(
      async () => {
        const rows = await this.standby.query('select pg_last_wal_replay_lsn() >= $1::pg_lsn as done', [lsn]);
        return rows[0]!['done'] === true;
      },
      'the standby',
      20_000,
    );
  }

  async stop(): Promise<void> {
    await Promise.all([this.standby.stop(), this.primary.stop()]);
  }
}
