import { RedisServer } from '../../support/redis/server.js';
import type { Child } from '../lab/child.js';
import { folderOfLogs, ServerArena } from '../lab/server-arena.js';
import type { WorkerPlan } from '../plan/scenario.js';

/**
 * The processes of a round on Redis, which keeps what it wrote. Where a round has a daemon killed, drained, or the clock of
 * a worker set, Redis is killed and started again, forgets its scripts, or kills connections.
 */
export class RedisArena extends ServerArena {
  private constructor(
    private readonly redis: RedisServer,
    folder: string,
  ) {
    super(folder);
  }

  static async open(plans: readonly WorkerPlan[]): Promise<RedisArena> {
    const redis = await RedisServer.start({ appendOnly: true, config: ['appendfsync no'] });
    return new RedisArena(redis, await folderOfLogs()).open(plans);
  }

  get daemon(): Pick<Child, 'stop' | 'continue'> {
    return {
      stop: () => {
        this.redis.pause();
        return 0;
      },
      continue: () => this.redis.resume(),
    };
  }

  protected get port(): number {
    return this.redis.port;
  }

  protected stopServer(): Promise<void> {
    return this.redis.stop();
  }

  restartDaemon(): Promise<void> {
    return this.change(() => this.redis.restart());
  }

  async replaceDaemon(): Promise<void> {
    await this.tell('SCRIPT', 'FLUSH');
  }

  async stepClock(byS: number): Promise<void> {
    await this.tell('CLIENT', 'KILL', 'TYPE', byS > 0 ? 'normal' : 'pubsub', 'SKIPME', 'yes');
  }

  /** All keys but the counter of fences, which stays. */
  async held(): Promise<string[]> {
    const keys = (await this.redis.command('KEYS', '*')) as string[];
    return keys.filter((key) => key !== 'dflockd:fence');
  }

  /** Waits for a restart, during which Redis refuses commands. */
  private tell(...command: readonly string[]): Promise<void> {
    return this.change(async () => {
      this.redis.resume();
      await this.redis.command(...command);
    });
  }
}
