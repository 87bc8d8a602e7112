import { describe, expect, it } from '@jest/globals';
import { ConfigError } from '../../../../lib/common/errors.js';
import { checkRequest } from '../../../../lib/locks/acquire/checked-acquire.js';
import { show } from '../../../../lib/common/shown.js';
import { checkNames, checkNumber } from '../../../../lib/common/option-checks.js';
import type { LockClientOptions, RemoteOptions } from '../../../../lib/locks/options/options.js';
import { type DflockdServerOptions, resolveServerOptions } from '../../../../lib/daemon/shared/options.js';
import { resolveOptions } from '../../../../lib/locks/options/resolve-options.js';
import { defaultsOf } from '../support/defaults.js';
import { FakeBackend } from '../support/fake-backend.js';

const messageOf = (call: () => unknown): string => {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as Error).message;
  }
  return 'taken';
};
const client = (options: object) => resolveOptions(options);
const remote = (options: object) => {
  const { backend } = client({ remote: options });
  if (backend.kind !== 'remote') throw new Error(backend.kind);
  return backend.config;
};
const MAX_MS = 2_147_483_647;

describe('bounds', () => {
  it.each<[string, (value: number) => unknown, number, number]>([
    ['acquireTimeoutS', (acquireTimeoutS) => client({ acquireTimeoutS }), 0, 2_147_483],
    ['shutdownTimeoutS', (shutdownTimeoutS) => client({ shutdownTimeoutS }), 0, 2_147_483],
    ['limit', (limit) => checkRequest('k', { limit }, defaultsOf(), 0), 1, 1_048_576],
    ['remote.commandLanes', (commandLanes) => remote({ commandLanes }), 1, 64],
    ['remote.connectTimeoutMs', (connectTimeoutMs) => remote({ connectTimeoutMs }), 1, MAX_MS],
    ['remote.requestTimeoutMs', (requestTimeoutMs) => remote({ requestTimeoutMs }), 1, MAX_MS],
    ['remote.readTimeoutS', (readTimeoutS) => remote({ readTimeoutS }), 0.5, MAX_MS / 1000],
    ['remote.reconnect.minDelayMs', (minDelayMs) => remote({ reconnect: { minDelayMs } }), 1, MAX_MS],
    ['remote.reconnect.maxDelayMs', (maxDelayMs) => remote({ reconnect: { maxDelayMs } }), 1, MAX_MS],
    ['embedded.maxLocks', (maxLocks) => client({ embedded: { maxLocks } }), 1, Number.MAX_SAFE_INTEGER],
    ['embedded.maxWaiters', (maxWaiters) => client({ embedded: { maxWaiters } }), 0, Number.MAX_SAFE_INTEGER],
  ])('of %s are inside, and named by who is outside', (name, resolve, min, max) => {
    expect(messageOf(() => resolve(min))).toBe('taken');
    expect(messageOf(() => resolve(max))).toBe('taken');
    for (const value of [min - 1, max * 2]) {
      expect(messageOf(() => resolve(value))).toMatch(
        new RegExp(
          `^option ${name}: expected (a number|an integer) (between ${min} and ${max}|of at least ${min}), got`,
        ),
      );
    }
  });

  it.each<[string, (value: number) => unknown, number]>([
    ['leaseTtlS', (leaseTtlS) => client({ leaseTtlS }), 2_147_483],
    ['embedded.defaultLeaseTtl', (defaultLeaseTtl) => client({ embedded: { defaultLeaseTtl } }), 2_147_483],
    ['remote.placeLeaseS', (placeLeaseS) => remote({ placeLeaseS }), 2_147_483],
    ['renewRatio', (renewRatio) => client({ renewRatio }), 1],
    ['remote.renewRatio', (renewRatio) => remote({ renewRatio }), 1],
  ])('of %s are outside', (name, resolve, max) => {
    expect(messageOf(() => resolve(max - 1e-9 * max))).toBe('taken');
    expect(messageOf(() => resolve(1e-9))).toBe('taken');
    for (const value of [0, max]) {
      expect(messageOf(() => resolve(value))).toBe(
        `option ${name}: expected a number between 0 and ${max}, exclusive, got ${value}`,
      );
    }
  });

  it('of lanes and places are one and none', () => {
    for (const name of ['maxWaitLanes', 'waitersPerKey']) {
      expect(messageOf(() => remote({ [name]: 1 }))).toBe('taken');
      expect(messageOf(() => remote({ [name]: 0 }))).toBe(
        `option remote.${name}: expected an integer of at least 1, or Infinity, got 0`,
      );
      expect(messageOf(() => remote({ [name]: 1.5 }))).toContain('got 1.5');
    }
    expect(messageOf(() => remote({ waitersPerKey: Infinity, maxWaitLanes: 7 }))).toBe(
      'option remote.waitersPerKey: expected an integer, unless remote.maxWaitLanes is Infinity too (it is 7), got Infinity',
    );
    expect(messageOf(() => remote({ maxWaitLanes: Infinity }))).toBe('taken');
  });

  it('are said as they are: on one side, on both, with and without themselves', () => {
    const say = (range: object) => messageOf(() => checkNumber('x', 'no', range));
    expect(say({ min: 3 })).toBe('option x: expected a number of at least 3, got "no"');
    expect(say({ min: 3, open: true })).toBe('option x: expected a number above 3, got "no"');
    expect(say({ min: 3, integer: true })).toBe('option x: expected an integer of at least 3, got "no"');
    expect(say({ min: 3, max: 4 })).toBe('option x: expected a number between 3 and 4, got "no"');
    expect(say({ max: 4 })).toBe('option x: expected a number of at least -Infinity, got "no"');
    expect(checkNumber('x', 3.5, { min: 3, max: 4 })).toBe(3.5);
    expect(checkNumber('x', -1e9, {})).toBe(-1e9);
    expect(checkNumber('x', undefined, { min: 3 })).toBeUndefined();
    expect(messageOf(() => checkNumber('x', 2 ** 53, { min: 3, integer: true }))).toContain('got 9007199254740992');
    expect(messageOf(() => checkNumber('x', 3, { min: 3, open: true }))).toContain('got 3');
    expect(messageOf(() => checkNumber('x', 4, { min: 3, max: 4, open: true }))).toContain('got 4');
  });
});

