import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { Controller, Injectable, Module, Post } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import {
  AcquireTimeoutError,
  ConfigError,
  CronLock,
  currentLock,
  DflockdModule,
  DflockdService,
  DflockdSignals,
  getDflockdToken,
  LockLostError,
  LockUnavailableError,
  WithLock,
} from '../../lib/entries/index.js';
import { attachLocks, TestLocks } from '../../lib/entries/testing.js';
import { boot, bootHttp, closeAll, Gate, until } from './support.js';

@Injectable()
class Orders {
  readonly gate = new Gate();
  runs = 0;

  @WithLock('order:{0}')
  async charge(id: string): Promise<string> {
    this.runs++;
    await this.gate.opened;
    currentLock()?.assertHeld();
    return `charged ${id}`;
  }

  @CronLock('nightly', { minHoldS: 30 })
  async nightly(): Promise<void> {
    this.runs++;
  }

  @WithLock('gpu', { limit: 2, acquireTimeoutS: 0 })
  async render(): Promise<string> {
    return 'done';
  }

  @WithLock('report', { instance: 'reports', acquireTimeoutS: 0 })
  async report(): Promise<string> {
    return 'report';
  }
}

const ADDRESS_OF_NOBODY = '127.0.0.1:1';

/** As users have it: the module that cannot be changed by the test. */
@Module({
  imports: [DflockdModule.forRoot({ servers: [ADDRESS_OF_NOBODY], startup: 'require', logger: false })],
  providers: [Orders, { provide: getDflockdToken('reports'), useExisting: DflockdService }],
})
class AppModule {}

async function application(locks: TestLocks) {
  const app = await boot({ imports: [locks.module()], providers: [OneOrders] });
  return app.get(OneOrders);
}

/** Without the method of the other instance. */
@Injectable()
class OneOrders {
  readonly gate = new Gate();
  runs = 0;

  @WithLock('order:{0}')
  async charge(id: string): Promise<string> {
    this.runs++;
    await this.gate.opened;
    return `charged ${id}`;
  }

  @WithLock('stop:{0}')
  async untilLost(_id: string): Promise<unknown> {
    const { signal } = currentLock()!;
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    return 'stopped';
  }

  @CronLock('nightly', { minHoldS: 30 })
  async nightly(): Promise<void> {
    this.runs++;
  }

  @WithLock('gpu', { limit: 2, acquireTimeoutS: 0 })
  async render(): Promise<string> {
    return 'done';
  }
}

const opened: TestLocks[] = [];
const make = (options?: ConstructorParameters<typeof TestLocks>[0]) => {
  const locks = new TestLocks(options);
  opened.push(locks);
  return locks;
};

afterEach(async () => {
  jest.useRealTimers();
  await closeAll();
  for (const locks of opened.splice(0)) await locks.close();
});

