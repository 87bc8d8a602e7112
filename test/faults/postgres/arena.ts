import { PostgresServer } from '../../support/postgres/server.js';
import type { Child } from '../lab/child.js';
import { folderOfLogs, ServerArena } from '../lab/server-arena.js';
import type { Evidence, Violation } from '../log/evidence.js';
import type { WorkerPlan } from '../plan/scenario.js';

/** Sessions of this package. */
const OURS = `application_name like 'nestjs-dflockd%'`;

const CANCEL_FOR_MS = 600;

/**
 * The processes of a round on Postgres. Where a round has a daemon killed or drained, the server is restarted, at once or
 * fast; where it has the clock of a worker set, statements are cancelled or sessions are ended, at random.
 */
export class PostgresArena extends ServerArena {
  private constructor(
    private readonly server: PostgresServer,
    folder: string,
  ) {
    super(folder);
  }

  static async open(plans: readonly WorkerPlan[]): Promise<PostgresArena> {
    const server = await PostgresServer.start({ settings: { max_connections: 200 } });
    return new PostgresArena(server, await folderOfLogs()).open(plans);
  }

  get daemon(): Pick<Child, 'stop' | 'continue'> {
    return {
      stop: () => {
        if (this.server.isRunning) this.server.pause();
        return 0;
      },
      continue: () => this.server.resume(),
    };
  }

  protected get port(): number {
    return this.server.port;
  }

  protected stopServer(): Promise<void> {
    return this.server.stop();
  }

  restartDaemon(): Promise<void> {
    return this.change(() => this.server.restart('immediate'));
  }

  replaceDaemon(): Promise<void> {
    return this.change(() => this.server.restart('fast'));
  }

  async stepClock(byS: number): Promise<void> {
    if (byS > 0) return this.cancelStatements();
    await this.tell(
      `select pg_terminate_backend(pid) from pg_stat_activity where ${OURS} and random() < 0.3`,
      async () => {
        // A holder that cannot be told is not protected from what the server does next.
        this.proxy.continue();
        await this.proxy.ask('pass', 'all');
      },
    );
  }

  /** All advisory locks, held or waited for. */
  async held(): Promise<string[]> {
    this.server.resume();
    const locks = await this.server.advisoryLocks();
    return locks.map(({ pid, id, mode, granted }) => `${id} ${mode} of ${pid}${granted ? '' : ' (waits)'}`);
  }

  /** Without the limits of semaphores, which stay for a while, and are in the space of two integers. */
  async unclaimed(): Promise<string[]> {
    this.server.resume();
    const rows = await this.server.query<{ lock: string }>(
      `select format('%s %s of %s, %s (%s, %s %s for %s)', (classid::bigint << 32 | objid::bigint), mode, pid,
         case when granted then 'granted' else 'waits' end, state, wait_event_type, wait_event, now() - state_change) as lock
       from pg_locks left join pg_stat_activity using (pid) where locktype = 'advisory' and objsubid = 1`,
    );
    return rows.map(({ lock }) => lock);
  }

  override async evidence(complaints: readonly Violation[]): Promise<Evidence> {
    const { cuts, stalls } = await this.proxyEvents();
    return {
      ...(await super.evidence(complaints)),
      ...{ cuts: [...this.cuts, ...cuts].sort((a, b) => a.at - b.at), proxyStalls: stalls },
    };
  }

  /** For a while: a statement takes less than a millisecond. */
  private async cancelStatements(): Promise<void> {
    const cancel = `select pg_cancel_backend(pid) from pg_stat_activity where ${OURS} and random() < 0.5`;
    for (const until = performance.now() + CANCEL_FOR_MS; performance.now() < until;) await this.tell(cancel);
  }

  /** Waits for a restart. @param before runs when that is over */
  private tell(statement: string, before = async (): Promise<void> => undefined): Promise<void> {
    return this.change(async () => {
      this.server.resume();
      await before();
      await this.server.query(statement);
    });
  }
}
