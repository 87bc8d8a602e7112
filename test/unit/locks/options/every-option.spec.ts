import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import type { EmbeddedOptions } from '../../../../lib/backends/embedded/options.js';
import { ConfigError } from '../../../../lib/common/errors.js';
import { LockClient } from '../../../../lib/locks/lock-client.js';
import { checkRequest } from '../../../../lib/locks/acquire/checked-acquire.js';
import type { AcquireOptions } from '../../../../lib/locks/acquire/acquire-options.js';
import type { LockClientOptions, RemoteOptions } from '../../../../lib/locks/options/options.js';
import { resolveOptions } from '../../../../lib/locks/options/resolve-options.js';
import { defaultsOf } from '../support/defaults.js';
import { FakeBackend } from '../support/fake-backend.js';

/** All sorts of values, and how a message shows them. */
const VALUES = {
  null: [null, 'null'],
  nan: [NaN, 'NaN'],
  infinite: [Infinity, 'Infinity'],
  minus: [-1, '-1'],
  zero: [0, '0'],
  half: [0.5, '0.5'],
  seven: [7, '7'],
  huge: [2 ** 53, '9007199254740992'],
  bigint: [7n, '7'],
  yes: [true, 'true'],
  no: [false, 'false'],
  empty: ['', '""'],
  text: ['x y', '"x y"'],
  number: ['7', '"7"'],
  long: ['y'.repeat(500), `"${'y'.repeat(76)}...`],
  object: [{ some: 1 }, 'an object'],
  bare: [Object.create(null), 'an object'],
  list: [[], ''],
  symbol: [Symbol('s'), 'Symbol(s)'],
  function: [Math.max, 'function max() { [native code] }'],
} as const satisfies Record<string, readonly [unknown, string]>;
type Value = keyof typeof VALUES;

/** For each option the values that are right; what is not an option of its own is checked elsewhere. */
type Right<T> = { readonly [K in keyof Required<T>]: readonly Value[] };

const FRACTIONS: readonly Value[] = ['half', 'seven'];
const MILLISECONDS: readonly Value[] = ['seven'];
const COUNT: readonly Value[] = ['seven', 'infinite'];
const FLAG: readonly Value[] = ['yes', 'no'];

const CLIENT: Right<Omit<LockClientOptions, never>> = {
  acquireTimeoutS: ['zero', ...FRACTIONS],
  leaseTtlS: FRACTIONS,
  namespace: ['number', 'long'],
  startup: [],
  shutdownTimeoutS: ['zero', ...FRACTIONS],
  maxHoldS: FRACTIONS,
  renewRatio: ['half'],
  servers: [],
  remote: [],
  embedded: ['yes'],
  // A factory.
  backend: ['function'],
};

const REMOTE: Right<RemoteOptions> = {
  // Node says what is wrong inside.
  tls: ['object', 'bare'],
  auth: ['text', 'number', 'long'],
  shardingStrategy: ['function'],
  connectTimeoutMs: MILLISECONDS,
  requestTimeoutMs: MILLISECONDS,
  readTimeoutS: FRACTIONS,
  renewRatio: ['half'],
  reconnect: [],
  autoRelease: FLAG,
  commandLanes: ['seven'],
  maxWaitLanes: COUNT,
  // Infinity needs maxWaitLanes too.
  waitersPerKey: ['seven'],
  placeLeaseS: FRACTIONS,
  fencing: [],
};

const RECONNECT: Right<NonNullable<RemoteOptions['reconnect']>> = {
  minDelayMs: MILLISECONDS,
  maxDelayMs: MILLISECONDS,
};

const EMBEDDED: Right<EmbeddedOptions> = {
  listen: ['number', 'long'],
  maxLocks: ['seven'],
  maxWaiters: ['zero', 'seven'],
  maxSubscriptions: ['zero', 'seven'],
  maxConnections: ['zero', 'seven'],
  maxConnectionsPerIp: ['zero', 'seven'],
  defaultLeaseTtl: FRACTIONS,
  leaseSweepInterval: FRACTIONS,
  gcInterval: FRACTIONS,
  gcMaxIdle: ['zero', ...FRACTIONS],
  readTimeout: FRACTIONS,
  writeTimeout: ['zero', ...FRACTIONS],
  autoReleaseOnDisconnect: FLAG,
  fenceStateFile: ['text', 'number', 'long'],
  httpPort: ['zero', 'seven'],
  httpHost: ['empty', 'number', 'long'],
  // 7 would be less than the interval of pings.
  httpSessionIdleTimeout: ['zero'],
  httpMaxSessions: ['zero', 'seven'],
  httpMaxSessionsPerIp: ['zero', 'seven'],
  httpMaxConnectionsPerIp: ['zero', 'seven'],
  httpRateLimitPerIp: ['zero', 'seven'],
  httpRateLimitBurst: ['zero', 'seven'],
  httpSsePingInterval: ['zero', ...FRACTIONS],
  httpSseKeepAlive: FLAG,
  httpCorsAllowedOrigins: ['list'],
  // Files that are not there.
  tlsCert: [],
  tlsKey: [],
  authTokenFile: [],
  authToken: ['text', 'number', 'long'],
  lockdPort: ['zero', 'seven'],
  lockdHost: ['number', 'long'],
  lockdDump: FLAG,
  lockdRegistry: FLAG,
};