describe('TestLocks in an application', () => {
  it('replaces the service of a module that is as it is', async () => {
    const locks = make({ acquireTimeoutS: 0 });
    const other = make();
    @Injectable()
    class Reports {
      constructor(readonly orders: Orders) {}
    }
    @Module({
      imports: [
        AppModule,
        DflockdModule.forRoot({ servers: [ADDRESS_OF_NOBODY], startup: 'require', instance: 'reports' }),
      ],
      providers: [Reports, Orders],
    })
    class Whole {}
    const app = await Test.createTestingModule({ imports: [Whole] })
      .overrideProvider(DflockdService)
      .useValue(locks.service)
      .overrideProvider(getDflockdToken('reports'))
      .useValue(other.service)
      .compile();
    await app.init();
    const { orders } = app.get(Reports);
    orders.gate.open();
    expect(await orders.charge('7')).toBe('charged 7');
    await locks.occupy('order:7');
    await expect(orders.charge('7')).rejects.toThrow(AcquireTimeoutError);
    expect(await orders.report()).toBe('report');
    await other.occupy('report');
    await expect(orders.report()).rejects.toThrow(AcquireTimeoutError);
    await app.close();
    await expect(locks.service.acquire('x')).rejects.toThrow('shutting down');
  });

  it('answers requests as the real ones do', async () => {
    const locks = make({ acquireTimeoutS: 0 });
    @Controller()
    class Api {
      @Post('import')
      @WithLock('import')
      async import(): Promise<string> {
        return 'imported';
      }
    }
    const { fetch } = await bootHttp({ imports: [locks.module()], controllers: [Api] });
    const held = await locks.occupy('import');
    expect((await fetch('/import', { method: 'POST' })).status).toBe(423);
    await held.release();
    expect((await fetch('/import', { method: 'POST' })).status).toBe(201);
    locks.partition();
    expect((await fetch('/import', { method: 'POST' })).status).toBe(503);
  });

  it('tells what is held and who waits, without namespace', async () => {
    const locks = make({ namespace: 'shop', leaseTtlS: 20 });
    const orders = await application(locks);
    const first = orders.charge('1');
    const second = orders.charge('1');
    await until(() => locks.waiting().length === 1);
    await locks.occupy('gpu', { limit: 2 });
    expect(locks.waiting()).toEqual(['order:1']);
    expect(locks.isHeld('order:1')).toBe(true);
    expect(locks.isHeld('order:2')).toBe(false);
    expect(locks.held()).toEqual([
      { key: 'order:1', by: 'application', fence: expect.any(BigInt), remainingMs: expect.any(Number) },
      { key: 'gpu', limit: 2, by: 'other', fence: expect.any(BigInt), remainingMs: expect.any(Number) },
    ]);
    expect(locks.held()[0]!.remainingMs).toBeGreaterThan(19_000);
    orders.gate.open();
    expect(await Promise.all([first, second])).toEqual(['charged 1', 'charged 1']);
    expect(locks.held()).toHaveLength(1);
  });

  it('occupies slots of a semaphore', async () => {
    const locks = make();
    const orders = await application(locks);
    await locks.occupy('gpu', { limit: 2 });
    expect(await orders.render()).toBe('done');
    await locks.occupy('gpu', { limit: 2 });
    await expect(orders.render()).rejects.toThrow(AcquireTimeoutError);
    await expect(locks.occupy('gpu', { limit: 2 })).rejects.toThrow(AcquireTimeoutError);
  });

  it('loses a lock: its holder is told, and others get it', async () => {
    const locks = make();
    const orders = await application(locks);
    const lost: unknown[] = [];
    locks.service.lockLost$.subscribe(({ keys, reason }) => lost.push([keys, reason]));
    const running = orders.untilLost('1');
    await until(() => locks.isHeld('stop:1'));
    await locks.lose('stop:1');
    await expect(running).rejects.toMatchObject({
      constructor: LockLostError,
      reason: 'disconnected',
      settled: { value: 'stopped' },
    });
    expect(lost).toEqual([[['stop:1'], 'disconnected']]);
    await (await locks.occupy('stop:1')).release();

    const again = orders.untilLost('1');
    await until(() => locks.isHeld('stop:1'));
    await locks.lose('stop:1', 'expired');
    await expect(again).rejects.toMatchObject({ reason: 'expired' });
  });

  it('refuses to lose what the application does not have', async () => {
    const locks = make();
    await locks.occupy('a');
    await expect(locks.lose('a')).rejects.toThrow('lose("a"): the application holds nothing');
    const held = await locks.service.acquire('b');
    await expect(locks.lose('a')).rejects.toThrow('holds "b"');
    await expect(locks.lose('b', 'bad luck' as 'expired')).rejects.toThrow(ConfigError);
    await held.release();
  });
});

it('carries signals, but not over a partition', async () => {
  const locks = make();
  const app = await boot({ imports: [locks.module()] });
  const signals = app.get(DflockdSignals);
  const got: string[] = [];
  const listening = signals.signal$('order.*').subscribe(({ payload }) => got.push(payload));
  await until(async () => (await signals.emit('order.1', 'first')) === 1);
  await until(() => got.length > 0);
  locks.partition();
  await expect(signals.emit('order.1', 'lost')).rejects.toThrow(LockUnavailableError);
  locks.heal();
  await signals.emit('order.1', 'second');
  await until(() => got.includes('second'));
  expect(got).not.toContain('lost');
  listening.unsubscribe();
});

