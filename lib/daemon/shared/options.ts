import { hostFault, showAddress } from '../../common/address.js';
import { ConfigError } from '../../common/errors.js';
import { isSecretName, show } from '../../common/shown.js';
import {
  DEFAULT_HOST,
  DEFAULT_LEASE_TTL_S,
  DEFAULT_PORT,
  DEFAULT_READ_TIMEOUT_S,
  MAX_SECONDS,
} from '../../protocol/limits.js';
import {
  HTTP_DEFAULTS,
  HTTP_NUMBERS,
  type HttpServerOptions,
  type NameOfOption,
  type NumberBounds,
  originsOf,
  ssePing,
} from './http-options.js';
import { LOCKD_OPTIONS, resolveLockdOptions } from './lockd-options.js';
import { tlsOf, tokenOf } from './option-files.js';

/** dflockd's flags in camelCase, with its defaults (spec 8). Durations are seconds, at most 9,223,372,036. */
export interface DflockdServerOptions extends HttpServerOptions {
  /** Default 127.0.0.1. */
  host?: string | undefined;
  /** 0 takes any free port. Default 6388. */
  port?: number | undefined;
  /** Lease of requests that specify none; a whole number, as on the wire. Default 33. */
  defaultLeaseTtl?: number | undefined;
  /** How often expired leases are freed. Default 1. */
  leaseSweepInterval?: number | undefined;
  /** How often idle keys are removed. Default 5. */
  gcInterval?: number | undefined;
  /** Keys idle for longer than this are removed. Default 60. */
  gcMaxIdle?: number | undefined;
  /** Maximum number of keys, including released ones until they are removed. Default 1024. */
  maxLocks?: number | undefined;
  /** Maximum number of connections; 0 = unlimited, the default. */
  maxConnections?: number | undefined;
  /** Maximum number of connections from one address; 0 = unlimited, the default. */
  maxConnectionsPerIp?: number | undefined;
  /** Maximum length of the queue of a key; 0 = unlimited, the default. */
  maxWaiters?: number | undefined;
  /** Maximum number of signal patterns of a connection; 0, the default, means 10,000. Beyond it, `listen` is answered `error`. */
  maxSubscriptions?: number | undefined;
  /** A connection that is silent for this long is closed. Default 23. */
  readTimeout?: number | undefined;
  /**
   * A connection that does not read what was written within this time is reset; 0 = never. A long `stats` reply is
   * written in pieces: each piece has this time, and all of them together have four times as much (20 s if 0).
   * Default 5.
   */
  writeTimeout?: number | undefined;
  /** How long `close` waits for clients to leave; 0 = for ever. Default 30. */
  shutdownTimeout?: number | undefined;
  /** Whether closing a connection frees what it holds. Default true. */
  autoReleaseOnDisconnect?: boolean | undefined;
  /**
   * A file, created if there is none, that keeps fences rising across restarts even if the wall clock is set back. One
   * daemon at a time can use it; needs `flock` or `perl`, and is refused on Windows. Default: none.
   */
  fenceStateFile?: string | undefined;
  /** Files in PEM format; give both or neither. */
  tlsCert?: string | undefined;
  tlsKey?: string | undefined;
  authToken?: string | undefined;
  /** A file that contains the token; surrounding white space is ignored. `authToken` takes precedence. */
  authTokenFile?: string | undefined;
  /**
   * A port for clients of lockd and glockd, whose own default is 9999; 0 takes any free port. It has neither
   * authentication nor encryption. Default: none.
   */
  lockdPort?: number | undefined;
  /** The address of that port. Default 127.0.0.1, whatever `host` is. */
  lockdHost?: string | undefined;
  /** Whether its clients may list who holds what (`d`, `sd`, `dump`, `who`). Default true. */
  lockdDump?: boolean | undefined;
  /** Whether its clients may give themselves names (`iam`, `who`). Default true. */
  lockdRegistry?: boolean | undefined;
}

