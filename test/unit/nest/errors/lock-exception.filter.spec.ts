import { describe, expect, it, jest } from '@jest/globals';
import { Logger, type ArgumentsHost } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { firstValueFrom, type Observable } from 'rxjs';
import * as errors from '../../../../lib/common/errors.js';
import { lockErrorResponse } from '../../../../lib/nest/errors/lock-error-response.js';
import { LockExceptionFilter } from '../../../../lib/nest/errors/lock-exception.filter.js';
import { answerTo } from '../../../../lib/nest/errors/lock-error-statuses.js';

const filter = new LockExceptionFilter(new HttpAdapterHost());
const host = (type: string, client?: unknown) =>
  ({ getType: () => type, switchToWs: () => ({ getClient: () => client }) }) as unknown as ArgumentsHost;
const busy = new errors.AcquireTimeoutError('secret');

describe('the answers to errors', () => {
  it.each<[errors.LockError, number | undefined]>([
    [busy, 423],
    [new errors.MaxWaitersError(), 423],
    [new errors.LockUnavailableError('x'), 503],
    [new errors.LockLostError('secret', 'expired'), 503],
    [new errors.PoolExhaustedError('x'), 503],
    [new errors.MaxLocksError(), 503],
    [new errors.ServerDrainingError(), 503],
    [new errors.ShuttingDownError(), 503],
    [new errors.NestedLockError('secret'), undefined],
    [new errors.ConfigError('x'), undefined],
    [new errors.LockKeyError('x'), undefined],
    [Object.assign(new errors.LockKeyError('secret'), { fromArguments: true }), 400],
    [new errors.LimitMismatchError(), undefined],
    [new errors.AuthError(), undefined],
    [new errors.ProtocolError('x'), undefined],
  ])('%s is %p', (error, status) => {
    expect(answerTo(error)?.status).toBe(status);
    expect(answerTo(error)?.message ?? '').not.toContain('secret');
  });
});

describe('lockErrorResponse', () => {
  it('is complete, and names no key', () => {
    expect(lockErrorResponse(busy)).toEqual({
      status: 423,
      headers: { 'Retry-After': '1' },
      body: {
        statusCode: 423,
        message: 'The resource is in use, try again later',
        error: 'Locked',
        code: 'ACQUIRE_TIMEOUT',
      },
    });
    expect(lockErrorResponse(new errors.LockLostError('secret', 'expired'))).toMatchObject({
      status: 503,
      headers: {},
      body: { error: 'Service Unavailable', code: 'LOCK_LOST' },
    });
  });

  it('tells nothing of a mistake of the application, as Nest', () => {
    const body = { statusCode: 500, message: 'Internal server error' };
    expect(lockErrorResponse(new errors.NestedLockError('secret'))).toEqual({ status: 500, headers: {}, body });
  });

  it('takes statuses of its own', () => {
    const key = Object.assign(new errors.LockKeyError('secret'), { fromArguments: true });
    expect(lockErrorResponse(busy, { busyStatus: 409 }).status).toBe(409);
    expect(lockErrorResponse(busy, { busyStatus: 409 }).body).toMatchObject({ statusCode: 409, error: 'Conflict' });
    expect(lockErrorResponse(key, { keyStatus: 422 }).status).toBe(422);
    expect(lockErrorResponse(key, { busyStatus: 409, keyStatus: undefined }).status).toBe(400);
    // There is no name for it.
    expect(lockErrorResponse(busy, { busyStatus: 499 }).body).not.toHaveProperty('error');
    expect(() => lockErrorResponse(busy, { busyStatus: 42 })).toThrow(/statuses\.busyStatus.*42/);
    expect(() => lockErrorResponse(busy, { busy: 409 } as object)).toThrow(/statuses\.busy.*409/);
  });

  it.each([new Error('x'), undefined, null, 'text', { code: 'ACQUIRE_TIMEOUT' }])('is not for %p', (error) => {
    expect(lockErrorResponse(error)).toBeUndefined();
  });
});

it('no error has what frameworks take for an HTTP status: they would print its message, and with it the key', () => {
  const made = Object.values(errors).map((type) => Reflect.construct(type, ['secret', 'expired']) as errors.LockError);
  expect(made.length).toBeGreaterThan(15);
  for (const error of made) {
    for (const name of ['status', 'statusCode', 'getStatus', 'getResponse', 'expose'])
      expect(name in error).toBe(false);
  }
});

describe('outside HTTP', () => {
  const payload = { status: 'error', message: 'The resource is in use, try again later', code: 'ACQUIRE_TIMEOUT' };

  it('RPC clients get a fixed text and the code', async () => {
    const result = filter.catch(busy, host('rpc')) as Observable<unknown>;
    await expect(firstValueFrom(result)).rejects.toEqual(payload);
  });

  it('WebSocket clients get an exception event', () => {
    const emit = jest.fn();
    filter.catch(busy, host('ws', { emit }));
    expect(emit).toHaveBeenCalledWith('exception', payload);
  });

  it('GraphQL clients get the code as extension, and no details of a mistake', () => {
    const thrown = (error: errors.LockError) => {
      try {
        filter.catch(error, host('graphql'));
      } catch (e) {
        return e as Error;
      }
      throw new Error('nothing thrown');
    };
    expect(thrown(busy)).toMatchObject({ message: payload.message, extensions: { code: 'ACQUIRE_TIMEOUT' } });
    const log = jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    expect(thrown(new errors.ConfigError('secret')).message).toBe('Internal server error');
    expect(log).toHaveBeenCalledWith(expect.any(errors.ConfigError));
    log.mockRestore();
  });
});
