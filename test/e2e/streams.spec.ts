import { Readable } from 'node:stream';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { Controller, Get, Inject, Sse, StreamableFile } from '@nestjs/common';
import { EMPTY, firstValueFrom, interval, lastValueFrom, map, Observable, of, Subject, take, toArray } from 'rxjs';
import {
  AcquireTimeoutError,
  ConfigError,
  currentLock,
  DflockdModule,
  DflockdService,
  LockLostError,
  NestedLockError,
  WithLock,
} from '../../lib/entries/index.js';
import { bootError, bootHttp, closeAll, daemon, start, until, Wire } from './support.js';

afterEach(closeAll);

const isFree = async (locks: DflockdService, key: string) => {
  await using lock = await locks.tryAcquire(key);
  return lock !== null;
};

class Feeds {
  readonly source = new Subject<number>();
  calls = 0;
  constructor(@Inject(DflockdService) readonly locks: DflockdService) {}

  @WithLock('feed:{0}', { returns: 'observable', acquireTimeoutS: 0 })
  feed(_id: string): Observable<number> {
    this.calls++;
    return this.source;
  }

  @WithLock('feed:{0}', { returns: 'observable', acquireTimeoutS: 5 })
  patient(_id: string): Observable<string[]> {
    return of(currentLock()!.keys as string[]);
  }

  @WithLock('feed:{0}', { returns: 'observable' })
  async promised(_id: string): Promise<Observable<boolean>> {
    await Promise.resolve();
    return interval(1).pipe(
      take(2),
      map(() => currentLock()!.isHeld),
    );
  }

  @WithLock('feed:{0}', { returns: 'observable' })
  failing(_id: string, how: 'throws' | 'errors'): Observable<never> {
    if (how === 'throws') throw new RangeError('mine');
    return new Observable((subscriber) => subscriber.error(new RangeError('mine')));
  }

  @WithLock('feed:{0}', { returns: 'observable', acquireTimeoutS: 0, onBusy: (busy, id) => of(busy.code, id) })
  instead(_id: string): Observable<string> {
    return of('ran');
  }

  @WithLock('feed:{0}', { returns: 'observable', onLost: 'ignore' })
  careless(_id: string): Observable<number> {
    this.calls++;
    return this.source;
  }

  @WithLock('feed:{0}', { returns: 'observable', onNested: 'join' })
  joins(_id: string): Observable<number> {
    this.calls++;
    return this.source;
  }
}

class Override extends Feeds {
  @WithLock('feed:{0}', { returns: 'observable', acquireTimeoutS: 0 })
  override joins(id: string): Observable<number> {
    return super.joins(id).pipe(map((value) => value * 10));
  }
}