/** Checked, complete and immutable, without options that are secret or name files. */
export type ResolvedServerSettings = {
  // Required<…> would leave `undefined` in, if the compiler distinguishes it from an absent option.
  readonly [
    K in Exclude<
      keyof DflockdServerOptions,
      'tlsCert' | 'tlsKey' | 'authToken' | 'authTokenFile' | 'fenceStateFile' | 'lockdPort'
    >
  ]-?: Exclude<DflockdServerOptions[K], undefined>;
} & {
  /** Undefined: fences are not stored. */
  readonly fenceStateFile: string | undefined;
  /** Undefined: there is no such port. */
  readonly lockdPort: number | undefined;
};

/** Checked, complete and immutable. */
export interface ResolvedServerOptions extends ResolvedServerSettings {
  readonly tls: { readonly cert: Buffer; readonly key: Buffer } | undefined;
  /** Bytes, trimmed. */
  readonly authToken: string | undefined;
}

/** The options of a server without its secrets: `tls` and `authToken` only show whether they were given. */
export interface ShownServerOptions extends ResolvedServerSettings {
  readonly tls: boolean;
  readonly authToken: boolean;
}

export const shownServerOptions = (options: ResolvedServerOptions): ShownServerOptions =>
  Object.freeze({ ...options, tls: options.tls !== undefined, authToken: options.authToken !== undefined });

const DEFAULTS = {
  host: DEFAULT_HOST,
  port: DEFAULT_PORT,
  defaultLeaseTtl: DEFAULT_LEASE_TTL_S,
  leaseSweepInterval: 1,
  gcInterval: 5,
  gcMaxIdle: 60,
  maxLocks: 1024,
  maxConnections: 0,
  maxConnectionsPerIp: 0,
  maxWaiters: 0,
  maxSubscriptions: 0,
  readTimeout: DEFAULT_READ_TIMEOUT_S,
  writeTimeout: 5,
  shutdownTimeout: 30,
  autoReleaseOnDisconnect: true,
  ...HTTP_DEFAULTS,
} as const;

const FLAGS = ['autoReleaseOnDisconnect', 'httpSseKeepAlive'] as const;
export const TEXTS = ['tlsCert', 'tlsKey', 'authToken', 'authTokenFile'] as const;
type Text = (typeof TEXTS)[number];
/** Options without a default here. */
type Optional = Text | 'fenceStateFile' | (typeof LOCKD_OPTIONS)[number];

/** The names of all options. */
export const SERVER_OPTIONS: readonly string[] = [
  ...Object.keys(DEFAULTS),
  ...TEXTS,
  'fenceStateFile',
  ...LOCKD_OPTIONS,
];

export type NumberOption = {
  [K in keyof typeof DEFAULTS]: (typeof DEFAULTS)[K] extends number ? K : never;
}[keyof typeof DEFAULTS];

/** Durations may have fractions, counts may not. */
export const NUMBERS: Readonly<Record<NumberOption, NumberBounds>> = {
  port: { least: 0, most: 65_535, whole: true },
  defaultLeaseTtl: { least: 1, most: MAX_SECONDS, whole: true },
  leaseSweepInterval: { least: 0, above: true, most: MAX_SECONDS },
  gcInterval: { least: 0, above: true, most: MAX_SECONDS },
  gcMaxIdle: { least: 0, most: MAX_SECONDS },
  maxLocks: { least: 1, whole: true },
  maxConnections: { least: 0, whole: true },
  maxConnectionsPerIp: { least: 0, whole: true },
  maxWaiters: { least: 0, whole: true },
  maxSubscriptions: { least: 0, whole: true },
  readTimeout: { least: 0, above: true, most: MAX_SECONDS },
  writeTimeout: { least: 0, most: MAX_SECONDS },
  shutdownTimeout: { least: 0, most: MAX_SECONDS },
  ...HTTP_NUMBERS,
};

/** Results of `resolveServerOptions`, which are not checked again, nor are their files read again. */
const RESOLVED = new WeakSet<object>();

/**
 * @param emptyIsNone whether empty paths and tokens count as not given, as in flags and variables; otherwise they are
 *   refused
 * @throws ConfigError naming the option and the value
 */
export function resolveServerOptions(
  options: DflockdServerOptions = {},
  nameOf: NameOfOption = (option) => `daemon option ${option}`,
  emptyIsNone = true,
): ResolvedServerOptions {
  return RESOLVED.has(options) ? (options as ResolvedServerOptions) : resolve(options, nameOf, emptyIsNone);
}

