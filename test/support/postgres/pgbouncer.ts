import { rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { freePort } from '../free-port.mjs';
import { until } from '../until.js';
import { PGBOUNCER } from './binary.js';
import { Child, hand } from './child.js';
import { folderFor } from './data-folder.js';
import type { PostgresServer } from './server.js';

export interface PgBouncerOptions {
  readonly mode: 'session' | 'transaction' | 'statement';
  /** Connections to the server for each role and database. Default: 20 */
  readonly poolSize?: number;
  /** Further lines of pgbouncer.ini: `{ ignore_startup_parameters: 'options' }`. */
  readonly settings?: Readonly<Record<string, string | number>>;
  /** Roles that may connect, without a password. Default: postgres */
  readonly users?: readonly string[];
}

const PATIENCE_MS = 10_000;
const ATTEMPTS = 5;

/** A PgBouncer of its own in front of a server. */
export class PgBouncer {
  readonly host = '127.0.0.1';

  private constructor(
    readonly port: number,
    private readonly server: PostgresServer,
    private readonly folder: string,
    private readonly child: Child,
  ) {}

  static async start(server: PostgresServer, options: PgBouncerOptions): Promise<PgBouncer> {
    if (PGBOUNCER === undefined) throw new Error('no pgbouncer here: run `node scripts/postgres-server.mjs`');
    for (let attempt = 1; ; attempt++) {
      const port = await freePort();
      const folder = await folderFor('pgbouncer');
      const file = join(folder, 'pgbouncer.ini');
      const users = (options.users ?? [server.user]).map((name) => `"${name}" ""\n`);
      await write(join(folder, 'users.txt'), users.join(''));
      await write(file, configuration(server, port, folder, options));
      const bouncer = new PgBouncer(port, server, folder, new Child(PGBOUNCER, [file]));
      try {
        await until(() => bouncer.isReady(), `pgbouncer on port ${port}`, PATIENCE_MS);
        return bouncer;
      } catch (error) {
        const { output } = bouncer;
        await bouncer.stop();
        if (attempt === ATTEMPTS || !/already in use/.test(output)) throw error;
      }
    }
  }

  get pid(): number {
    return this.child.pid;
  }

  get url(): string {
    const { user, database } = this.server;
    return `postgres://${user}@${this.host}:${this.port}/${database}`;
  }

  get output(): string {
    return this.child.output;
  }

  /** SIGSTOP. */
  pause(): void {
    this.child.kill('SIGSTOP');
  }

  resume(): void {
    this.child.kill('SIGCONT');
  }

  async stop(): Promise<void> {
    if (this.child.isRunning) this.child.kill('SIGKILL');
    await this.child.ended;
    await rm(this.folder, { recursive: true, force: true });
  }

  private async isReady(): Promise<boolean> {
    if (!this.child.isRunning) {
      await this.child.ended;
      throw new Error(`pgbouncer has ended: ${this.output}`);
    }
    return new Promise((resolve) => {
      const socket = connect(this.port, this.host);
      const answer = (isOpen: boolean) => (): void => {
        socket.destroy();
        // Another program may have been quicker on this port; pgbouncer ends then.
        resolve(isOpen && this.output.includes(`listening on ${this.host}:${this.port}`));
      };
      socket.once('connect', answer(true)).once('error', answer(false));
    });
  }
}

function configuration(
  server: PostgresServer,
  port: number,
  folder: string,
  { mode, poolSize = 20, settings }: PgBouncerOptions,
): string {
  const lines = {
    listen_addr: '127.0.0.1',
    listen_port: port,
    unix_socket_dir: '',
    auth_type: 'trust',
    auth_file: join(folder, 'users.txt'),
    pool_mode: mode,
    default_pool_size: poolSize,
    max_client_conn: 500,
    ...settings,
  };
  const databases = `[databases]\n* = host=${server.host} port=${server.port}\n`;
  return `${databases}[pgbouncer]\n${Object.entries(lines)
    .map(([name, value]) => `${name} = ${value}\n`)
    .join('')}`;
}

async function write(file: string, text: string): Promise<void> {
  await writeFile(file, text);
  await hand(file);
}
