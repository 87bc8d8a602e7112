import { afterEach, describe, expect, it } from '@jest/globals';
import { Inject } from '@nestjs/common';
import {
  AcquireTimeoutError,
  currentLock,
  DflockdService,
  lockKey,
  LockKeyError,
  LockLostError,
  LockUnavailableError,
  WithLock,
  type LockEvent,
} from '../../lib/entries/index.js';
import { stopwatch } from '../support/stopwatch.js';
import { closeAll, daemon, Gate, until, Wire, start } from './support.js';

afterEach(closeAll);

describe('a busy lock', () => {
  class Desk {
    readonly gate = new Gate();
    readonly prefix = 'desk';
    entered = 0;
    constructor(@Inject(DflockdService) readonly locks: DflockdService) {}

    @WithLock('desk:{0}', { acquireTimeoutS: 0.05 })
    async occupy(_id: string): Promise<void> {
      this.entered++;
      await this.gate.opened;
    }

    @WithLock('desk:{0}', { onBusy: 'skip' })
    async skip(_id: string): Promise<string | undefined> {
      return 'ran';
    }

    @WithLock('desk:{0}', {
      acquireTimeoutS: 0,
      onBusy(this: Desk, busy: AcquireTimeoutError, id: string) {
        return `${this.prefix} ${id}: ${busy.code}`;
      },
    })
    async fallback(_id: string): Promise<string> {
      return 'ran';
    }

    @WithLock('outer:{0}', { onBusy: () => 'fallback' })
    async failsInside(id: string): Promise<string> {
      await this.occupy(id);
      return 'ran';
    }

    @WithLock('outer:{0}', { onBusy: 'skip' })
    async failsInsideToo(id: string): Promise<string | undefined> {
      await this.occupy(id);
      return 'ran';
    }
  }

  async function occupied() {
    const desk = await start(Desk);
    const events: LockEvent[] = [];
    desk.locks.events$.subscribe((event) => events.push(event));
    const running = desk.occupy('1');
    await until(() => desk.entered === 1);
    return { desk, events, done: () => (desk.gate.open(), running) };
  }

  it('throws after the waiting time', async () => {
    const { desk, done } = await occupied();
    const error = await desk.occupy('1').catch((e: unknown) => e);
    expect(error).toBeInstanceOf(AcquireTimeoutError);
    expect(error).toMatchObject({ key: 'desk:1' });
    expect(desk.entered).toBe(1);
    await done();
  });

  it('is skipped, with an event, and runs when it is free', async () => {
    const { desk, events, done } = await occupied();
    await expect(desk.skip('1')).resolves.toBeUndefined();
    expect(events.filter(({ type }) => type === 'skipped')).toMatchObject([{ keys: ['desk:1'] }]);
    await expect(desk.skip('2')).resolves.toBe('ran');
    await done();
    await expect(desk.skip('1')).resolves.toBe('ran');
  });

  it('is answered by a function with this and the arguments', async () => {
    const { desk, done } = await occupied();
    await expect(desk.fallback('1')).resolves.toBe('desk 1: ACQUIRE_TIMEOUT');
    await done();
    await expect(desk.fallback('1')).resolves.toBe('ran');
  });

  it('inside the method is not the lock of the method', async () => {
    const { desk, done } = await occupied();
    await expect(desk.failsInside('1')).rejects.toThrow(AcquireTimeoutError);
    await expect(desk.failsInsideToo('1')).rejects.toThrow(AcquireTimeoutError);
    await done();
  });

  it('is not the same as an unreachable server', async () => {
    const desk = await start(Desk, { servers: ['127.0.0.1:1'], startup: 'lazy', acquireTimeoutS: 0.1 });
    await expect(desk.skip('1')).rejects.toThrow(LockUnavailableError);
    await expect(desk.fallback('1')).rejects.toThrow(LockUnavailableError);
  });
});

