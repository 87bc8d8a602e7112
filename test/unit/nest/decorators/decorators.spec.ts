import { Readable, Writable } from 'node:stream';
import 'reflect-metadata';
import { describe, expect, it } from '@jest/globals';
import { lastValueFrom, of, type Observable } from 'rxjs';
import { ConfigError } from '../../../../lib/common/errors.js';
import { CronLock } from '../../../../lib/nest/decorators/cron-lock.decorator.js';
import { ServiceRef } from '../../../../lib/nest/methods/service-ref.js';
import { serviceRefToken } from '../../../../lib/nest/shared/dflockd.constants.js';
import { LockInterceptor } from '../../../../lib/nest/requests/lock.interceptor.js';
import { LockRequest } from '../../../../lib/nest/decorators/lock-request.decorator.js';
import { requestPlansOn } from '../../../../lib/nest/requests/request-plans.js';
import { WithLock } from '../../../../lib/nest/decorators/with-lock.decorator.js';
import { until } from '../../../support/until.js';
import { attach, KeyRecorder } from '../attach.js';

/** Decorators without their types, for what the compiler would not let through. */
const withLock = WithLock as unknown as (key: unknown, options?: unknown) => any;
const cronLock = CronLock as unknown as (key: unknown, options?: unknown) => any;

/** What `decorate` says when the class is defined. */
function refusal(decorate: () => unknown): string {
  try {
    decorate();
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as Error).message;
  }
  throw new Error('accepted');
}

describe('a locked method', () => {
  class Orders {
    constructor(readonly prefix = 'p') {}

    @WithLock('order:{0}')
    async pay(id: string, amount: number, note = 'none'): Promise<string> {
      return `${this.prefix}${id}${amount}${note}`;
    }
  }

  it('keeps its name, its length and its metadata', () => {
    const original = async (_a: number, _b: number) => {};
    Reflect.defineMetadata('path', '/orders', original);
    const symbol = Symbol('other');
    Reflect.defineMetadata(symbol, [1], original);
    Object.assign(original, { own: 'property' });
    const descriptor = { value: original, configurable: true, writable: true };
    withLock('k')(class A {}.prototype, 'pay', descriptor);
    expect(descriptor.value).not.toBe(original);
    expect(descriptor.value.name).toBe('original');
    expect(descriptor.value).toHaveLength(2);
    expect(Reflect.getMetadata('path', descriptor.value)).toBe('/orders');
    expect(Reflect.getMetadata(symbol, descriptor.value)).toEqual([1]);
    expect(descriptor.value).toHaveProperty('own', 'property');
    expect(Orders.prototype.pay).toHaveLength(2);
  });

  it('runs with its own this and arguments', async () => {
    const runner = new KeyRecorder();
    const orders = attach(new Orders('x'), runner);
    await expect(orders.pay('7', 5)).resolves.toBe('x75none');
    expect(runner.keys).toEqual(['order:7']);
  });

  it('leaves no visible property on its object', () => {
    const orders = attach(new Orders(), new KeyRecorder());
    expect(orders).toEqual(new Orders());
    expect(Reflect.ownKeys({ ...orders })).toEqual(['prefix']);
  });

  it('works on an object that has frozen itself before Nest could inject', async () => {
    const recorder = new KeyRecorder();
    const frozen = attach(Object.freeze(new Orders()), recorder);
    await frozen.pay('7', 1);
    expect(recorder.keys).toHaveLength(1);
  });

  it('works through a Proxy and on objects derived from its own', async () => {
    const runner = new KeyRecorder();
    const orders = attach(new Orders(), runner);
    await new Proxy(orders, {}).pay('1', 1);
    await (Object.create(orders) as Orders).pay('2', 1);
    expect(runner.keys).toEqual(['order:1', 'order:2']);
  });

  it('says what to do where Nest did not make its object', async () => {
    const failure = new Orders().pay('1', 1);
    await expect(failure).rejects.toThrow(ConfigError);
    await expect(failure).rejects.toThrow(
      /Orders\.pay.*not created by Nest.*DflockdModule\.forRoot\(\).*providers: \[Orders\]/,
    );
  });

  it('says so when it is called without its object', async () => {
    const { pay } = new Orders();
    await expect(pay('1', 1)).rejects.toThrow(/Orders\.pay.*"this" is missing/);
  });

  it('says so when the module is not ready or was replaced', async () => {
    const orders = new Orders();
    const ref = new ServiceRef();
    Object.assign(orders, { [serviceRefToken('default')]: ref });
    await expect(orders.pay('1', 1)).rejects.toThrow(/before DflockdModule was ready/);
    ref.fill(undefined);
    await expect(orders.pay('1', 1)).rejects.toThrow(/was replaced by something else/);
  });

  it('takes nothing but a service reference for one', async () => {
    const mock = new Proxy(() => undefined, { get: () => () => undefined });
    const orders = Object.assign(new Orders(), { [serviceRefToken('default')]: mock });
    await expect(orders.pay('1', 1)).rejects.toThrow(ConfigError);
  });

  it('carries two locks, the upper one outside', async () => {
    class Transfers {
      @WithLock('from:{0}')
      @WithLock('to:{1}')
      async run(_from: string, _to: string): Promise<void> {}
    }
    const runner = new KeyRecorder();
    await attach(new Transfers(), runner).run('a', 'b');
    expect(runner.keys).toEqual(['from:a', 'to:b']);
  });

  it('uses the instance that its decorator names', async () => {
    class Two {
      @WithLock('a')
      async one(): Promise<void> {}
      @WithLock('b', { instance: 'second' })
      async two(): Promise<void> {}
    }
    const [first, second] = [new KeyRecorder(), new KeyRecorder()];
    const two = attach(attach(new Two(), first), second, 'second');
    await two.one();
    await two.two();
    expect([first.keys, second.keys]).toEqual([['a'], ['b']]);
  });

  it('is inherited, and an override without lock is without lock', async () => {
    class Child extends Orders {
      override async pay(id: string): Promise<string> {
        return `child ${id}`;
      }
    }
    class Grandchild extends Orders {}
    const runner = new KeyRecorder();
    await expect(attach(new Child(), runner).pay('1')).resolves.toBe('child 1');
    await attach(new Grandchild(), runner).pay('2', 1);
    expect(runner.keys).toEqual(['order:2']);
  });
});

