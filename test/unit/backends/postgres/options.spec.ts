import { describe, expect, it } from '@jest/globals';
import { resolvePostgres } from '../../../../lib/backends/postgres/options.js';
import { ConfigError } from '../../../../lib/common/errors.js';

describe('options of the Postgres backend', () => {
  it('have defaults', () => {
    expect(resolvePostgres()).toMatchObject({
      sessionTimeoutMs: 10_000,
      maxWaitConnections: 5,
      waitersPerKey: 1,
      localTurns: 4,
      localMs: 100,
      maxHeld: undefined,
      lockId: 'sha256',
      semPollMs: 100,
      requestTimeoutMs: 5000,
      connectTimeoutMs: 5000,
      minDelayMs: 50,
      maxDelayMs: 5000,
    });
    expect(resolvePostgres({ sessionTimeoutMs: 3000 }).requestTimeoutMs).toBe(1500);
    expect(resolvePostgres({ reconnect: { maxDelayMs: 20 } })).toMatchObject({ minDelayMs: 20, maxDelayMs: 20 });
    expect(resolvePostgres({ reconnect: { minDelayMs: 9000 } })).toMatchObject({ minDelayMs: 9000, maxDelayMs: 9000 });
  });

  it('have defaults for what few set, and cannot be changed afterwards', () => {
    const options = resolvePostgres({ sessionTimeoutMs: 600_000 });
    expect(options).toMatchObject({ keep: undefined, ensureSchema: true, idleCloseMs: 0, requestTimeoutMs: 5000 });
    expect(Object.isFrozen(options)).toBe(true);
  });

  it('are taken as they are given, up to their bounds', () => {
    const low = {
      sessionTimeoutMs: 2000,
      maxWaitConnections: 1,
      waitersPerKey: 1,
      localTurns: 0,
      localMs: 0,
      maxHeld: 1,
      semPollMs: 10,
      requestTimeoutMs: 50,
      connectTimeoutMs: 50,
      idleCloseMs: 0,
      ensureSchema: false,
    };
    expect(resolvePostgres({ ...low, reconnect: { minDelayMs: 1, maxDelayMs: 1 } })).toMatchObject({
      ...low,
      minDelayMs: 1,
      maxDelayMs: 1,
    });
    const high = {
      sessionTimeoutMs: 600_000,
      maxWaitConnections: 10_000,
      waitersPerKey: 10_000,
      localTurns: 999,
      localMs: 2_147_483_647,
      requestTimeoutMs: 599_999,
      idleCloseMs: 2_147_483_647,
    };
    expect(resolvePostgres(high)).toMatchObject(high);
    expect(resolvePostgres({ keep: 'app.kept' }).keep?.sql).toBe('"app"."kept"');
    const ids = (): bigint => 5n;
    expect(resolvePostgres({ lockId: ids }).lockId).toBe(ids);
  });

  it('without a bound on places hand nothing on', () => {
    const strict = { waitersPerKey: Infinity, maxWaitConnections: Infinity, localTurns: 7 };
    expect(resolvePostgres(strict)).toMatchObject({
      waitersPerKey: Infinity,
      maxWaitConnections: Infinity,
      localTurns: 0,
    });
  });

  it.each([
    ['postgresBackend: expected an object, got 7', 7],
    ['postgresBackend.leaseMs is unknown, got 5', { leaseMs: 5 }],
    [
      'postgresBackend.sessionTimeoutMs: expected an integer between 2000 and 600000, got 1999',
      { sessionTimeoutMs: 1999 },
    ],
    [
      'postgresBackend.sessionTimeoutMs: expected an integer between 2000 and 600000, got 600001',
      { sessionTimeoutMs: 600_001 },
    ],
    [
      'postgresBackend.requestTimeoutMs: expected less than sessionTimeoutMs (10000), got 10000',
      { requestTimeoutMs: 10_000 },
    ],
    ['postgresBackend.maxWaitConnections: expected an integer between 1 and 10000, got 0', { maxWaitConnections: 0 }],
    [
      'postgresBackend.maxWaitConnections: expected Infinity, because the other of the two is, got undefined',
      { waitersPerKey: Infinity },
    ],
    [
      'postgresBackend.waitersPerKey: expected Infinity, because the other of the two is, got 2',
      { waitersPerKey: 2, maxWaitConnections: Infinity },
    ],
    ['postgresBackend.waitersPerKey: expected an integer between 1 and 10000, got 0.5', { waitersPerKey: 0.5 }],
    ['postgresBackend.localTurns: expected an integer between 0 and 999, got 1000', { localTurns: 1000 }],
    ['postgresBackend.localMs: expected an integer between 0 and 2147483647, got -1', { localMs: -1 }],
    ['postgresBackend.maxHeld: expected an integer between 1 and 2147483647, got 0', { maxHeld: 0 }],
    ['postgresBackend.semPollMs: expected an integer between 10 and 2147483647, got 9', { semPollMs: 9 }],
    [
      'postgresBackend.connectTimeoutMs: expected an integer between 50 and 2147483647, got "5s"',
      { connectTimeoutMs: '5s' },
    ],
    ['postgresBackend.reconnect: expected an object, got 5', { reconnect: 5 }],
    ['postgresBackend.reconnect.delayMs is unknown, got 5', { reconnect: { delayMs: 5 } }],
    [
      'postgresBackend.reconnect.minDelayMs: expected a number between 1 and 2147483647, got 0',
      { reconnect: { minDelayMs: 0 } },
    ],
    [
      'postgresBackend.reconnect.maxDelayMs: expected at least minDelayMs (9), got 8',
      { reconnect: { minDelayMs: 9, maxDelayMs: 8 } },
    ],
    ['postgresBackend.keep: expected true, false or a table with its schema, got 5', { keep: 5 }],
    ['postgresBackend.ensureSchema: expected true or false, got "yes"', { ensureSchema: 'yes' }],
    ['postgresBackend.idleCloseMs: expected an integer between 0 and 2147483647, got -1', { idleCloseMs: -1 }],
    [
      'postgresBackend.requestTimeoutMs: expected an integer between 50 and 2147483647, got 49',
      { requestTimeoutMs: 49 },
    ],
    [
      "postgresBackend.lockId: expected 'sha256', 'hashtext', 'hashtextextended' or a function, got \"md5\"",
      { lockId: 'md5' },
    ],
  ])('are refused: %s', (message, options) => {
    expect(() => resolvePostgres(options)).toThrow(ConfigError);
    expect(() => resolvePostgres(options)).toThrow(`option ${message}`);
  });
});
