import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { LockClient } from '../../../lib/locks/lock-client.js';
import { DflockdModule } from '../../../lib/nest/dflockd.module.js';
import { DflockdService } from '../../../lib/nest/dflockd.service.js';
import { DflockdSignals } from '../../../lib/nest/dflockd.signals.js';
import { InjectDflockd } from '../../../lib/nest/decorators/inject-dflockd.decorator.js';
import { InjectDflockdSignals } from '../../../lib/nest/decorators/inject-dflockd-signals.decorator.js';
import { TestLocks } from '../../../lib/testing/test-locks.js';

/** As a JavaScript program sees it. */
type Untyped = any;

let client: LockClient;
let service: Untyped;
let signals: Untyped;
let locks: Untyped;
beforeEach(async () => {
  client = await LockClient.connect({ embedded: true });
  service = new DflockdService(client);
  signals = new DflockdSignals(service);
  locks = new TestLocks();
});
afterEach(async () => {
  await client.close();
  await locks.close();
});

const fn = (): string => 'ran';
const ORDER = /^withLock\(key, options, fn\): /;

describe('arguments that JavaScript lets through are refused before anything is locked', () => {
  it.each<[string, () => unknown, RegExp]>([
    ['withLock(key, fn, options)', () => service.withLock('k', fn, { limit: 2 }), ORDER],
    ['withLock(key, options)', () => service.withLock('k', { limit: 2 }), ORDER],
    ['withLock(key)', () => service.withLock('k'), ORDER],
    ['withLock(key, undefined)', () => service.withLock('k', undefined), ORDER],
    ['withLock(key, options, undefined)', () => service.withLock('k', {}, undefined), ORDER],
    ['withLock(key, null, fn)', () => service.withLock('k', null, fn), /options: expected an object, got null/],
    ['withLock(key, fn, fn)', () => service.withLock('k', fn, fn), /options: expected an object, got \(\)/],
    ['withLock(key, [], fn)', () => service.withLock('k', [], fn), /options: expected an object/],
    ['withLock(key, 5, fn)', () => service.withLock('k', 5, fn), /options: expected an object, got 5/],
    ['acquire(key, null)', () => service.acquire('k', null), /options: expected an object, got null/],
    ['acquire(key, fn)', () => service.acquire('k', fn), /options: expected an object, got \(\)/],
    ['tryAcquire(key, null)', () => service.tryAcquire('k', null), /options: expected an object, got null/],
    ['tryAcquire(key, fn)', () => service.tryAcquire('k', fn), /options: expected an object, got \(\)/],
    ['tryAcquire(key, 5)', () => service.tryAcquire('k', 5), /options: expected an object, got 5/],
    ['enqueue(key, null)', () => service.enqueue('k', null), /options: expected an object, got null/],
    ['enqueue(key, fn)', () => service.enqueue('k', fn), /options: expected an object, got \(\)/],
    ['enter(key, null)', () => service.client.enter('k', null), /options: expected an object, got null/],
    ['signal$(pattern, group)', () => signals.signal$('a', 'billing'), /options: expected an object, got "billing"/],
    ['signal$(pattern, null)', () => signals.signal$('a', null), /options: expected an object, got null/],
    ['signal$(pattern, fn)', () => signals.signal$('a', fn), /options: expected an object, got \(\)/],
    ['signal$(pattern, { grp })', () => signals.signal$('a', { grp: 'b' }), /option grp is unknown/],
    ['emit(channel, object)', () => signals.emit('a', { id: 7 }), /payload must be a string/],
    ['TestLocks(null)', () => new TestLocks(null as Untyped), /options: expected an object, got null/],
    ['occupy(key, limit)', () => locks.occupy('k', 4), /options: expected an object, got 4/],
    ['occupy(key, null)', () => locks.occupy('k', null), /options: expected an object, got null/],
    ['occupy(key, { limt })', () => locks.occupy('k', { limt: 4 }), /option limt is unknown/],
    ['module(null)', () => locks.module(null), /options: expected an object, got null/],
    ['LockClient(null)', () => new LockClient(null as Untyped), /options: expected an object, got null/],
    [
      'LockClient.connect(address)',
      () => LockClient.connect('a:1' as Untyped),
      /options: expected an object, got "a:1"/,
    ],
    ['forRoot(null)', () => (DflockdModule as Untyped).forRoot(null), /options: expected an object, got null/],
    ['forRoot(address)', () => (DflockdModule as Untyped).forRoot('a:1'), /options: expected an object, got "a:1"/],
    ['forRoot(fn)', () => (DflockdModule as Untyped).forRoot(fn), /options: expected an object, got \(\)/],
    ['forRootAsync()', () => (DflockdModule as Untyped).forRootAsync(), /options: expected an object, got undefined/],
    ['forRootAsync(fn)', () => (DflockdModule as Untyped).forRootAsync(fn), /options: expected an object, got \(\)/],
    [
      'forRootAsync({ useFactory: options })',
      () => (DflockdModule as Untyped).forRootAsync({ useFactory: {} }),
      /useFactory: expected a function, got an object/,
    ],
    ['InjectDflockd(options)', () => InjectDflockd({ instance: 'a' } as Untyped), /instance: expected a name/],
    ['InjectDflockdSignals(7)', () => InjectDflockdSignals(7 as Untyped), /instance: expected a name, got 7/],
  ])('%s', async (_, call, message) => {
    const outcome = await (async () => call())().catch((error: unknown) => error);
    expect(outcome).toMatchObject({ code: 'CONFIG', message: expect.stringMatching(message) });
    expect((await service.stats())[0].locks.filter((entry: Untyped) => entry.owner_conn_id !== 0)).toEqual([]);
  });

  it.each([null, {}, '5'])('ticket.wait(%p)', async (timeout) => {
    await expect(service.enqueue('k').wait(timeout)).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringMatching(/acquireTimeoutS: expected a number/),
    });
  });

  it('a key comes first', async () => {
    await expect(service.withLock(fn)).rejects.toMatchObject({ code: 'CONFIG', message: expect.stringMatching(ORDER) });
    await expect(service.withLock({}, fn)).rejects.toMatchObject({ code: 'KEY' });
  });

  it('options that are left open are none', async () => {
    expect(await service.withLock('k', undefined, fn)).toBe('ran');
    expect(await service.withLock('k', {}, fn)).toBe('ran');
    await (await service.acquire('k', undefined)).release();
    await (await service.tryAcquire('k', undefined)).release();
    expect(signals.signal$('a', undefined)).toBeDefined();
  });
});