const ACQUIRE: Right<AcquireOptions> = {
  acquireTimeoutS: ['zero', ...FRACTIONS],
  leaseTtlS: FRACTIONS,
  limit: ['seven'],
  signal: [],
  autoRenew: FLAG,
  requireFence: FLAG,
  onNested: [],
};

/** Their values are not shown. */
const SECRETS = ['remote.auth', 'embedded.authToken'];
/** A text that cannot be the path of a file may be the secret itself. */
const FILES = ['embedded.tlsCert', 'embedded.tlsKey', 'embedded.authTokenFile'];

type Resolve = (name: string, value: unknown) => unknown;

const resolve = (options: object): unknown => resolveOptions(options);
/** The other file of the pair. */
const beside = (name: string, value: unknown): object => {
  if (value === undefined || !['tlsCert', 'tlsKey'].includes(name)) return {};
  return { [name === 'tlsCert' ? 'tlsKey' : 'tlsCert']: fileURLToPath(import.meta.url) };
};
const GROUPS: readonly [where: string, options: Readonly<Record<string, readonly Value[]>>, resolve: Resolve][] = [
  ['', CLIENT, (name, value) => resolve({ [name]: value })],
  ['remote.', REMOTE, (name, value) => resolve({ remote: { [name]: value } })],
  ['remote.reconnect.', RECONNECT, (name, value) => resolve({ remote: { reconnect: { [name]: value } } })],
  [
    'embedded.',
    EMBEDDED,
    (name, value) => resolve({ embedded: { listen: 'host:1', ...beside(name, value), [name]: value } }),
  ],
  ['', ACQUIRE, (name, value) => checkRequest('key', { [name]: value }, defaultsOf(), 0)],
];

const ALL = GROUPS.flatMap(([where, options, resolve], group) =>
  Object.entries(options).map(([name, right]) => ({ option: where + name, group, name, right, resolve })),
);

/** Objects are looked into: it is what is in them that is wrong. */
const insideOf = (option: string): string =>
  ['remote', 'embedded', 'remote.reconnect'].includes(option) ? `${option}.some` : option;

describe.each(ALL)('the option $option ($group)', ({ option, name, right, resolve }) => {
  const wrong = (Object.keys(VALUES) as Value[]).filter((value) => !right.includes(value));

  it('takes what is right, and undefined for its default', () => {
    for (const value of right) expect(() => resolve(name, VALUES[value][0])).not.toThrow();
    expect(() => resolve(name, undefined)).not.toThrow();
  });

  it.each(wrong.map((value) => [value]))('refuses %s with its name, the value and the reason', (value) => {
    const [given, shown] = VALUES[value];
    // An object without anything in it is as good as none.
    if (value === 'bare' && ['remote', 'embedded', 'remote.reconnect'].includes(option)) return;
    let error: unknown;
    try {
      resolve(name, given);
    } catch (e) {
      error = e;
    }
    expect(error).toBeInstanceOf(ConfigError);
    const { message } = error as Error;
    const named = value === 'object' ? [insideOf(option), option] : [option];
    expect(named.some((one) => message.startsWith(`option ${one}`))).toBe(true);
    if (message.startsWith(`option ${option}.some is unknown`)) return;
    expect(message).toMatch(/: (expected .+|a token has at most .+|cannot read the file: E[A-Z]+)/);
    if (FILES.includes(option) && typeof given === 'string' && given !== '') {
      expect(message).not.toContain(shown.slice(1, 7));
    } else if (SECRETS.includes(option)) {
      if (shown.length > 6) expect(message).not.toContain(String(shown).slice(1, -1));
    } else if (value !== 'list') expect(message).toContain(`got ${shown}`);
    expect(message.length).toBeLessThan(300);
  });
});

describe('the option onLost', () => {
  it.each((Object.keys(VALUES) as Value[]).map((value) => [value]))('refuses %s', async (value) => {
    const client = new LockClient({ backend: new FakeBackend() });
    const locked = client.withLock('key', { onLost: VALUES[value][0] as 'throw' }, () => 1);
    await expect(locked).rejects.toThrow(/^option onLost: expected 'throw' or 'ignore', got /);
    await client.close();
  });
});