describe('an Observable', () => {
  it('that is never subscribed locks nothing, and does not call the method', async () => {
    const feeds = await start(Feeds);
    const feed = feeds.feed('1');
    expect(feeds.calls).toBe(0);
    expect(await isFree(feeds.locks, 'feed:1')).toBe(true);
    const [first, second] = [[] as number[], [] as unknown[]];
    const subscription = feed.subscribe((value) => first.push(value));
    await until(() => feeds.calls === 1);
    // Each subscription is a call of its own.
    feed.subscribe({ error: (error) => second.push(error) });
    await until(() => second.length === 1);
    expect(second[0]).toBeInstanceOf(AcquireTimeoutError);
    feeds.source.next(7);
    expect([first, feeds.calls]).toEqual([[7], 1]);
    subscription.unsubscribe();
    await until(() => isFree(feeds.locks, 'feed:1'));
    expect(feeds.source.observed).toBe(false);
  });

  it('is locked until complete, and free when that is told', async () => {
    const feeds = await start(Feeds);
    const values = lastValueFrom(feeds.feed('1').pipe(toArray()));
    await until(() => feeds.source.observed);
    expect(await isFree(feeds.locks, 'feed:1')).toBe(false);
    feeds.source.next(1);
    feeds.source.next(2);
    feeds.source.complete();
    await expect(values).resolves.toEqual([1, 2]);
    expect(await isFree(feeds.locks, 'feed:1')).toBe(true);
    await expect(lastValueFrom(feeds.patient('1'))).resolves.toEqual(['feed:1']);
    expect(await isFree(feeds.locks, 'feed:1')).toBe(true);
    await expect(firstValueFrom(feeds.feed('1'), { defaultValue: 'none' })).resolves.toBe('none');
  });

  it('may be promised', async () => {
    const feeds = await start(Feeds);
    const promise = feeds.promised('1');
    expect(promise).toBeInstanceOf(Promise);
    await expect(lastValueFrom((await promise).pipe(toArray()))).resolves.toEqual([true, true]);
    expect(await isFree(feeds.locks, 'feed:1')).toBe(true);
  });

  it.each(['throws', 'errors'] as const)('has its own error when the method %s, and leaves no lock', async (how) => {
    const feeds = await start(Feeds);
    await expect(lastValueFrom(feeds.failing('1', how))).rejects.toThrow(RangeError);
    expect(await isFree(feeds.locks, 'feed:1')).toBe(true);
  });

  it('gives up waiting when it is unsubscribed', async () => {
    const feeds = await start(Feeds, { servers: [await daemon()] });
    const first = await feeds.locks.acquire('feed:1');
    const queued: string[] = [];
    feeds.locks.events$.subscribe(({ type }) => queued.push(type));
    const next = jest.fn();
    const waiting = feeds.patient('1').subscribe({ next, error: next, complete: next });
    await until(() => queued.includes('queued'));
    waiting.unsubscribe();
    // Its place in the queue goes with it, before its turn would have come.
    await until(async () => (await feeds.locks.stats())[0]!.locks.every(({ waiters }) => waiters === 0));
    await first.release();
    await until(() => isFree(feeds.locks, 'feed:1'));
    expect(next).not.toHaveBeenCalled();
  });

  it('unsubscribed at once leaves nothing', async () => {
    const feeds = await start(Feeds);
    for (let i = 0; i < 5; i++) feeds.feed('1').subscribe().unsubscribe();
    await until(() => isFree(feeds.locks, 'feed:1'));
    expect(feeds.source.observed).toBe(false);
  });

  it('has what onBusy gives in its place', async () => {
    const feeds = await start(Feeds);
    await using held = await feeds.locks.acquire('feed:1');
    expect(held.isHeld).toBe(true);
    await expect(lastValueFrom(feeds.instead('1').pipe(toArray()))).resolves.toEqual(['ACQUIRE_TIMEOUT', '1']);
    await expect(lastValueFrom(feeds.instead('2'))).resolves.toBe('ran');
  });

  it('inside its own lock is refused', async () => {
    const feeds = await start(Feeds);
    await feeds.locks.withLock('feed:1', async () => {
      await expect(lastValueFrom(feeds.feed('1'))).rejects.toThrow(NestedLockError);
      await expect(lastValueFrom(feeds.joins('1'))).rejects.toThrow(NestedLockError);
    });
  });

  it('of a decorated super joins the lock of the override', async () => {
    const feeds = await start(Override);
    const values = lastValueFrom(feeds.joins('1').pipe(toArray()));
    await until(() => feeds.source.observed);
    expect(await isFree(feeds.locks, 'feed:1')).toBe(false);
    feeds.source.next(1);
    feeds.source.complete();
    await expect(values).resolves.toEqual([10]);
    await until(() => isFree(feeds.locks, 'feed:1'));
  });

  it('errors when the lock is lost, unless that is to be ignored', async () => {
    const wire = await Wire.to(await daemon());
    const feeds = await start(Feeds, { servers: [wire.address] });
    const lost: unknown[] = [];
    feeds.locks.lockLost$.subscribe((event) => lost.push(event));
    const errors: unknown[] = [];
    const values: number[] = [];
    feeds.feed('1').subscribe({ error: (error) => errors.push(error) });
    feeds.careless('2').subscribe((value) => values.push(value));
    await until(() => feeds.calls === 2);
    wire.cut();
    await until(() => lost.length === 2);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toBeInstanceOf(LockLostError);
    feeds.source.next(3);
    expect(values).toEqual([3]);
    feeds.source.complete();
  });
});

class Pages {
  readonly steps: string[] = [];
  constructor(@Inject(DflockdService) readonly locks: DflockdService) {}

  @WithLock('pages:{0}', { acquireTimeoutS: 0 })
  async *read(id: string): AsyncGenerator<string, string, string> {
    this.steps.push('begin');
    try {
      const sent = yield currentLock()!.keys.join();
      this.steps.push('resumed');
      await new Promise((resolve) => setImmediate(resolve));
      const again = yield `${sent} ${String(currentLock()!.isHeld)}`;
      return `${again} ${id}`;
    } catch (error) {
      return `caught ${(error as Error).message}`;
    } finally {
      this.steps.push('end');
    }
  }

  @WithLock('pages:{0}', { acquireTimeoutS: 0 })
  async *failing(_id: string): AsyncGenerator<number> {
    yield 1;
    throw new RangeError('mine');
  }

  @WithLock('pages:{0}', {
    acquireTimeoutS: 0,
    onBusy: async function* (busy) {
      yield busy.code;
    },
  })
  async *instead(_id: string): AsyncGenerator<string> {
    yield 'ran';
  }

  @WithLock('pages:{0}', { onLost: 'ignore' })
  async *careless(_id: string): AsyncGenerator<number> {
    yield 1;
    yield 2;
  }
}

