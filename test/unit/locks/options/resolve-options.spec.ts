import { describe, expect, it } from '@jest/globals';
import { ConfigError } from '../../../../lib/common/errors.js';
import type { LockClientOptions } from '../../../../lib/locks/options/options.js';
import { resolveOptions, shownOptions } from '../../../../lib/locks/options/resolve-options.js';
import { FakeBackend } from '../support/fake-backend.js';

describe('the options of a client', () => {
  it('have defaults', () => {
    const options = resolveOptions();
    expect(options).toMatchObject({
      namespace: undefined,
      acquireTimeoutMs: 10_000,
      leaseMs: 0,
      startup: 'connect',
      shutdownTimeoutMs: 10_000,
      renewRatio: 0.5,
      backend: {
        kind: 'remote',
        config: {
          endpoints: [{ host: '127.0.0.1', port: 6388, label: '127.0.0.1:6388' }],
          connectTimeoutMs: 5000,
          requestTimeoutMs: 5000,
          readTimeoutMs: 23_000,
          reconnect: { minDelayMs: 50, maxDelayMs: 5000 },
          commandLanes: 2,
          maxWaitLanes: 1024,
          waitersPerKey: 2,
          placeLeaseMs: 3000,
          autoRelease: true,
          fencing: 'none',
        },
      },
    });
    expect(Object.isFrozen(options)).toBe(true);
  });

  it.each<[unknown, string, number]>([
    ['lock', 'lock', 6388],
    ['lock:1', 'lock', 1],
    ['[::1]:7', '::1', 7],
    ['[::1]', '::1', 6388],
    ['::1', '::1', 6388],
    [['lock', 2], 'lock', 2],
  ])('take %p as an address', (server, host, port) => {
    const { backend } = resolveOptions({ servers: [server as string] });
    expect(backend).toMatchObject({ config: { endpoints: [{ host, port }] } });
  });

  it('know embedded engines', () => {
    expect(shownOptions(resolveOptions({ embedded: true }), 'embedded').backend).toEqual({
      kind: 'embedded',
      config: {
        ...{ listen: undefined, authToken: false, tls: false, maxLocks: 1_000_000, maxWaiters: 0, maxSubscriptions: 0 },
        ...{ defaultLeaseTtl: 33, leaseSweepInterval: 0.1, gcInterval: 5, gcMaxIdle: 60, maxConnections: 0 },
        ...{ maxConnectionsPerIp: 0, readTimeout: 23, writeTimeout: 5, autoReleaseOnDisconnect: true },
        ...{ lockdPort: undefined, lockdHost: '127.0.0.1', lockdDump: true, lockdRegistry: true },
        ...{ httpPort: 0, httpHost: '127.0.0.1', httpSessionIdleTimeout: 20, httpMaxSessions: 0 },
        ...{ httpMaxSessionsPerIp: 0, httpMaxConnectionsPerIp: 0, httpRateLimitPerIp: 0, httpRateLimitBurst: 0 },
        ...{ httpSsePingInterval: 15, httpSseKeepAlive: false, httpCorsAllowedOrigins: [] },
      },
    });
    expect(resolveOptions({ embedded: { listen: '0.0.0.0:0', authToken: 'x', maxLocks: 5 } }).backend).toMatchObject({
      config: {
        listen: { host: '0.0.0.0', port: 0 },
        server: { host: '0.0.0.0', port: 0, authToken: 'x', maxLocks: 5 },
      },
    });
  });

  it('take lanes without bound', () => {
    const remote = { maxWaitLanes: Infinity, waitersPerKey: Infinity, autoRelease: false, fencing: 'token' } as const;
    expect(resolveOptions({ remote }).backend).toMatchObject({ config: remote });
  });

  it('take a backend', () => {
    const backend = new FakeBackend();
    expect(resolveOptions({ backend }).backend).toEqual({ kind: 'custom', backend });
  });

  it.each<[unknown, string]>([
    [{ acquireTimeoutS: -1 }, 'option acquireTimeoutS: expected a number between 0 and 2147483, got -1'],
    [{ acquireTimeoutS: NaN }, 'got NaN'],
    [{ acquireTimeoutS: '5' }, 'got "5"'],
    [{ leaseTtlS: 0 }, 'option leaseTtlS'],
    [{ leaseTtlS: Infinity }, 'got Infinity'],
    [{ shutdownTimeoutS: null }, 'option shutdownTimeoutS'],
    [{ startup: 'later' }, 'option startup: expected one of connect, require, lazy, got "later"'],
    [{ namespace: 'a b' }, 'option namespace'],
    [{ namespace: '' }, 'option namespace'],
    [{ serverz: [] }, 'option serverz is unknown'],
    [{ servers: [] }, 'option servers: expected a list of at least one address'],
    [{ servers: 'localhost' }, 'option servers'],
    [{ servers: ['a:b'] }, 'option servers[0]: expected host, host:port or [host, port], got "a:b"'],
    [{ servers: ['ok', 'a:99999'] }, 'option servers[1]'],
    [{ servers: ['a:0'] }, 'option servers[0]'],
    [{ servers: ['a b'] }, 'option servers[0]'],
    [{ servers: [7] }, 'option servers[0]'],
    [{ servers: ['a', 'a:6388'] }, 'each address once, got "a:6388"'],
    [{ remote: 7 }, 'option remote: expected an object, got 7'],
    [{ remote: { retries: 1 } }, 'option remote.retries is unknown'],
    [{ remote: { autoRelease: 'no' } }, 'option remote.autoRelease: expected true or false, got "no"'],
    [{ remote: { commandLanes: 0 } }, 'option remote.commandLanes: expected an integer between 1 and 64, got 0'],
    [{ remote: { maxWaitLanes: 0.5 } }, 'option remote.maxWaitLanes: expected an integer of at least 1, or Infinity'],
    [{ remote: { waitersPerKey: 0 } }, 'option remote.waitersPerKey: expected an integer of at least 1, or Infinity'],
    [
      { remote: { waitersPerKey: Infinity } },
      'option remote.waitersPerKey: expected an integer, unless remote.maxWait',
    ],
    [
      { remote: { placeLeaseS: 0 } },
      'option remote.placeLeaseS: expected a number between 0 and 2147483, exclusive, got 0',
    ],
    [{ remote: { placeLeaseS: Infinity } }, 'option remote.placeLeaseS: '],
    [{ remote: { fencing: 'fence' } }, "option remote.fencing: expected 'none' or 'token', got \"fence\""],
    [{ remote: { connectTimeoutMs: 0 } }, 'option remote.connectTimeoutMs'],
    [{ remote: { requestTimeoutMs: -5 } }, 'option remote.requestTimeoutMs'],
    [{ remote: { readTimeoutS: 0 } }, 'option remote.readTimeoutS'],
    [{ remote: { renewRatio: 1 } }, 'option remote.renewRatio: expected a number between 0 and 1, exclusive, got 1'],
    [{ remote: { shardingStrategy: 'crc' } }, 'option remote.shardingStrategy: expected a function'],
    [{ remote: { tls: true } }, 'option remote.tls: expected an object'],
    [{ remote: { auth: '' } }, 'option remote.auth'],
    [{ remote: { auth: 'a\nb' } }, 'option remote.auth'],
    [{ remote: { auth: 'x'.repeat(70_000) } }, 'option remote.auth'],
    [{ remote: { reconnect: { minDelayMs: 10, maxDelayMs: 5 } } }, 'option remote.reconnect.maxDelayMs'],
    [{ remote: { reconnect: { delay: 10 } } }, 'option remote.reconnect.delay is unknown'],
    [{ embedded: false }, 'option embedded: expected true or an object, got false'],
    [{ embedded: { port: 1 } }, 'option embedded.port is unknown'],
    [{ embedded: { authToken: 'x' } }, 'embedded.authToken requires embedded.listen'],
    [{ embedded: { listen: ':x' } }, 'option embedded.listen'],
    [{ embedded: { listen: 'a:1', authToken: ' ' } }, 'option embedded.authToken'],
    [{ embedded: { maxLocks: 1.5 } }, 'option embedded.maxLocks: expected an integer'],
    [{ embedded: true, servers: ['a'] }, 'options servers and embedded contradict each other'],
    [{ embedded: true, remote: {} }, 'options remote and embedded contradict each other'],
    [{ backend: {} }, 'option backend: expected a LockBackend (start, '],
    [{ backend: 'redis' }, 'option backend'],
    [null, 'option options'],
  ])('are refused with name and value: %j', (options, text) => {
    const resolve = () => resolveOptions(options as LockClientOptions);
    expect(resolve).toThrow(ConfigError);
    expect(resolve).toThrow(text);
  });

  it('never show a secret', () => {
    expect(() => resolveOptions({ remote: { auth: 'secret\n' } })).toThrow(/^(?!.*secret)/);
  });
});