describe('where a lock cannot stand', () => {
  it('static methods', () => {
    const message = refusal(() => {
      class A {
        @withLock('k')
        static async pay(): Promise<void> {}
      }
      return A;
    });
    expect(message).toMatch(/A\.pay.*static/);
  });

  it('getters, setters and fields', () => {
    const accessor = refusal(() => {
      class A {
        @withLock('k')
        get pay(): Promise<void> {
          return Promise.resolve();
        }
      }
      return A;
    });
    const field = refusal(() => {
      class A {
        @withLock('k')
        pay = async () => {};
      }
      return A;
    });
    expect(accessor).toMatch(/A\.pay.*only methods/);
    expect(field).toMatch(/A\.pay.*only methods/);
  });

  it('generators that are not async', () => {
    const plain = refusal(() => withLock('k')(class A {}.prototype, 'pay', { value: function* () {} }));
    expect(plain).toMatch(/A\.pay.*generator cannot wait for a lock/);
  });

  it('standard decorators', () => {
    expect(refusal(() => withLock('k')(async () => {}, { kind: 'method', name: 'pay' }))).toMatch(
      /experimentalDecorators/,
    );
    expect(refusal(() => withLock('k')(class A {}))).toMatch(/experimentalDecorators/);
  });
});

describe('the options of @WithLock', () => {
  const decorate = (options: unknown) => () =>
    withLock('k', options)(class A {}.prototype, 'm', { value: async () => {} });

  it.each<[object, RegExp]>([
    [{ timeout: 5 }, /timeout is unknown, got 5/],
    [{ limit: 0 }, /limit.*got 0/],
    [{ limit: 1.5 }, /limit.*got 1\.5/],
    [{ leaseTtlS: 0 }, /leaseTtlS.*got 0/],
    [{ leaseTtlS: NaN }, /leaseTtlS.*got NaN/],
    [{ leaseTtlS: '30' }, /leaseTtlS.*got "30"/],
    [{ acquireTimeoutS: -1 }, /acquireTimeoutS.*got -1/],
    [{ minHoldS: Infinity }, /minHoldS.*got Infinity/],
    [{ maxHoldS: 0 }, /maxHoldS.*got 0/],
    [{ maxHoldS: Infinity }, /maxHoldS.*got Infinity/],
    [{ maxHoldS: '60' }, /maxHoldS.*got "60"/],
    [{ maxHoldS: 5, minHoldS: 6 }, /maxHoldS: expected at least minHoldS \(6\), got 5/],
    [{ instance: '' }, /instance.*got ""/],
    [{ onBusy: 'wait' }, /onBusy.*got "wait"/],
    [{ onLost: 'skip' }, /onLost.*got "skip"/],
    [{ onNested: 'skip' }, /onNested.*got "skip"/],
    [{ returns: 'promise' }, /returns.*'observable'.*got "promise"/],
    [{ returns: 'observable', onBusy: 'skip' }, /onBusy: 'skip' on a method that returns an Observable/],
  ])('%p is refused with its value', (options, message) => {
    const text = refusal(decorate(options));
    expect(text).toMatch(/^@WithLock on A\.m: /);
    expect(text).toMatch(message);
  });

  it.each([null, 7, 'skip', []])('%p are no options', (options) => {
    expect(refusal(decorate(options))).toMatch(/options/);
  });

  it('do not wait when busy is skipped, unless told to', async () => {
    class A {
      @WithLock('k', { onBusy: 'skip' })
      async a(): Promise<void> {}
      @WithLock('k', { onBusy: 'skip', acquireTimeoutS: 3 })
      async b(): Promise<void> {}
      @WithLock('k')
      async c(): Promise<void> {}
    }
    const runner = new KeyRecorder();
    const a = attach(new A(), runner);
    await a.a();
    await a.b();
    await a.c();
    expect(runner.plans.map((plan) => plan.scope)).toEqual([{ acquireTimeoutS: 0 }, { acquireTimeoutS: 3 }, {}]);
  });
});