describe('an async generator', () => {
  it('is locked from the first next() until it is done, with the lock around each step', async () => {
    const pages = await start(Pages);
    const unread = pages.read('1');
    expect(await isFree(pages.locks, 'pages:1')).toBe(true);
    const read = pages.read('1');
    await expect(read.next()).resolves.toEqual({ done: false, value: 'pages:1' });
    expect(currentLock()).toBeUndefined();
    expect(await isFree(pages.locks, 'pages:1')).toBe(false);
    await expect(unread.next()).rejects.toThrow(AcquireTimeoutError);
    await expect(read.next('sent')).resolves.toEqual({ done: false, value: 'sent true' });
    await expect(read.next('last')).resolves.toEqual({ done: true, value: 'last 1' });
    expect(await isFree(pages.locks, 'pages:1')).toBe(true);
    await expect(read.next('x')).resolves.toEqual({ done: true, value: undefined });
  });

  it('is free after a break, a return and a throw', async () => {
    const pages = await start(Pages);
    for await (const page of pages.read('1') as AsyncIterable<string>) {
      expect(page).toBe('pages:1');
      break;
    }
    expect([pages.steps, await isFree(pages.locks, 'pages:1')]).toEqual([['begin', 'end'], true]);
    const thrown = pages.read('1');
    await thrown.next();
    await expect(thrown.throw(new Error('x'))).resolves.toEqual({ done: true, value: 'caught x' });
    expect(await isFree(pages.locks, 'pages:1')).toBe(true);
    const unread = pages.read('1');
    await expect(unread.return('early')).resolves.toEqual({ done: true, value: 'early' });
    await expect(unread.next()).resolves.toEqual({ done: true, value: undefined });
    expect(await isFree(pages.locks, 'pages:1')).toBe(true);
  });

  it('has its own error, and what onBusy gives in its place', async () => {
    const pages = await start(Pages);
    const failing = pages.failing('1');
    await failing.next();
    const instead = pages.instead('1');
    await expect(instead.next()).resolves.toEqual({ done: false, value: 'ACQUIRE_TIMEOUT' });
    await expect(instead.next()).resolves.toEqual({ done: true, value: undefined });
    await expect(failing.next()).rejects.toThrow(RangeError);
    expect(await isFree(pages.locks, 'pages:1')).toBe(true);
  });

  it('goes no further when its lock is lost, and what it has open is closed', async () => {
    const wire = await Wire.to(await daemon());
    const pages = await start(Pages, { servers: [wire.address] });
    const lost: unknown[] = [];
    pages.locks.lockLost$.subscribe((event) => lost.push(event));
    const [read, careless] = [pages.read('1'), pages.careless('2')];
    await read.next();
    await careless.next();
    wire.cut();
    await until(() => lost.length === 2);
    await expect(read.next('x')).rejects.toThrow(LockLostError);
    expect(pages.steps).toEqual(['begin', 'end']);
    await expect(careless.next()).resolves.toEqual({ done: false, value: 2 });
    await expect(careless.next()).resolves.toEqual({ done: true, value: undefined });
  });
});

class Files {
  last: Readable | undefined;
  constructor(@Inject(DflockdService) readonly locks: DflockdService) {}

  @WithLock('file:{0}', { acquireTimeoutS: 0 })
  async open(_id: string): Promise<Readable> {
    // More than the stream takes at once, so that it cannot end unread.
    return (this.last = Readable.from(Array.from({ length: 100 }, () => Buffer.alloc(1024))));
  }

  @WithLock('file:{0}', { onLost: 'ignore' })
  async careless(_id: string): Promise<Readable> {
    return Readable.from(['a']);
  }
}

describe('a stream', () => {
  it('keeps the lock until it has been read, or destroyed', async () => {
    const files = await start(Files);
    const stream = await files.open('1');
    expect(await isFree(files.locks, 'file:1')).toBe(false);
    await stream.toArray();
    await until(() => isFree(files.locks, 'file:1'));
    const second = await files.open('1');
    second.destroy();
    await until(() => isFree(files.locks, 'file:1'));
  });

  it('fails when the lock is lost, unless that is to be ignored', async () => {
    const wire = await Wire.to(await daemon());
    const files = await start(Files, { servers: [wire.address] });
    const lost: unknown[] = [];
    files.locks.lockLost$.subscribe((event) => lost.push(event));
    const stream = await files.open('1');
    const careless = await files.careless('2');
    wire.cut();
    await until(() => lost.length === 2);
    await expect(stream.toArray()).rejects.toThrow(LockLostError);
    await expect(careless.toArray()).resolves.toEqual(['a']);
  });

  it('that everybody has forgotten frees its lock', async () => {
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    const files = await start(Files);
    const open = async () => void (await files.open('1'));
    await open();
    files.last = undefined;
    expect(await isFree(files.locks, 'file:1')).toBe(false);
    await until(async () => {
      gc();
      return isFree(files.locks, 'file:1');
    });
  });
});

