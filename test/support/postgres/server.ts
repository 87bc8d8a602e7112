import { readFileSync } from 'node:fs';
import { appendFile, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { freePort } from '../free-port.mjs';
import { until } from '../until.js';
import { DEFAULT_VERSION, programOf } from './binary.js';
import { Child, hand, runProgram } from './child.js';
import { fillData, folderFor } from './data-folder.js';

export interface PostgresOptions {
  /** The major version. Default: 16, or the newest that is there. */
  readonly version?: number;
  /** Lines of postgresql.conf: `{ max_connections: 20 }`. */
  readonly settings?: Readonly<Record<string, string | number>>;
  /** Replaces the lines of pg_hba.conf for TCP, which trust everybody: `['host all all all scram-sha-256']`. */
  readonly hba?: readonly string[];
  /** In PEM. With `ca`, certificates of clients are checked where `hba` asks for them. */
  readonly tls?: { readonly key: string; readonly cert: string; readonly ca?: string };
  /** An initdb of its own, and with it another system identifier than every other server. Default: false */
  readonly isFresh?: boolean;
  /** The address of the primary of a standby. */
  readonly primary?: { readonly host: string; readonly port: number };
}

/** `smart` waits for clients and has no use here. */
export type Shutdown = 'fast' | 'immediate';

export type Row = Record<string, unknown>;

const PATIENCE_MS = 20_000;
const ATTEMPTS = 5;
const SIGNALS = { fast: 'SIGINT', immediate: 'SIGQUIT' } as const;
const TRUST = ['host all all 127.0.0.1/32 trust'];

/** A Postgres server of its own on a free port of 127.0.0.1, with its data in a folder of its own. */
export class PostgresServer {
  readonly host = '127.0.0.1';
  /** Superuser, without a password. */
  readonly user = 'postgres';
  readonly database = 'postgres';
  private child!: Child;
  private admin: pg.Client | undefined;
  private paused: readonly number[] = [];

  private constructor(
    readonly port: number,
    private readonly folder: string,
    private readonly options: PostgresOptions,
  ) {}

  static async start(options: PostgresOptions = {}): Promise<PostgresServer> {
    for (let attempt = 1; ; attempt++) {
      const server = new PostgresServer(await freePort(), await folderFor('pg'), options);
      try {
        await server.prepare();
        await server.run();
        return server;
      } catch (error) {
        const output = server.output;
        await server.stop();
        // Another process may have been quicker to listen on the port.
        if (attempt === ATTEMPTS || !/Address already in use/.test(output)) throw error;
      }
    }
  }

  get version(): number {
    return this.options.version ?? DEFAULT_VERSION!;
  }

  get pid(): number {
    return this.child.pid;
  }

  get isRunning(): boolean {
    return this.child?.isRunning ?? false;
  }

  get address(): string {
    return `${this.host}:${this.port}`;
  }

  get url(): string {
    return this.urlOf();
  }

  /** What it has said since it was started last. */
  get output(): string {
    return this.child?.output ?? '';
  }

  /** The address of a database for a role. */
  urlOf({ user = this.user, password = '', database = this.database } = {}): string {
    const secret = password === '' ? '' : `:${encodeURIComponent(password)}`;
    return `postgres://${encodeURIComponent(user)}${secret}@${this.address}/${encodeURIComponent(database)}`;
  }

  /** One statement as superuser, over a connection of the test's own that no setting of `hba` concerns. */
  async query<R = Row>(text: string, values?: readonly unknown[]): Promise<R[]> {
    if (!this.admin) {
      const client = this.newClient({ host: this.folder });
      client.once('end', () => {
        if (this.admin === client) this.admin = undefined;
      });
      await client.connect();
      this.admin = client;
    }
    const { rows } = await this.admin.query(text, values as unknown[]);
    return rows as R[];
  }

  /** One more connection. The test ends it. */
  async connect(config: pg.ClientConfig = {}): Promise<pg.Client> {
    const client = this.newClient(config);
    await client.connect();
    return client;
  }

  /** The advisory locks, granted and waited for, but for the numbers that processes publish: two integers, shared. */
  async advisoryLocks(): Promise<{ pid: number; id: bigint; mode: string; granted: boolean }[]> {
    const rows = await this.query<{ pid: number; id: string; mode: string; granted: boolean }>(
      `select pid, mode, granted, (classid::bigint << 32 | objid::bigint)::text as id
       from pg_locks where locktype = 'advisory' and not (objsubid = 2 and mode = 'ShareLock') order by pid, id`,
    );
    return rows.map((row) => ({ ...row, id: BigInt(row.id) }));
  }

  /** SIGSTOP to all its processes: the machine goes on accepting connections, and nobody answers. */
  pause(): void {
    // The first one first: it starts no others then.
    process.kill(this.pid, 'SIGSTOP');
    const children = childrenOf(this.pid);
    for (const pid of children) signal(pid, 'SIGSTOP');
    this.paused = [...children, this.pid];
  }

  resume(): void {
    for (const pid of this.paused) signal(pid, 'SIGCONT');
    this.paused = [];
  }

  /** As `pg_ctl stop`; resolves when all its processes are gone. */
  async shutDown(how: Shutdown): Promise<void> {
    await this.end(() => this.child.kill(SIGNALS[how]));
  }

  /** SIGKILL to all its processes. */
  async kill(): Promise<void> {
    await this.end(() => {
      this.pause();
      for (const pid of this.paused) signal(pid, 'SIGKILL');
      this.paused = [];
    });
  }

  /** As `pg_ctl restart`, on the same port and folder; after `kill` or `shutDown` it is only started. */
  async restart(how: Shutdown = 'immediate'): Promise<void> {
    await this.shutDown(how);
    await this.run();
  }

  /** Makes a standby a primary. */
  async promote(): Promise<void> {
    await this.query('select pg_promote(true)');
  }

  /** Ends it and removes its folder. */
  async stop(): Promise<void> {
    if (this.isRunning) await this.shutDown('immediate');
    await this.removeSegment();
    await rm(this.folder, { recursive: true, force: true });
  }

  private newClient(config: pg.ClientConfig): pg.Client {
    const { host, port, user, database } = this;
    const client = new pg.Client({ host, port, user, database, ...config });
    client.on('error', () => undefined);
    return client;
  }

  private async end(how: () => void): Promise<void> {
    this.admin?.end().catch(() => undefined);
    this.admin = undefined;
    if (!this.isRunning) return;
    this.resume();
    how();
    await until(() => !this.isRunning, 'the end of a Postgres server', PATIENCE_MS).catch((error: Error) => {
      this.child.kill('SIGKILL');
      throw new Error(`${error.message}\n${this.output}`);
    });
    await this.child.ended;
  }

  /** A killed server leaves a segment of shared memory behind, which its next start would remove. */
  private async removeSegment(): Promise<void> {
    const lines = (await readFile(this.data('postmaster.pid'), 'utf8').catch(() => '')).split('\n');
    const [, id] = /^\s*\d+\s+(\d+)$/.exec(lines[6] ?? '') ?? [];
    if (id !== undefined) await runProgram('ipcrm', ['-m', id]).catch(() => undefined);
  }

  private data(name: string): string {
    return join(this.folder, 'data', name);
  }

  private async prepare(): Promise<void> {
    const { version, isFresh = false, hba = TRUST, tls, primary, settings } = this.options;
    await fillData(version ?? DEFAULT_VERSION, join(this.folder, 'data'), isFresh);
    const all: Record<string, string | number> = {
      listen_addresses: this.host,
      port: this.port,
      unix_socket_directories: this.folder,
      fsync: 'off',
      full_page_writes: 'off',
      shared_buffers: '16MB',
      log_min_messages: 'warning',
    };
    if (tls) {
      Object.assign(all, { ssl: 'on', ssl_cert_file: 'server.crt', ssl_key_file: 'server.key' });
      await this.write('server.crt', tls.cert);
      await this.write('server.key', tls.key);
      if (tls.ca !== undefined) {
        await this.write('ca.crt', tls.ca);
        all['ssl_ca_file'] = 'ca.crt';
      }
    }
    if (primary) {
      all['primary_conninfo'] = `host=${primary.host} port=${primary.port} user=${this.user}`;
      await this.write('standby.signal', '');
    }
    const lines = Object.entries({ ...all, ...settings }).map(([name, value]) => `${name} = '${value}'\n`);
    await appendFile(this.data('postgresql.conf'), `\n${lines.join('')}`);
    const local = ['local all all trust', 'host replication all 127.0.0.1/32 trust'];
    await this.write('pg_hba.conf', [...local, ...hba, ''].join('\n'));
  }

  private async write(name: string, text: string): Promise<void> {
    await writeFile(this.data(name), text, { mode: 0o600 });
    await hand(this.data(name));
  }

  private async run(): Promise<void> {
    this.child = new Child(programOf(this.options.version ?? DEFAULT_VERSION, 'postgres'), [
      '-D',
      join(this.folder, 'data'),
    ]);
    await until(() => this.isReady(), `Postgres on port ${this.port}`, PATIENCE_MS);
  }

  /** By what it writes into its folder, without a connection. */
  private async isReady(): Promise<boolean> {
    if (!this.isRunning) {
      await this.child.ended;
      throw new Error(`Postgres has ended: ${this.output}`);
    }
    const lines = (await readFile(this.data('postmaster.pid'), 'utf8').catch(() => '')).split('\n');
    return lines[0] === `${this.pid}` && /^(ready|standby)/.test(lines[7] ?? '');
  }
}

/** Processes that may have ended. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
}