describe('@CronLock', () => {
  const decorate = (key: unknown, options?: unknown) => () =>
    cronLock(key, options)(class A {}.prototype, 'm', { value: async () => {} });

  it('skips when busy and holds for a minimum', async () => {
    class A {
      @CronLock('nightly', { minHoldS: 30, maxHoldS: 3600, leaseTtlS: 60 })
      async m(): Promise<void> {}
    }
    const runner = new KeyRecorder();
    await attach(new A(), runner).m();
    expect(runner.plans[0]).toMatchObject({
      onBusy: 'skip',
      scope: { acquireTimeoutS: 0, leaseTtlS: 60, minHoldS: 30, maxHoldS: 3600 },
    });
  });

  it.each<[unknown, unknown, RegExp]>([
    ['k', undefined, /options/],
    ['k', {}, /minHoldS/],
    ['k', { minHoldS: -1 }, /minHoldS.*-1/],
    ['k', { minHoldS: 30, maxHoldS: 20 }, /maxHoldS: expected at least minHoldS \(30\), got 20/],
    ['k', { minHoldS: 1, onBusy: 'throw' }, /onBusy is unknown/],
    ['k:{0}', { minHoldS: 1 }, /placeholder/],
    ['', { minHoldS: 1 }, /empty/],
    [() => 'k', { minHoldS: 1 }, /key/],
  ])('of %p with %p is refused', (key, options, message) => {
    expect(refusal(decorate(key, options))).toMatch(message);
  });
});

describe('an async generator', () => {
  const decorate = (options: unknown) => () =>
    withLock('k', options)(class A {}.prototype, 'm', { value: async function* () {} });

  it('cannot be skipped, and needs no returns', () => {
    expect(refusal(decorate({ onBusy: 'skip' }))).toMatch(/A\.m: onBusy: 'skip' on a method that returns an async gen/);
    expect(refusal(decorate({ returns: 'observable' }))).toMatch(/A\.m: returns.*on an async generator/);
  });
});