describe('over HTTP', () => {
  @Controller()
  class Web {
    readonly events = new Subject<{ data: string }>();
    file = new Readable({ read() {} });
    constructor(@Inject(DflockdService) readonly locks: DflockdService) {}

    @Sse('above')
    @WithLock('sse', { returns: 'observable', acquireTimeoutS: 0 })
    above(): Observable<{ data: string }> {
      return this.events;
    }

    @WithLock('sse', { returns: 'observable', acquireTimeoutS: 0 })
    @Sse('below')
    below(): Observable<{ data: string }> {
      return this.events;
    }

    @Get('last')
    @WithLock('last', { returns: 'observable' })
    last(): Observable<string> {
      return of('first', currentLock()!.keys.join());
    }

    @Get('empty')
    @WithLock('last', { returns: 'observable', onBusy: () => EMPTY })
    empty(): Observable<string> {
      return of('value');
    }

    @Get('file')
    @WithLock('file')
    async download(): Promise<StreamableFile> {
      return new StreamableFile((this.file = new Readable({ read() {} })));
    }

    @Get('generated')
    @WithLock('generated')
    async *generated(): AsyncGenerator<string> {
      yield 'a';
      yield currentLock()!.keys.join();
    }
  }

  const begin = async (options: Parameters<typeof DflockdModule.forRoot>[0] = { embedded: true }) => {
    const http = await bootHttp({ imports: [DflockdModule.forRoot(options)], controllers: [Web] }, false, {
      forceCloseConnections: true,
    });
    return { ...http, web: http.app.get(Web) };
  };

  it.each(['above', 'below'])('@Sse holds its lock as long as its client listens (%s)', async (path) => {
    const { fetch, web } = await begin();
    const client = new AbortController();
    const stream = await fetch(`/${path}`, { signal: client.signal });
    await until(() => web.events.observed);
    expect(await isFree(web.locks, 'sse')).toBe(false);
    // Known at once, busy is an answer like any other.
    expect((await fetch(`/${path}`)).status).toBe(423);
    web.events.next({ data: 'hello' });
    const reader = stream.body!.getReader();
    await until(async () => new TextDecoder().decode((await reader.read()).value).includes('hello'));
    client.abort();
    await until(() => isFree(web.locks, 'sse'));
    expect(web.events.observed).toBe(false);
  });

  it('@Sse without returns: observable fails the boot', async () => {
    @Controller()
    class Wrong {
      @Sse()
      @WithLock('k')
      async events(): Promise<any> {}
    }
    const error = await bootError({ imports: [DflockdModule.forRoot({ embedded: true })], controllers: [Wrong] });
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toMatch(/Wrong\.events.*@Sse.*returns: 'observable'/);
  });

  it('an Observable answers with its last value, an async generator with all', async () => {
    const { fetch, web } = await begin();
    expect(await (await fetch('/last')).text()).toBe('last');
    expect(await (await fetch('/empty')).text()).toBe('value');
    expect(await (await fetch('/generated')).text()).toBe('agenerated');
    await until(() => isFree(web.locks, 'generated'));
  });

  it('a StreamableFile holds its lock until it has been sent, or its client has gone', async () => {
    const { fetch, web } = await begin();
    const answer = await Promise.all([
      fetch('/file'),
      until(() => web.file.readableFlowing).then(() => web.file.push('ab')),
    ]);
    expect(await isFree(web.locks, 'file')).toBe(false);
    web.file.push(null);
    expect(await answer[0].text()).toBe('ab');
    await until(() => isFree(web.locks, 'file'));

    const client = new AbortController();
    const second = fetch('/file', { signal: client.signal });
    await until(async () => web.file.readableFlowing && !(await isFree(web.locks, 'file')));
    web.file.push('ab');
    await second;
    client.abort();
    await until(() => isFree(web.locks, 'file'));
    expect(web.file.destroyed).toBe(true);
  });

  it('a file whose lock is lost ends in the middle', async () => {
    const wire = await Wire.to(await daemon());
    const { fetch, web } = await begin({ servers: [wire.address], logger: false });
    const lost: unknown[] = [];
    web.locks.lockLost$.subscribe((event) => lost.push(event));
    const answer = fetch('/file');
    await until(() => web.file.readableFlowing);
    web.file.push('ab');
    const response = await answer;
    wire.cut();
    await until(() => lost.length === 1);
    await expect(response.text()).rejects.toThrow();
    expect(web.file.errored).toBeInstanceOf(LockLostError);
  });
});