describe('a partition', () => {
  it('refuses acquires at their deadline, and lets go of what is held when the lease is over', async () => {
    const locks = make({ leaseTtlS: 20, acquireTimeoutS: 5 });
    const { service } = locks;
    const links: string[] = [];
    service.events$.subscribe(({ type }) => links.push(type));
    const held = await service.acquire('a');
    locks.partition();
    await expect(service.tryAcquire('b')).rejects.toThrow(LockUnavailableError);
    await expect(service.ping()).rejects.toThrow(LockUnavailableError);
    const waiting = service.acquire('b');
    const outcome = expect(waiting).rejects.toThrow(LockUnavailableError);
    await locks.advance(6000);
    await outcome;
    expect(held.isHeld).toBe(true);
    await expect(locks.occupy('a')).rejects.toThrow(AcquireTimeoutError);
    await locks.advance(15_000);
    expect(held.isHeld).toBe(false);
    expect(held.signal.reason).toMatchObject({ reason: 'expired' });
    expect(locks.held()).toEqual([]);
    await (await locks.occupy('a')).release();
    locks.heal();
    expect(await service.tryAcquire('b')).not.toBeNull();
    expect(links).toEqual(expect.arrayContaining(['disconnected', 'lost', 'connected']));
  });

  it('that ends in time costs nothing, and who waited goes on waiting', async () => {
    const locks = make({ leaseTtlS: 20 });
    const held = await locks.service.acquire('a');
    const waiting = locks.service.acquire('a', { acquireTimeoutS: 30 });
    await until(() => locks.waiting().length === 1);
    locks.partition();
    await locks.advance(15_000);
    locks.heal();
    await locks.advance(10_000);
    expect(held.isHeld).toBe(true);
    await held.release();
    expect((await waiting).isHeld).toBe(true);
  });

  it('keeps a grant from arriving', async () => {
    const locks = make();
    const other = await locks.occupy('a');
    const waiting = locks.service.acquire('a');
    await until(() => locks.waiting().length === 1);
    locks.partition();
    await other.release();
    await (await locks.occupy('a')).release();
    locks.heal();
    expect((await waiting).isHeld).toBe(true);
  });

  it('lets a lock be lost before its lease is over', async () => {
    const locks = make();
    const held = await locks.service.acquire('a');
    locks.partition();
    await locks.lose('a');
    expect(held.isHeld).toBe(false);
    await (await locks.occupy('a')).release();
  });

  it('keeps a release from arriving: the lease ends it', async () => {
    const locks = make({ leaseTtlS: 20 });
    const held = await locks.service.acquire('a');
    locks.partition();
    await held.release();
    expect(locks.isHeld('a')).toBe(true);
    await locks.advance(20_100);
    expect(locks.isHeld('a')).toBe(false);
  });
});

