import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { resolveServerOptions } from '../../../lib/daemon/shared/options.js';
import { DflockdServer } from '../../../lib/daemon/server.js';

const make = (options: Record<string, unknown>) => (): DflockdServer => new DflockdServer(options);

const configError = (...parts: string[]): object =>
  expect.objectContaining({ code: 'CONFIG', message: expect.stringMatching(new RegExp(parts.join('.*'))) });

describe('options (spec 8)', () => {
  it('have the defaults of the original', () => {
    expect(new DflockdServer().options).toMatchObject({
      host: '127.0.0.1',
      port: 6388,
      defaultLeaseTtl: 33,
      leaseSweepInterval: 1,
      gcInterval: 5,
      gcMaxIdle: 60,
      maxLocks: 1024,
      maxConnections: 0,
      maxConnectionsPerIp: 0,
      maxWaiters: 0,
      maxSubscriptions: 0,
      readTimeout: 23,
      writeTimeout: 5,
      shutdownTimeout: 30,
      autoReleaseOnDisconnect: true,
      fenceStateFile: undefined,
    });
  });

  it('cannot be changed afterwards', () => {
    expect(Object.isFrozen(new DflockdServer().options)).toBe(true);
  });

  it('that are undefined count as not given', () => {
    expect(new DflockdServer({ port: undefined, authToken: undefined }).options.port).toBe(6388);
  });

  it('fenceStateFile is the path of a file', () => {
    for (const value of [' ', 'a\0b', 7, null, true, {}])
      expect(make({ fenceStateFile: value })).toThrow(/fenceStateFile.*path/);
    expect(new DflockdServer({ fenceStateFile: '/var/lib/fences' }).options.fenceStateFile).toBe('/var/lib/fences');
  });

  const POSITIVE = ['defaultLeaseTtl', 'leaseSweepInterval', 'gcInterval', 'maxLocks', 'readTimeout'];
  const ZERO_TOO = [
    ...['port', 'gcMaxIdle', 'maxConnections', 'maxConnectionsPerIp', 'maxWaiters', 'maxSubscriptions'],
    ...['writeTimeout', 'shutdownTimeout'],
  ];

  it.each(POSITIVE)('%s must be above 0', (option) => {
    for (const value of [0, -1, NaN, Infinity, '1', null, true, {}]) {
      let error: unknown;
      try {
        make({ [option]: value })();
      } catch (e) {
        error = e;
      }
      expect(error).toEqual(configError(option));
    }
    make({ [option]: 1 })();
  });

  it.each([
    'defaultLeaseTtl',
    'leaseSweepInterval',
    'gcInterval',
    'gcMaxIdle',
    'readTimeout',
    'writeTimeout',
    'shutdownTimeout',
  ])('%s has no more seconds than fit into the protocol', (option) => {
    make({ [option]: 9_223_372_036 })();
    expect(make({ [option]: 9_223_372_037 })).toThrow(new RegExp(`${option}.*9223372036.*9223372037`));
  });

  it('defaultLeaseTtl is a whole number: there are no fractions on the wire', () => {
    expect(make({ defaultLeaseTtl: 1.5 })).toThrow(/defaultLeaseTtl.*integer.*1\.5/);
  });

  it.each(ZERO_TOO)('%s may be 0, not less', (option) => {
    make({ [option]: 0 })();
    for (const value of [-1, NaN, Infinity, '0', null]) expect(make({ [option]: value })).toThrow(option);
  });

  it.each<[string, unknown, string]>([
    ['port', 65_536, '65536'],
    ['port', 1.5, '1.5'],
    ['maxLocks', 1.5, '1.5'],
    ['maxWaiters', '7', '"7"'],
    ['host', '', '""'],
    ['host', 7, '7'],
    ['autoReleaseOnDisconnect', 'yes', '"yes"'],
    ['autoReleaseOnDisconnect', 0, '0'],
    ['authToken', 7, 'a string'],
    ['tlsCert', 7, '7'],
    ['maxlocks', 7, '7'],
    ['max-locks', 7, '7'],
    ['httpPorts', 8080, '8080'],
    ['httpPort', 65_536, '65536'],
    ['httpHost', 7, '7'],
    ['httpMaxSessions', 1.5, '1.5'],
    ['httpSessionIdleTimeout', 20.5, '20.5'],
    ['httpCorsAllowedOrigins', '*', 'a list'],
  ])('%s cannot be %p, and the message says so', (option, value, shown) => {
    expect(make({ [option]: value })).toThrow(new RegExp(`${option}.*${shown}`));
  });

  it.each(['  ', '\t', '\u2003', 'a\nb', 'a\rb'])('an auth token cannot be %j, and is not repeated', (authToken) => {
    let message = '';
    try {
      make({ authToken })();
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).toContain('authToken');
    expect(message).not.toContain(authToken);
  });

  describe('of files', () => {
    let folder: string;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'nestjs-dflockd-'));
      await writeFile(join(folder, 'token'), '  s3cret\n');
      await writeFile(join(folder, 'blank'), ' \n');
    });
    afterAll(() => rm(folder, { recursive: true }));

    it('take the token of a file, trimmed, where none is given', () => {
      const authTokenFile = join(folder, 'token');
      expect(resolveServerOptions({ authTokenFile }).authToken).toBe('s3cret');
      expect(resolveServerOptions({ authTokenFile, authToken: '' }).authToken).toBe('s3cret');
      expect(resolveServerOptions({ authTokenFile, authToken: ' other ' }).authToken).toBe('other');
    });

    it('refuse a blank file and a missing one, several lines, and what no client could say', async () => {
      expect(make({ authTokenFile: join(folder, 'blank') })).toThrow(/authTokenFile/);
      await writeFile(join(folder, 'long'), 'x'.repeat(65_537));
      expect(make({ authTokenFile: join(folder, 'long') })).toThrow(/authTokenFile.*65536.*65537/);
      await writeFile(join(folder, 'lines'), 'a\nb\n');
      expect(make({ authTokenFile: join(folder, 'lines') })).toThrow(/authTokenFile.*line break/);
      expect(make({ authTokenFile: join(folder, 'none') })).toThrow(/authTokenFile.*none/);
    });
  });
});