describe('results that outlive the method', () => {
  let cancelled: unknown;
  const web = () => new ReadableStream({ cancel: (reason) => void (cancelled = reason ?? 'yes') });

  it.each<[string, () => unknown, RegExp]>([
    ['an Observable', () => of(1), /an Observable.*returns: 'observable'/],
    ['a Promise of an Observable', async () => of(1), /an Observable/],
    ['an async generator', () => (async function* () {})(), /an async generator.*make the method itself/],
    ['a generator', () => (function* () {})(), /a generator/],
    ['a web stream', web, /a web stream.*Readable\.fromWeb/],
  ])('%s is refused, and the lock released', async (_, result, message) => {
    class A {
      @withLock('k')
      m(): unknown {
        return result();
      }
    }
    const runner = new KeyRecorder();
    const failure = attach(new A(), runner).m();
    await expect(failure).rejects.toThrow(ConfigError);
    await expect(failure).rejects.toThrow(/^A\.m/);
    await expect(failure).rejects.toThrow(message);
    expect(runner.left).toBe(1);
  });

  it('a refused web stream is cancelled', () => {
    expect(cancelled).toBe('yes');
  });

  it('what is no Observable is refused where one was announced', async () => {
    class A {
      @withLock('k', { returns: 'observable' })
      m(): unknown {
        return 7;
      }
    }
    const runner = new KeyRecorder();
    const failure = lastValueFrom(attach(new A(), runner).m() as Observable<unknown>);
    await expect(failure).rejects.toThrow(ConfigError);
    await expect(failure).rejects.toThrow(/^A\.m has a lock with returns: 'observable' and returned 7/);
    expect(runner.left).toBe(1);
  });

  it('what can only be written is none of them: a response', async () => {
    const response = new Writable();
    class A {
      @WithLock('k')
      async m(): Promise<Writable> {
        return response;
      }
    }
    const runner = new KeyRecorder();
    await expect(attach(new A(), runner).m()).resolves.toBe(response);
    expect([response.destroyed, runner.left]).toEqual([false, 1]);
  });

  it('a stream keeps the lock until it has been read', async () => {
    class A {
      @WithLock('k')
      async m(): Promise<Readable> {
        return Readable.from(['a', 'b']);
      }
    }
    const runner = new KeyRecorder();
    const stream = await attach(new A(), runner).m();
    await new Promise((resolve) => setImmediate(resolve));
    expect(runner.left).toBe(0);
    await stream.toArray();
    await until(() => runner.left === 1);
  });
});

describe('@LockRequest', () => {
  const lockRequest = LockRequest as unknown as (key: unknown, options?: unknown) => any;
  const onMethod = (key: unknown, options?: unknown) => () =>
    lockRequest(key, options)(class A {}.prototype, 'm', { value: async () => {} });

  it.each<[unknown, unknown, RegExp]>([
    ['k', {}, /key.*a function of the ExecutionContext.*"k"/],
    [undefined, {}, /key/],
    [() => 'k', { onBusy: 'skip' }, /onBusy.*'throw'.*"skip"/],
    [() => 'k', { minHoldS: 3 }, /minHoldS is unknown/],
    [() => 'k', { maxHoldS: -1 }, /maxHoldS.*-1/],
    [() => 'k', { until: 'close' }, /until.*'response' or 'handler'.*"close"/],
    [() => 'k', { until: null }, /until.*null/],
    [() => 'k', { limit: 0 }, /limit.*0/],
    [() => 'k', { leaseTtlS: '3' }, /leaseTtlS.*"3"/],
    [() => 'k', 7, /options/],
  ])('of %p with %p is refused', (key, options, message) => {
    const text = refusal(onMethod(key, options));
    expect(text).toMatch(/^@LockRequest on A\.m: /);
    expect(text).toMatch(message);
  });

  it('stands on classes and methods only', () => {
    class B {}
    lockRequest(() => 'k')(B);
    expect(refusal(() => lockRequest('k')(B))).toMatch(/^@LockRequest on B: /);
    expect(refusal(() => lockRequest(() => 'k')(B, 'm', { value: () => {} }))).toMatch(/B\.m.*static/);
    expect(refusal(() => lockRequest(() => 'k')(B.prototype, 'm', { get: () => 1 }))).toMatch(/only methods/);
    expect(refusal(() => lockRequest(() => 'k')(B, { kind: 'class', name: 'B' }))).toMatch(/experimentalDecorators/);
  });

  it('applies the interceptor once', () => {
    class A {
      @LockRequest(() => 'outer')
      @LockRequest(() => 'inner')
      async m(): Promise<void> {}
    }
    expect(Reflect.getMetadata('__interceptors__', A.prototype.m)).toEqual([LockInterceptor]);
    expect(requestPlansOn(A.prototype.m).map((plan) => plan.key(undefined, []))).toEqual(['outer', 'inner']);
  });
});