describe('time', () => {
  it('is skipped by advance: a lock is renewed all the while', async () => {
    const locks = make({ leaseTtlS: 10 });
    let renewals = 0;
    locks.service.events$.subscribe(({ type }) => (renewals += Number(type === 'renewed')));
    const held = await locks.service.acquire('a');
    await locks.advance(3_600_000);
    expect(held.isHeld).toBe(true);
    expect(renewals).toBeGreaterThan(700);
    expect(held.remainingMs).toBeGreaterThan(4000);
  });

  it('ends a minimum hold', async () => {
    const locks = make();
    const orders = await application(locks);
    await orders.nightly();
    await orders.nightly();
    expect(orders.runs).toBe(1);
    await until(() => locks.held()[0]!.remainingMs <= 30_000);
    await locks.advance(29_000);
    await orders.nightly();
    expect(orders.runs).toBe(1);
    await locks.advance(1100);
    await orders.nightly();
    expect(orders.runs).toBe(2);
  });

  it('runs by itself: a wait ends', async () => {
    const locks = make();
    await locks.occupy('a');
    await expect(locks.service.acquire('a', { acquireTimeoutS: 0.02 })).rejects.toThrow(AcquireTimeoutError);
  });

  it.each([-1, NaN, Infinity, '5', undefined])('cannot be advanced by %p', async (ms) => {
    await expect(make().advance(ms as number)).rejects.toThrow(ConfigError);
  });

  it("is jest's when it is installed before", async () => {
    jest.useFakeTimers();
    const locks = make({ leaseTtlS: 10 });
    const held = await locks.service.acquire('a', { autoRenew: false });
    const kept = await locks.service.acquire('b');
    await locks.occupy('c');
    const waiting = expect(locks.service.acquire('c', { acquireTimeoutS: 5 })).rejects.toThrow(AcquireTimeoutError);
    const remaining = held.remainingMs;
    await jest.advanceTimersByTimeAsync(4000);
    expect(held.remainingMs).toBe(remaining - 4000);
    await jest.advanceTimersByTimeAsync(3000);
    await waiting;
    await jest.advanceTimersByTimeAsync(4000);
    expect(held.isHeld).toBe(false);
    expect(kept.isHeld).toBe(true);
    await kept.release();
  });

  it("is jest's when it is installed while locks are held, and the host's again afterwards", async () => {
    const locks = make({ leaseTtlS: 10 });
    const held = await locks.service.acquire('a', { autoRenew: false });
    jest.useFakeTimers();
    expect(held.isHeld).toBe(true);
    await jest.advanceTimersByTimeAsync(9000);
    expect(held.isHeld).toBe(true);
    expect(held.remainingMs).toBeLessThan(1000);
    jest.useRealTimers();
    expect(held.isHeld).toBe(true);
    await until(() => held.signal.aborted);
  });
});

describe('attachLocks', () => {
  it('connects an object that Nest did not make', async () => {
    const locks = make();
    const orders = new Orders();
    await expect(orders.charge('1')).rejects.toThrow('attachLocks(new Orders(…)) from nestjs-dflockd/testing');
    expect(attachLocks(orders, locks)).toBe(orders);
    orders.gate.open();
    expect(await orders.charge('1')).toBe('charged 1');
    await locks.occupy('report');
    await expect(orders.report()).rejects.toThrow(AcquireTimeoutError);

    const service = make().service;
    attachLocks(orders, service);
    expect(await orders.report()).toBe('report');
  });

  it('without locks: all such objects share some', async () => {
    const [one, other] = [attachLocks(new Orders()), attachLocks(new Orders())];
    const first = one.charge('shared');
    await until(() => one.runs === 1);
    const second = other.charge('shared');
    expect(other.runs).toBe(0);
    one.gate.open();
    other.gate.open();
    expect(await Promise.all([first, second])).toEqual(['charged shared', 'charged shared']);
  });

  it.each([
    ['an object without locked methods', () => attachLocks(new Date()), 'Date has no locked methods'],
    ['nothing', () => attachLocks(null as unknown as object), 'expected an object, got null'],
    ['other locks', () => attachLocks(new Orders(), {} as TestLocks), 'neither TestLocks nor a DflockdService'],
  ])('refuses %s', (_, attach, message) => {
    expect(attach).toThrow(ConfigError);
    expect(attach).toThrow(message);
  });

  it('refuses an object that Nest made', async () => {
    const locks = make();
    const orders = await application(locks);
    expect(() => attachLocks(orders, make())).toThrow('OneOrders was created by Nest');
    orders.gate.open();
    expect(await orders.charge('1')).toBe('charged 1');
  });
});

it.each([{ servers: ['a'] }, { embedded: true }, { acquireTimeoutS: -1 }, { namespace: ' ' }])(
  'refuses the options %j',
  (options) => {
    expect(() => new TestLocks(options as object)).toThrow(ConfigError);
  },
);