describe('what was given', () => {
  it.each<[unknown, string]>([
    ['y'.repeat(78), `"${'y'.repeat(78)}"`],
    ['y'.repeat(79), `"${'y'.repeat(76)}...`],
    [undefined, 'undefined'],
    [Object.create(null), 'an object'],
    [['a', 'b'], 'a,b'],
  ])('is shown in at most 80 characters: %p', (value, shown) => {
    expect(show(value)).toBe(shown);
  });

  it('under a name that is no option is refused with those that are, or as one to come', () => {
    expect(messageOf(() => checkNames('', { a: undefined, b: 1 }, ['b']))).toBe('taken');
    expect(messageOf(() => checkNames('', { c: 1 }, ['a', 'b']))).toBe(
      'option c is unknown, got 1; known options: a, b',
    );
    expect(messageOf(() => checkNames('x', { c: 1 }, ['a']))).toBe('option x.c is unknown, got 1; known options: a');
    expect(messageOf(() => checkNames('x', { c: 1 }, ['a'], ['c']))).toBe('option x.c is not supported yet, got 1');
  });
});

describe('addresses', () => {
  const of = (address: unknown) => {
    const { backend } = client({ servers: [address] });
    return backend.kind === 'remote' && backend.config.endpoints[0]!;
  };

  it.each<[unknown, string]>([
    ['host', 'host:6388'],
    ['host:1', 'host:1'],
    ['host:65535', 'host:65535'],
    ['1.2.3.4:007', '1.2.3.4:7'],
    ['[fe80::1]', '[fe80::1]:6388'],
    ['[fe80::1]:80', '[fe80::1]:80'],
    ['fe80::1', '[fe80::1]:6388'],
    [['host', 9], 'host:9'],
    [['host', '9'], 'host:9'],
    [['::1', 9], '[::1]:9'],
  ])('%j is %s', (address, label) => {
    const endpoint = of(address);
    expect(endpoint).toMatchObject({ label });
    expect(Object.isFrozen(endpoint)).toBe(true);
  });

  it.each([
    'host:65536',
    'host:0',
    'host:',
    ':80',
    '',
    'host:-1',
    'host:1e3',
    'host:0x10',
    'host: 80',
    'host:80a',
    'a8:b8',
    '[::1',
    '[]:80',
    '[::1]80',
    '[::1]:',
    'x[::1]:80',
    'h st',
    'h[st',
    'h]st',
    '[a b]:80',
    7,
    null,
    undefined,
    {},
    ['host'],
    ['host', 1, 2],
    [1, 2],
    ['host', 1.5],
    ['host', null],
    ['host', 0],
    ['', 1],
    ['h\n', 1],
  ])('%j is none', (address) => {
    expect(messageOf(() => of(address))).toMatch(
      /^option servers\[0\]: expected host, host:port or \[host, port\], got /,
    );
  });

  it('are a list, each once', () => {
    expect(messageOf(() => client({ servers: 'a' }))).toBe(
      'option servers: expected a list of at least one address, got "a"',
    );
    expect(messageOf(() => client({ servers: ['a', 'b', ['a', 6388]] }))).toBe(
      'option servers: expected each address once, got "a:6388"',
    );
    const { backend } = client({ servers: ['a', 'b', 'a:1'] });
    expect(backend).toMatchObject({ config: { endpoints: [{ port: 6388 }, { host: 'b' }, { port: 1 }] } });
    expect(backend.kind === 'remote' && Object.isFrozen(backend.config.endpoints)).toBe(true);
  });

  it('to listen on may leave the port to the system', () => {
    const listen = (value: unknown) => client({ embedded: { listen: value } }).backend;
    expect(listen('host:0')).toMatchObject({ config: { listen: { host: 'host', port: 0 } } });
    expect(messageOf(() => listen('host:65536'))).toMatch(/^option embedded.listen: expected host, host:port/);
  });
});

