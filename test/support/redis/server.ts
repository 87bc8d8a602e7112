import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../free-port.mjs';
import { TetheredChild } from '../tethered-child.js';
import { until } from '../until.js';
import { redisServer } from './binary.js';
import { RedisConnection, type Reply } from './connection.js';

export interface RedisOptions {
  /** Of the default user. */
  readonly password?: string;
  /** Further users and their ACL rules: `{ app: 'on >secret ~lock:* +@all' }`. */
  readonly users?: Readonly<Record<string, string>>;
  /** As in redis.conf: '1mb'. */
  readonly maxMemory?: string;
  readonly maxMemoryPolicy?: string;
  /** Keeps data over a restart; each write is on disk before it is answered. Default: false */
  readonly appendOnly?: boolean;
  /** Further lines of redis.conf. */
  readonly config?: readonly string[];
}

const PATIENCE_MS = 10_000;
const ATTEMPTS = 5;

/** A redis-server of its own on a free port of 127.0.0.1, with its data in a folder of its own. */
export class RedisServer {
  readonly host = '127.0.0.1';
  private child!: TetheredChild;
  private admin: RedisConnection | undefined;

  private constructor(
    readonly port: number,
    private readonly folder: string,
    private readonly options: RedisOptions,
    private readonly extra: readonly string[],
  ) {}

  /** @param extra arguments behind the configuration file, such as --sentinel */
  static async start(options: RedisOptions = {}, extra: readonly string[] = []): Promise<RedisServer> {
    for (let attempt = 1; ; attempt++) {
      const folder = await mkdtemp(join(tmpdir(), 'redis-'));
      const server = new RedisServer(await freePort(), folder, options, extra);
      await writeFile(server.file('redis.conf'), server.configuration());
      try {
        await server.run();
        return server;
      } catch (error) {
        await server.stop();
        // Another process may have been quicker to listen on the port.
        if (attempt === ATTEMPTS || !/Address already in use/.test(server.output)) throw error;
      }
    }
  }

  get pid(): number {
    return this.child.pid;
  }

  get isRunning(): boolean {
    return this.child.isRunning;
  }

  get password(): string | undefined {
    return this.options.password;
  }

  get address(): string {
    return `${this.host}:${this.port}`;
  }

  get url(): string {
    const { password } = this;
    return `redis://${password === undefined ? '' : `:${encodeURIComponent(password)}@`}${this.address}`;
  }

  /** What it has said since it was started last. */
  get output(): string {
    return this.child.output;
  }

  /** One command, over a connection of the test's own. */
  async command(...args: readonly (string | number)[]): Promise<Reply> {
    const admin = this.admin?.isOpen ? this.admin : (this.admin = await this.connect());
    return admin.command(...args);
  }

  /** A field of INFO, such as `role`; undefined without. */
  async info(field: string): Promise<string | undefined> {
    const text = (await this.command('INFO', 'all')) as string;
    return new RegExp(`^${field}:(.*?)\r?$`, 'm').exec(text)?.[1];
  }

  /** One more connection, as the default user. */
  connect(): Promise<RedisConnection> {
    return RedisConnection.to(this.port, this.password === undefined ? [] : [this.password]);
  }

  /** SIGSTOP: the machine goes on accepting connections, and nobody answers. */
  pause(): void {
    this.child.kill('SIGSTOP');
  }

  resume(): void {
    this.child.kill('SIGCONT');
  }

  /** SIGKILL; resolves when the process is gone. */
  async kill(): Promise<void> {
    this.admin?.close();
    if (this.isRunning) this.child.kill('SIGKILL');
    await this.child.ended;
  }

  /** Kills it unless it is dead, and starts it again on the same port and folder. */
  async restart(): Promise<void> {
    await this.kill();
    await this.run();
  }

  /** Kills it and removes its folder. */
  async stop(): Promise<void> {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }

  private file(name: string): string {
    return join(this.folder, name);
  }

  private configuration(): string {
    const { password, users = {}, maxMemory, maxMemoryPolicy, appendOnly, config = [] } = this.options;
    const lines = [
      `port ${this.port}`,
      'bind 127.0.0.1',
      'save ""',
      `dir ${this.folder}`,
      'repl-diskless-sync-delay 0',
    ];
    if (this.extra.includes('--sentinel')) lines.splice(2, 3, `dir ${this.folder}`);
    if (password !== undefined) lines.push(`requirepass ${password}`);
    for (const [user, rules] of Object.entries(users)) lines.push(`user ${user} ${rules}`);
    if (maxMemory !== undefined) lines.push(`maxmemory ${maxMemory}`);
    if (maxMemoryPolicy !== undefined) lines.push(`maxmemory-policy ${maxMemoryPolicy}`);
    if (appendOnly) lines.push('appendonly yes', 'appendfsync always');
    return [...lines, ...config, ''].join('\n');
  }

  private async run(): Promise<void> {
    this.child = new TetheredChild(redisServer(), [this.file('redis.conf'), ...this.extra]);
    await until(() => this.answers(), `redis-server on port ${this.port}`, PATIENCE_MS);
  }

  private async answers(): Promise<boolean> {
    if (!this.isRunning) {
      await this.child.ended;
      throw new Error(`redis-server has ended: ${this.output}`);
    }
    try {
      const reply = await this.command('PING');
      // Another server may have been quicker on this port.
      return reply === 'PONG' && (await this.info('process_id')) === `${this.pid}`;
    } catch {
      return false;
    }
  }
}
