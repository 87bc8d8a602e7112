import { readFileSync } from 'node:fs';
import { ConfigError } from '../common/errors.js';
import { trimBytes, toBytes } from '../protocol/bytes.js';
import { DEFAULT_HOST, DEFAULT_LEASE_TTL_S, DEFAULT_PORT, DEFAULT_READ_TIMEOUT_S } from '../protocol/limits.js';

/** dflockd's flags in camelCase, with its defaults (spec 8). Durations are seconds. */
export interface DflockdServerOptions {
  /** Default 127.0.0.1. */
  host?: string;
  /** 0 takes any free one. Default 6388. */
  port?: number;
  /** Lease of requests that name none. Default 33. */
  defaultLeaseTtl?: number;
  /** Expired leases are taken away on ticks of this length. Default 1. */
  leaseSweepInterval?: number;
  /** Default 5. */
  gcInterval?: number;
  /** Keys that lie idle for longer are forgotten. Default 60. */
  gcMaxIdle?: number;
  /** Most keys, released ones included until they are forgotten. Default 1024. */
  maxLocks?: number;
  /** 0 = unlimited, the default. */
  maxConnections?: number;
  /** 0 = unlimited, the default. */
  maxConnectionsPerIp?: number;
  /** Longest queue of a key; 0 = unlimited, the default. */
  maxWaiters?: number;
  /** Most signal patterns of a connection; 0 = unlimited, the default. */
  maxSubscriptions?: number;
  /** A connection that is silent for so long is closed. Default 23. */
  readTimeout?: number;
  /** A connection that does not take a reply for so long is closed; 0 = never. Default 5. */
  writeTimeout?: number;
  /** How long `close` waits for clients to leave; 0 = for ever. Default 30. */
  shutdownTimeout?: number;
  /** The end of a connection frees what it holds. Default true. */
  autoReleaseOnDisconnect?: boolean;
  /** Files in PEM format; both or none. */
  tlsCert?: string;
  tlsKey?: string;
  authToken?: string;
  /** A file with the token; `authToken` wins. */
  authTokenFile?: string;
}

/** Checked, complete and unchangeable. */
export interface ResolvedServerOptions extends Required<
  Omit<DflockdServerOptions, 'tlsCert' | 'tlsKey' | 'authToken' | 'authTokenFile'>
> {
  readonly tls: { readonly cert: Buffer; readonly key: Buffer } | undefined;
  /** Bytes, trimmed. */
  readonly authToken: string | undefined;
}

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
} as const;

const TEXTS = ['tlsCert', 'tlsKey', 'authToken', 'authTokenFile'] as const;
type Text = (typeof TEXTS)[number];

type NumberOption = {
  [K in keyof typeof DEFAULTS]: (typeof DEFAULTS)[K] extends number ? K : never;
}[keyof typeof DEFAULTS];

/** least: inclusive. Durations may have fractions, counts may not. */
const NUMBERS: Readonly<Record<NumberOption, { least: number; above?: true; most?: number; whole?: true }>> = {
  port: { least: 0, most: 65_535, whole: true },
  defaultLeaseTtl: { least: 0, above: true },
  leaseSweepInterval: { least: 0, above: true },
  gcInterval: { least: 0, above: true },
  gcMaxIdle: { least: 0 },
  maxLocks: { least: 1, whole: true },
  maxConnections: { least: 0, whole: true },
  maxConnectionsPerIp: { least: 0, whole: true },
  maxWaiters: { least: 0, whole: true },
  maxSubscriptions: { least: 0, whole: true },
  readTimeout: { least: 0, above: true },
  writeTimeout: { least: 0 },
  shutdownTimeout: { least: 0 },
};

const show = (value: unknown): string => (typeof value === 'string' ? JSON.stringify(value) : String(value));

const wrong = (option: string, value: unknown, want: string): ConfigError =>
  new ConfigError(`daemon option ${option} must be ${want}, got ${show(value)}`);

/** @throws ConfigError naming the option and the value */
export function resolveServerOptions(options: DflockdServerOptions = {}): ResolvedServerOptions {
  for (const name of Object.keys(options)) {
    if (!(name in DEFAULTS) && !TEXTS.includes(name as never)) {
      throw new ConfigError(`unknown daemon option ${name} (value ${show(options[name as never])})`);
    }
  }
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const all = { ...DEFAULTS, ...given } as Required<Omit<DflockdServerOptions, Text>> &
    Pick<DflockdServerOptions, Text>;
  for (const [name, rule] of Object.entries(NUMBERS)) checkNumber(name, all[name as NumberOption], rule);
  if (typeof all.host !== 'string' || all.host === '') throw wrong('host', all.host, 'a host name or address');
  if (typeof all.autoReleaseOnDisconnect !== 'boolean') {
    throw wrong('autoReleaseOnDisconnect', all.autoReleaseOnDisconnect, 'true or false');
  }
  for (const name of TEXTS) {
    if (all[name] !== undefined && typeof all[name] !== 'string') throw wrong(name, all[name], 'a string');
  }
  const { tlsCert, tlsKey, authToken, authTokenFile, ...rest } = all;
  return Object.freeze({ ...rest, tls: readTls(tlsCert, tlsKey), authToken: readToken(authToken, authTokenFile) });
}

function checkNumber(name: string, value: unknown, rule: (typeof NUMBERS)[NumberOption]): void {
  const { least, above = false, most = Number.MAX_SAFE_INTEGER, whole = false } = rule;
  const fits =
    typeof value === 'number' &&
    (above ? value > least : value >= least) &&
    value <= most &&
    (!whole || Number.isInteger(value));
  if (fits) return;
  const range = above ? `above ${least}` : most < Number.MAX_SAFE_INTEGER ? `${least}–${most}` : `${least} or more`;
  throw wrong(name, value, `${whole ? 'a whole number' : 'a number'}, ${range}`);
}

function readTls(cert: string | undefined, key: string | undefined): ResolvedServerOptions['tls'] {
  if (!cert && !key) return undefined;
  if (!cert) throw new ConfigError(`daemon option tlsKey (${show(key)}) needs tlsCert beside it`);
  if (!key) throw new ConfigError(`daemon option tlsCert (${show(cert)}) needs tlsKey beside it`);
  return { cert: readFile('tlsCert', cert), key: readFile('tlsKey', key) };
}

function readFile(option: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new ConfigError(`daemon option ${option}: cannot read ${show(path)}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** An empty token counts as none given; a blank one is a mistake. */
function readToken(token: string | undefined, file: string | undefined): string | undefined {
  if (token) return checkToken('authToken', token);
  if (file) return checkToken('authTokenFile', readFile('authTokenFile', file).toString('utf8'));
  return undefined;
}

function checkToken(option: string, text: string): string {
  const token = trimBytes(toBytes(text));
  // The value is a secret: it is not repeated.
  if (token === '') throw new ConfigError(`daemon option ${option} must not be blank`);
  if (/[\r\n]/.test(token)) throw new ConfigError(`daemon option ${option} must not hold a line break`);
  return token;
}