describe('the part of the lease after which a lock is renewed', () => {
  it('is an option of every client, and 0.5 by default', () => {
    expect(client({ renewRatio: 0.3 }).renewRatio).toBe(0.3);
    expect(client({ embedded: true, renewRatio: 0.3 }).renewRatio).toBe(0.3);
    expect(client({ backend: new FakeBackend(), renewRatio: 0.3 }).renewRatio).toBe(0.3);
    expect(client({}).renewRatio).toBe(0.5);
  });

  it('may be given under remote instead, or in both places alike', () => {
    expect(client({ remote: { renewRatio: 0.3 } }).renewRatio).toBe(0.3);
    expect(client({ renewRatio: 0.3, remote: { renewRatio: 0.3 } }).renewRatio).toBe(0.3);
    expect(messageOf(() => client({ renewRatio: 0.3, remote: { renewRatio: 0.5 } }))).toBe(
      'options renewRatio (0.3) and remote.renewRatio (0.5) contradict each other: they are the same, give one',
    );
  });
});

describe('remote options', () => {
  it('are all taken as they are given', () => {
    const given: RemoteOptions = {
      tls: {},
      auth: 'to ken',
      shardingStrategy: () => 0,
      connectTimeoutMs: 7,
      requestTimeoutMs: 8,
      readTimeoutS: 9,
      renewRatio: 0.25,
      reconnect: { minDelayMs: 10, maxDelayMs: 10 },
      autoRelease: false,
      commandLanes: 3,
      maxWaitLanes: 4,
      waitersPerKey: 5,
      placeLeaseS: 6,
      fencing: 'token',
    };
    const { readTimeoutS: _, placeLeaseS: __, renewRatio, ...same } = given;
    expect(remote(given)).toMatchObject({ ...same, readTimeoutMs: 9000, placeLeaseMs: 6000 });
    expect(client({ remote: given }).renewRatio).toBe(renewRatio);
    expect(Object.isFrozen(remote(given))).toBe(true);
    expect(remote({})).toMatchObject({ tls: undefined, auth: undefined, shardingStrategy: undefined });
    expect(remote({ fencing: 'none', autoRelease: true })).toMatchObject({ fencing: 'none', autoRelease: true });
  });

  it.each<[object, object]>([
    [{}, { minDelayMs: 50, maxDelayMs: 5000 }],
    [{ minDelayMs: 20 }, { minDelayMs: 20, maxDelayMs: 5000 }],
    [{ minDelayMs: 9000 }, { minDelayMs: 9000, maxDelayMs: 9000 }],
    [{ maxDelayMs: 40 }, { minDelayMs: 40, maxDelayMs: 40 }],
    [{ maxDelayMs: 60 }, { minDelayMs: 50, maxDelayMs: 60 }],
  ])('reconnect %j is %j', (given, resolved) => {
    expect(remote({ reconnect: given }).reconnect).toEqual(resolved);
    expect(Object.isFrozen(remote({ reconnect: given }).reconnect)).toBe(true);
  });

  it('refuse delays that contradict each other', () => {
    expect(messageOf(() => remote({ reconnect: { minDelayMs: 10, maxDelayMs: 9 } }))).toBe(
      'option remote.reconnect.maxDelayMs: expected at least minDelayMs (10), got 9',
    );
  });

  it('take a token that fits into a line, and show none that does not', () => {
    expect(remote({ auth: 'x'.repeat(65_536) }).auth).toHaveLength(65_536);
    expect(messageOf(() => remote({ auth: 'x'.repeat(65_537) }))).toBe(
      'option remote.auth: a token has at most 65536 bytes',
    );
    for (const auth of ['', ' ', ' x', 'x ', 'a\nb', 'a\rb', 'a\0b', 7, null]) {
      expect(messageOf(() => remote({ auth }))).toBe(
        'option remote.auth: expected a token without line breaks, NULs or surrounding white space',
      );
    }
  });

  it('name what is wrong', () => {
    expect(messageOf(() => remote({ nope: 1 }))).toMatch(
      /^option remote.nope is unknown, got 1; known options: tls, auth, sh/,
    );
    expect(messageOf(() => remote({ tls: 7 }))).toBe('option remote.tls: expected an object, got 7');
    expect(messageOf(() => remote({ tls: [] }))).toBe('option remote.tls: expected an object, got an array');
    expect(messageOf(() => remote({ fencing: 7 }))).toBe("option remote.fencing: expected 'none' or 'token', got 7");
    expect(messageOf(() => remote({ reconnect: { a: 1 } }))).toBe(
      'option remote.reconnect.a is unknown, got 1; known options: minDelayMs, maxDelayMs',
    );
    expect(messageOf(() => remote({ reconnect: null }))).toBe('option remote.reconnect: expected an object, got null');
  });
});

