import { ConfigError } from '../../../common/errors.js';
import { printAs } from '../../../common/inspection.js';
import { kindOf } from '../../../common/kind-of.js';
import { readConnectionString, refuseSeveralHosts } from './connection-string.js';
import type { PgClient, PgClientClass } from './pg-client.js';
import { refusedHint } from './refused-sources.js';

/** The part of a Pool of pg that is used: its configuration and its class of clients, but none of its connections. */
export interface PostgresPool {
  readonly options: object;
  readonly totalCount: number;
  connect(...args: never[]): unknown;
}

/**
 * The configuration of a client of pg. Time-outs, limits of a pool, `types`, `application_name` and the like do not concern
 * these connections and are ignored.
 */
export interface PostgresConfig {
  connectionString?: string | undefined;
  host?: string | undefined;
  port?: number | undefined;
  database?: string | undefined;
  user?: string | undefined;
  /** A function is called at each connect, for tokens that expire. */
  password?: string | (() => string | Promise<string>) | undefined;
  ssl?: boolean | object | undefined;
  /** Makes the socket: for the connectors of cloud providers. */
  stream?: unknown;
  /** Settings for the startup message. Those that this package needs are added to them. */
  options?: string | undefined;
}

/** Where the database is: a connection string, a configuration for `pg`, or a Pool of `pg`. */
export type PostgresSource = string | PostgresConfig | PostgresPool;

/** Of a configuration, what is given to pg. */
const USED = [
  'connectionString', 'host', 'port', 'database', 'user', 'password', 'ssl', 'stream', 'options', 'enableChannelBinding',
  'sslnegotiation', 'scramMaxIterations',
] as const; // prettier-ignore

/** Other names that pg itself knows. */
const IGNORED = new Set([
  'allowExitOnIdle', 'application_name', 'binary', 'client_encoding', 'Client', 'connectionTimeoutMillis',
  'fallback_application_name', 'idleTimeoutMillis', 'idle_in_transaction_session_timeout', 'keepAlive',
  'keepAliveInitialDelayMillis', 'lock_timeout', 'log', 'max', 'maxLifetimeSeconds', 'maxUses', 'min', 'onConnect', 'pipeline',
  'poolSize', 'Promise', 'query_timeout', 'replication', 'statement_timeout', 'types', 'verify',
]); // prettier-ignore

/** As other libraries call it. */
const RENAMED: Readonly<Record<string, string>> = {
  username: 'user',
  url: 'connectionString',
  uri: 'connectionString',
  dbname: 'database',
  hostname: 'host',
};

/** pg trips over anything else when it connects. */
const TEXTS = ['connectionString', 'host', 'database', 'user', 'options'];

/** If one of these is there without a value, pg would connect to some other database. */
const DECISIVE = ['connectionString', 'host', 'database', 'user'];

const KEEPALIVE_DELAY_MS = 5000;

const WHERE = 'postgresBackend';
const EXPECTED = 'a connection string, a configuration for pg or a Pool of pg';

type LoadPg = () => Promise<unknown>;

/** From where clients of pg come. Shows nothing of what it was given. */
export class ClientSource {
  readonly #config: Readonly<Record<string, unknown>>;
  readonly #poolClient: PgClientClass | undefined;
  readonly #load: LoadPg;
  #Client: PgClientClass | undefined;

  /**
   * @param namesPooler the connection string says `pgbouncer=true`
   * @param poolClient the class of the clients of the pool that was given
   */
  constructor(
    config: Readonly<Record<string, unknown>>,
    readonly namesPooler: boolean,
    poolClient: PgClientClass | undefined,
    load: LoadPg,
  ) {
    this.#config = config;
    this.#poolClient = poolClient;
    this.#load = load;
  }

  /** Imports pg where it is needed. @throws ConfigError if it is not installed */
  async load(): Promise<void> {
    this.#Client ??= this.#poolClient ?? (await clientOf(this.#load));
  }

  /** A client that has not connected. Only after `load`. @throws ConfigError for a configuration that pg refuses */
  newClient(): PgClient {
    const client = this.construct();
    const { stream } = this.#config;
    if (typeof stream === 'function') checkSocket(client.connection.stream);
    else if ((client as Partial<PgClient>).connection?.stream === undefined) {
      throw new ConfigError(`${WHERE}: the native binding of pg does not show its socket; give a Pool of pg itself`);
    }
    const { connectionParameters: parameters } = client;
    // pg takes the defaults of the process where the configuration says nothing.
    for (const name of Object.keys(parameters)) if (name.endsWith('_timeout')) parameters[name] = 0;
    parameters['replication'] = undefined;
    client.binary = false;
    return client;
  }

  toJSON(): object {
    return {};
  }

  private construct(): PgClient {
    try {
      return new this.#Client!({
        ...this.#config,
        keepAlive: true,
        keepAliveInitialDelayMillis: KEEPALIVE_DELAY_MS,
      });
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === 'ERR_INVALID_URL' || error instanceof URIError) {
        throw new ConfigError(
          `${WHERE}: the connection string is not a URL; encode special characters in the password (%23 for #)`,
        );
      }
      // A file of a certificate, named in the URL; the message has its path.
      throw new ConfigError(`${WHERE}: pg refuses the configuration: ${message.replace(/\/\/[^\s/]*@/g, '//***@')}`);
    }
  }
}