function resolve(options: DflockdServerOptions, nameOf: NameOfOption, emptyIsNone: boolean): ResolvedServerOptions {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || SERVER_OPTIONS.includes(name)) continue;
    const got = isSecretName(name) ? '' : ` (value ${show(value)})`;
    throw new ConfigError(`unknown ${nameOf(name)}${got}`);
  }
  const resolved = new Resolution(options, nameOf, emptyIsNone).result();
  RESOLVED.add(resolved);
  return resolved;
}

class Resolution {
  private readonly given: DflockdServerOptions;
  private readonly all: Required<Omit<DflockdServerOptions, Optional>> & Pick<DflockdServerOptions, Optional>;

  constructor(
    options: DflockdServerOptions,
    private readonly nameOf: NameOfOption,
    private readonly emptyIsNone: boolean,
  ) {
    this.given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
    this.all = { ...DEFAULTS, ...this.given };
  }

  result(): ResolvedServerOptions {
    for (const name of Object.keys(NUMBERS) as NumberOption[]) this.checkNumber(name);
    const { host, httpHost } = this.all;
    this.checkHost('host', host);
    if (httpHost !== '') this.checkHost('httpHost', httpHost);
    this.checkPorts();
    for (const name of FLAGS) if (typeof this.all[name] !== 'boolean') throw this.wrong(name, 'true or false');
    for (const name of [...TEXTS, 'fenceStateFile'] as const) this.checkText(name);
    const { tlsCert, tlsKey, authToken, authTokenFile, fenceStateFile, ...rest } = this.all;
    return Object.freeze({
      ...rest,
      fenceStateFile: fenceStateFile || undefined,
      ...resolveLockdOptions(this.all, this.nameOf),
      httpHost: httpHost || host,
      httpSsePingInterval: ssePing(this.given, this.nameOf),
      httpCorsAllowedOrigins: originsOf(this.all.httpCorsAllowedOrigins, this.nameOf),
      tls: tlsOf(tlsCert, tlsKey, this.nameOf),
      authToken: tokenOf(authToken, authTokenFile, this.nameOf),
    });
  }

  private checkHost(name: 'host' | 'httpHost', host: unknown): void {
    const fault = typeof host === 'string' ? hostFault(host) : 'it is not a string';
    if (fault === undefined) return;
    const given = showAddress(host);
    throw new ConfigError(`${this.nameOf(name)}: expected a host name or address, got ${given}; ${fault}`);
  }

  private checkPorts(): void {
    const { port, httpPort } = this.all;
    if (httpPort !== 0 && httpPort === port)
      throw this.wrong('httpPort', `another port than that of ${this.nameOf('port')}`);
  }

  private wrong(option: keyof DflockdServerOptions, want: string): ConfigError {
    return new ConfigError(`${this.nameOf(option)}: expected ${want}, got ${show(this.all[option])}`);
  }

  private checkText(name: Text | 'fenceStateFile'): void {
    const value: unknown = this.all[name];
    if (value === undefined || (value === '' && this.emptyIsNone)) return;
    if (typeof value === 'string' && value.trim() !== '' && !value.includes('\0')) return;
    // The value is a secret, so the message does not show it.
    if (name === 'authToken') throw new ConfigError(`${this.nameOf(name)}: expected a string that is not blank`);
    throw this.wrong(name, 'the path of a file');
  }

  private checkNumber(name: NumberOption): void {
    const value: unknown = this.all[name];
    const { least, above = false, most = Number.MAX_SAFE_INTEGER, whole = false } = NUMBERS[name];
    const fits =
      typeof value === 'number' &&
      (above ? value > least : value >= least) &&
      value <= most &&
      (!whole || Number.isInteger(value));
    if (fits) return;
    const bounded = most < Number.MAX_SAFE_INTEGER;
    const upTo = bounded ? `, at most ${most}` : '';
    const inside = bounded ? `between ${least} and ${most}` : `of at least ${least}`;
    throw this.wrong(name, `${whole ? 'an integer' : 'a number'} ${above ? `above ${least}${upTo}` : inside}`);
  }
}