describe('places where locks live', () => {
  it('are one', () => {
    const backend = new FakeBackend();
    expect(messageOf(() => client({ backend, embedded: true }))).toBe(
      'options embedded and backend contradict each other: set only one of them',
    );
    expect(messageOf(() => client({ backend, servers: ['a'], remote: {} }))).toMatch(
      /^options servers and remote and backe/,
    );
    expect(messageOf(() => client({ backend, servers: undefined, remote: undefined }))).toBe('taken');
    expect(messageOf(() => client({ servers: ['a'], remote: {} }))).toBe('taken');
  });

  it('have all that a backend must have', () => {
    const methods = [
      'start',
      'tryAcquire',
      'enqueue',
      'renew',
      'release',
      'abandon',
      'stats',
      'ping',
      'onLink',
      'close',
    ];
    const whole = Object.fromEntries(methods.map((name) => [name, () => undefined]));
    expect(messageOf(() => client({ backend: whole }))).toBe('taken');
    for (const name of methods) {
      expect(messageOf(() => client({ backend: { ...whole, [name]: 7 } }))).toBe(
        `option backend: expected a LockBackend (${name} missing), got an object`,
      );
    }
    expect(messageOf(() => client({ backend: {} }))).toContain(`(${methods.join(', ')} missing)`);
  });

  it('are in this process only if that is said', () => {
    expect(messageOf(() => client({ embedded: false }))).toBe('option embedded: expected true or an object, got false');
    expect(messageOf(() => client({ embedded: null }))).toBe('option embedded: expected true or an object, got null');
    expect(messageOf(() => client({ embedded: [] }))).toBe('option embedded: expected an object, got an array');
    expect(messageOf(() => client({ embedded: { authToken: 'x' } }))).toBe(
      'option embedded.authToken requires embedded.listen',
    );
    for (const authToken of ['', ' ', 7, null]) {
      expect(messageOf(() => client({ embedded: { listen: 'a', authToken } }))).toBe(
        'option embedded.authToken: expected a string that is not blank',
      );
    }
    const { backend } = client({ embedded: { maxWaiters: 5, defaultLeaseTtl: 7 } });
    expect(backend).toMatchObject({ config: { defaultLeaseTtl: 7, server: { maxWaiters: 5, maxLocks: 1_000_000 } } });
    expect(backend.kind === 'embedded' && Object.isFrozen(backend.config)).toBe(true);
    const { backend: open } = client({ embedded: { listen: 'a', defaultLeaseTtl: 0.5 } });
    expect(open).toMatchObject({ config: { defaultLeaseTtl: 1, server: { defaultLeaseTtl: 1 } } });
    const { backend: closed } = client({ embedded: { defaultLeaseTtl: 0.5 } });
    expect(closed).toMatchObject({ config: { defaultLeaseTtl: 0.5 } });
  });

  it.each<[keyof DflockdServerOptions, unknown, string]>([
    ['host', 'localhost', 'got "localhost"; use embedded.listen, which takes host:port'],
    ['port', 6388, 'got 6388; use embedded.listen, which takes host:port'],
    ['shutdownTimeout', 7, 'got 7; the shutdownTimeoutS of the client applies, to connections too'],
  ])('are told what to give in place of the option %s of a daemon', (name, value, reason) => {
    const message = `option embedded.${name} is unknown, ${reason}`;
    expect(messageOf(() => client({ embedded: { [name]: value } }))).toBe(message);
    expect(messageOf(() => client({ embedded: { listen: 'a', [name]: value } }))).toBe(message);
  });

  it.each<[keyof DflockdServerOptions, unknown]>([
    ['maxConnections', 1],
    ['maxConnectionsPerIp', 1],
    ['readTimeout', 1],
    ['writeTimeout', 1],
    ['autoReleaseOnDisconnect', false],
    ['tlsCert', '/cert.pem'],
    ['tlsKey', '/key.pem'],
    ['authToken', 'x'],
    ['authTokenFile', '/token'],
  ])('are told that %s is an option of connections', (name, value) => {
    const message = `option embedded.${name} requires embedded.listen`;
    expect(messageOf(() => client({ embedded: { [name]: value } }))).toBe(message);
  });

  it('may have every other option of the daemon', () => {
    const elsewhere = ['host', 'port', 'shutdownTimeout', 'tlsCert', 'tlsKey', 'authToken', 'authTokenFile', 'tls'];
    for (const [name, value] of Object.entries(resolveServerOptions())) {
      if (elsewhere.includes(name)) continue;
      expect(messageOf(() => client({ embedded: { listen: 'a', [name]: value } }))).toBe('taken');
    }
  });

  it('are told what is wrong with files and tokens, by the names they gave', () => {
    const embedded = (options: object): string => messageOf(() => client({ embedded: { listen: 'a', ...options } }));
    expect(embedded({ tlsCert: '/cert.pem' })).toBe(
      'option embedded.tlsCert ("/cert.pem") requires option embedded.tlsKey',
    );
    expect(embedded({ tlsCert: '/no/cert.pem', tlsKey: '/no/key.pem' })).toMatch(
      /^option embedded\.tlsCert: cannot read "\/no\/cert\.pem": ENOENT/,
    );
    expect(embedded({ authTokenFile: '/no/token' })).toMatch(
      /^option embedded\.authTokenFile: cannot read "\/no\/token"/,
    );
    expect(embedded({ authToken: 'a\nb' })).toBe('option embedded.authToken must not contain a line break');
  });
});