describe('the key', () => {
  class Keys {
    ran = 0;
    readonly tenant = 'acme';

    @WithLock('order:{0.id}')
    async template(_order: { id?: any }): Promise<readonly string[]> {
      this.ran++;
      return currentLock()!.keys;
    }

    @WithLock(function (id) {
      return lockKey`order:${this.tenant}:${id}`;
    })
    async byFunction(_id: string): Promise<readonly string[]> {
      return currentLock()!.keys;
    }
  }

  it('is made of the arguments, and shown without namespace', async () => {
    const keys = await start(Keys, { embedded: true, namespace: 'shop' });
    await expect(keys.template({ id: 'a:b' })).resolves.toEqual(['order:a%3Ab']);
    await expect(keys.byFunction('7')).resolves.toEqual(['order:acme:7']);
  });

  it('that cannot be made stops the call before anything is locked', async () => {
    const keys = await start(Keys);
    for (const id of [undefined, null, {}, '', NaN]) {
      await expect(keys.template({ id })).rejects.toThrow(LockKeyError);
    }
    expect(keys.ran).toBe(0);
  });
});

describe('a limit', () => {
  it('lets so many in at once', async () => {
    let now = 0;
    let most = 0;
    class Pool {
      @WithLock('pool', { limit: 3 })
      async work(): Promise<void> {
        most = Math.max(most, ++now);
        await new Promise((resolve) => setTimeout(resolve, 1));
        now--;
      }
    }
    const pool = await start(Pool, { servers: [await daemon()] });
    await Promise.all(Array.from({ length: 20 }, () => pool.work()));
    expect(most).toBe(3);
  });
});

describe('a minimum hold', () => {
  it.each(['embedded', 'a daemon'])('answers at once and keeps the lock, on %s', async (where) => {
    class Brief {
      constructor(@Inject(DflockdService) readonly locks: DflockdService) {}

      @WithLock('brief', { minHoldS: 0.3 })
      async work(): Promise<string> {
        return 'done';
      }
    }
    const brief = await start(Brief, where === 'embedded' ? { embedded: true } : { servers: [await daemon()] });
    const took = stopwatch();
    const start0 = performance.now();
    await expect(brief.work()).resolves.toBe('done');
    expect(took()).toBeLessThan(250);
    await using lock = await brief.locks.acquire('brief');
    expect(lock.isHeld).toBe(true);
    expect(performance.now() - start0).toBeGreaterThanOrEqual(299);
  });
});

describe('a lost lock', () => {
  class Risky {
    readonly gate = new Gate();
    entered = 0;
    aborted: unknown;
    constructor(@Inject(DflockdService) readonly locks: DflockdService) {}

    @WithLock('risky')
    async work(fail: boolean): Promise<string> {
      return this.body(fail);
    }

    @WithLock('risky', { onLost: 'ignore' })
    async careless(): Promise<string> {
      return this.body(false);
    }

    private async body(fail: boolean): Promise<string> {
      const { signal } = currentLock()!;
      signal.addEventListener('abort', () => (this.aborted = signal.reason));
      this.entered++;
      await this.gate.opened;
      if (fail) throw new RangeError('mine');
      return 'result';
    }
  }

  async function lose<R>(call: (risky: Risky) => Promise<R>) {
    const wire = await Wire.to(await daemon());
    const risky = await start(Risky, { servers: [wire.address] });
    const lost: unknown[] = [];
    risky.locks.lockLost$.subscribe((event) => lost.push(event));
    const outcome = call(risky).then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    );
    await until(() => risky.entered === 1);
    wire.cut();
    await until(() => lost.length === 1);
    risky.gate.open();
    return { risky, outcome: (await outcome) as { value?: R; error?: unknown } };
  }

  it('aborts the signal at once and fails the call, with its result kept', async () => {
    const { risky, outcome } = await lose((it) => it.work(false));
    expect(risky.aborted).toBeInstanceOf(LockLostError);
    expect(outcome.error).toBeInstanceOf(LockLostError);
    expect(outcome.error).toMatchObject({ settled: { value: 'result' }, reason: 'disconnected', key: 'risky' });
  });

  it('leaves the own error of the method alone', async () => {
    const { outcome } = await lose((it) => it.work(true));
    expect(outcome.error).toBeInstanceOf(RangeError);
  });

  it('is ignored where that is asked for', async () => {
    const { outcome } = await lose((it) => it.careless());
    expect(outcome).toEqual({ value: 'result' });
  });
});