printAs('ClientSource', ClientSource);

/** @throws ConfigError for what the application made instead */
function checkSocket(made: unknown): void {
  const { on, destroy } = (made ?? {}) as Record<string, unknown>;
  if (typeof on === 'function' && typeof destroy === 'function') return;
  throw new ConfigError(`${WHERE}: stream must be a function that makes a socket; it returned ${kindOf(made)}`);
}

const loadPg: LoadPg = () => import('pg');

async function clientOf(load: LoadPg): Promise<PgClientClass> {
  let module: { default?: { Client?: PgClientClass }; Client?: PgClientClass };
  try {
    module = (await load()) as typeof module;
  } catch (cause) {
    throw new ConfigError(`${WHERE} needs the package pg: npm install pg`, { cause });
  }
  const Client = module.default?.Client ?? module.Client;
  if (Client === undefined)
    throw new ConfigError(`${WHERE}: the package pg has no Client; version 8 or later is needed`);
  return Client;
}

/**
 * Recognises by its shape what was given, without connecting and without importing pg.
 * @throws ConfigError for anything else, and for a variable that is not set; never shows a value
 */
export function recogniseSource(source: unknown, load: LoadPg = loadPg): ClientSource {
  if (source === undefined || source === null) {
    throw new ConfigError(`${WHERE}: expected ${EXPECTED}, got ${source}; is an environment variable not set?`);
  }
  if (typeof source === 'string') {
    const { text, namesPooler } = readConnectionString(source);
    return new ClientSource({ connectionString: text }, namesPooler, undefined, load);
  }
  if (isPool(source)) {
    const { Client } = source as { Client?: unknown };
    const config = used(source.options as Record<string, unknown>);
    if ('connectionString' in source.options) checkDecisive(source.options, ['connectionString']);
    return withString(config, typeof Client === 'function' ? (Client as PgClientClass) : undefined, load);
  }
  const hint = refusedHint(source);
  if (hint !== undefined || typeof source !== 'object' || Array.isArray(source) || !isPlain(source)) {
    throw new ConfigError(`${WHERE}: expected ${EXPECTED}, got ${kindOf(source)}${hint ?? ''}`);
  }
  checkConfig(source);
  return withString(used(source as Record<string, unknown>), undefined, load);
}

function withString(config: Record<string, unknown>, Client: PgClientClass | undefined, load: LoadPg): ClientSource {
  const { connectionString, stream } = config;
  for (const name of TEXTS) {
    const value = config[name];
    if (value !== undefined && typeof value !== 'string') throw notOf(name, 'a string', value);
  }
  if (typeof config['host'] === 'string') refuseSeveralHosts(config['host']);
  checkPassword(config['password']);
  if (stream !== undefined && typeof stream !== 'function') {
    throw new ConfigError(`${WHERE}: stream must be a function that makes a socket, since several are needed`);
  }
  if (connectionString === undefined) return new ClientSource(config, false, Client, load);
  const { text, namesPooler } = readConnectionString(connectionString as string);
  return new ClientSource({ ...config, connectionString: text }, namesPooler, Client, load);
}

const notOf = (name: string, expected: string, value: unknown): ConfigError =>
  new ConfigError(`${WHERE}: ${name} must be ${expected}, got ${kindOf(value)}`);

/** Without one, pg looks for it elsewhere. */
function checkPassword(password: unknown): void {
  if (password === undefined || password === null || typeof password === 'string') return;
  if (typeof password !== 'function') throw notOf('password', 'a string or a function', password);
}

/** A pool hides its password: it is not enumerable. */
const used = (options: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(USED.filter((name) => options[name] !== undefined).map((name) => [name, options[name]]));

function checkConfig(config: object): void {
  const others = Object.keys(config).filter(
    (name) => !IGNORED.has(name) && !(USED as readonly string[]).includes(name),
  );
  const unknown = others.find((name) => name in RENAMED) ?? others[0];
  if (unknown !== undefined) {
    const instead = RENAMED[unknown];
    const hint = instead === undefined ? `; known are ${USED.join(', ')}` : `; pg calls it ${instead}`;
    throw new ConfigError(`${WHERE}: the configuration has an unknown name, ${JSON.stringify(unknown)}${hint}`);
  }
  checkDecisive(config, DECISIVE);
  const { connectionString, host, port } = config as PostgresConfig;
  if (connectionString === undefined && host === undefined) {
    throw new ConfigError(`${WHERE}: the configuration must have a connectionString or a host`);
  }
  if (port !== undefined && !(Number(port) >= 1 && Number(port) <= 65_535)) {
    throw new ConfigError(`${WHERE}: port must be a number between 1 and 65535, got ${Number(port)}`);
  }
}

function checkDecisive(config: object, names: readonly string[]): void {
  const missing = names.find((name) => name in config && !Reflect.get(config, name));
  if (missing === undefined) return;
  throw new ConfigError(`${WHERE}: the configuration has no value for ${missing}; is an environment variable not set?`);
}

function isPool(source: unknown): source is PostgresPool {
  const { options, connect, totalCount } = (source ?? {}) as Record<string, unknown>;
  const isConfigured = typeof options === 'object' && options !== null;
  return isConfigured && typeof connect === 'function' && typeof totalCount === 'number';
}

function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as object | null;
  // Also one of another realm.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