describe('the options of a client', () => {
  it('are seconds, which become milliseconds', () => {
    expect(client({ acquireTimeoutS: 1.5, leaseTtlS: 2.5, shutdownTimeoutS: 3.5, namespace: 'n' })).toMatchObject({
      acquireTimeoutMs: 1500,
      leaseMs: 2500,
      shutdownTimeoutMs: 3500,
      namespace: 'n',
    });
  });

  it.each(['connect', 'require', 'lazy'])('start as they say: %s', (startup) => {
    expect(client({ startup }).startup).toBe(startup);
  });

  it('name what is wrong', () => {
    expect(messageOf(() => client({ startup: 'now' }))).toBe(
      'option startup: expected one of connect, require, lazy, got "now"',
    );
    expect(messageOf(() => client({ namespace: 'a b' }))).toMatch(
      /^option namespace: expected text that is allowed in a key \(the key "a b" has white space.*\), got "a b"$/,
    );
    expect(messageOf(() => client({ nope: 1 }))).toMatch(
      /^option nope is unknown, got 1; known options: servers, remote, emb/,
    );
    expect(messageOf(() => client([]))).toBe('option options: expected an object, got an array');
  });
});

describe('the options of an acquire', () => {
  const request = (options: object, defaults: LockClientOptions = {}) =>
    checkRequest('k', options, defaultsOf(defaults), 1000);

  it('have the defaults of the client', () => {
    expect(request({})).toEqual({
      keys: ['k'],
      wires: [{ key: 'k', kind: 'lock', limit: 1, leaseMs: 0, deadline: 11_000 }],
      deadline: 11_000,
      waitMs: 10_000,
      signal: undefined,
      autoRenew: true,
      requireFence: false,
      onNested: 'throw',
    });
    expect(request({}, { acquireTimeoutS: 2, leaseTtlS: 3, namespace: 'n' })).toMatchObject({
      wires: [{ key: 'n:k', leaseMs: 3000, deadline: 3000 }],
      waitMs: 2000,
    });
  });

  it('go before them', () => {
    const { signal } = new AbortController();
    const given = { acquireTimeoutS: 0, leaseTtlS: 5, limit: 1, signal, autoRenew: false, requireFence: true } as const;
    expect(request({ ...given, onNested: 'wait' }, { acquireTimeoutS: 2, leaseTtlS: 3 })).toMatchObject({
      wires: [{ kind: 'sem', limit: 1, leaseMs: 5000, deadline: 1000 }],
      waitMs: 0,
      signal,
      autoRenew: false,
      requireFence: true,
      onNested: 'wait',
    });
    const lock = { keys: ['k'], release: () => undefined };
    expect(request({ onNested: lock, autoRenew: true, requireFence: false })).toMatchObject({
      onNested: lock,
      autoRenew: true,
      requireFence: false,
    });
  });

  it('take a signal of any realm, and nothing that is none', () => {
    const foreign = { aborted: false, addEventListener: () => undefined };
    expect(request({ signal: foreign }).signal).toBe(foreign);
    for (const signal of [7, 'x', null, {}, { aborted: false }, { addEventListener: () => undefined }]) {
      expect(messageOf(() => request({ signal }))).toMatch(/^option signal: expected an AbortSignal, got /);
    }
  });

  it('name what is wrong', () => {
    expect(messageOf(() => request({ ttl: 1 }))).toBe(
      'option ttl is unknown, got 1; known options: acquireTimeoutS, leaseTtlS, limit, signal, autoRenew, requireFence, onNested',
    );
    expect(messageOf(() => request({ onNested: null }))).toBe(
      "option onNested: expected 'throw', 'wait' or the handle of a lock, got null",
    );
    expect(messageOf(() => checkRequest('k', 7 as never, defaultsOf(), 0))).toBe(
      'option options: expected an object, got 7',
    );
  });
});
