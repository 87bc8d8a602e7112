import { afterEach, describe, expect, it } from '@jest/globals';
import { get, type ClientRequest, type Server } from 'node:http';
import {
  Controller,
  Get,
  Inject,
  Injectable,
  Res,
  UseGuards,
  UseInterceptors,
  type CallHandler,
  type CanActivate,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { lastValueFrom, of, tap, type Observable } from 'rxjs';
import { TestLocks } from '../../lib/entries/testing.js';
import { AcquireTimeoutError, LockRequest, WithLock } from '../../lib/entries/index.js';
import { boot, bootHttp, closeAll, closing, Gate, until } from './support.js';

afterEach(closeAll);

/** Of the response to a request. */
function whenGone(response: any): AbortSignal {
  const controller = new AbortController();
  (response.raw ?? response).once('close', () => controller.abort(new Error('the client has gone')));
  return controller.signal;
}

@Injectable()
class Work {
  stop: AbortController | undefined = new AbortController();
  ran = 0;
  asked: unknown[] = [];

  @WithLock('a', {
    acquireTimeoutS: 60,
    signal: function (id, signal) {
      this.asked.push(id);
      return signal ?? this.stop?.signal;
    },
  })
  async promise(_id: number, _signal?: AbortSignal): Promise<number> {
    return ++this.ran;
  }

  @WithLock('a', { acquireTimeoutS: 60, returns: 'observable', signal: (signal) => signal })
  observable(_signal: AbortSignal): Observable<number> {
    return of(++this.ran);
  }

  @WithLock('a', { acquireTimeoutS: 60, signal: (signal) => signal })
  async *generator(_signal: AbortSignal): AsyncGenerator<number> {
    yield ++this.ran;
  }

  @WithLock('a', { acquireTimeoutS: 60, onBusy: 'skip', signal: () => AbortSignal.abort(new Error('no')) })
  async skipping(): Promise<void> {
    this.ran++;
  }

  @WithLock('b', { signal: (() => 'soon') as never })
  async wrong(): Promise<void> {
    this.ran++;
  }
}

describe('a locked method that has been given up', () => {
  const begin = async () => {
    const locks = new TestLocks();
    const app = await boot({ imports: [locks.module()], providers: [Work] });
    await locks.occupy('a');
    return { locks, work: app.get(Work) };
  };
  const shapes: Record<string, (work: Work, signal: AbortSignal) => Promise<unknown>> = {
    'a Promise': (work, signal) => work.promise(7, signal),
    'an Observable': (work, signal) => lastValueFrom(work.observable(signal)),
    'an async generator': (work, signal) => work.generator(signal).next(),
  };

  it.each(Object.entries(shapes))('leaves the queue with the reason of its signal: %s', async (_, call) => {
    const { locks, work } = await begin();
    const controller = new AbortController();
    const reason = new Error('enough');
    const [settled] = [Promise.allSettled([call(work, controller.signal)])];
    await until(() => locks.waiting().length === 1);
    controller.abort(reason);
    expect(await settled).toEqual([{ status: 'rejected', reason }]);
    expect([locks.waiting(), work.ran]).toEqual([[], 0]);
    // Nor does one that was given up before begin to wait.
    expect(await Promise.allSettled([call(work, controller.signal)])).toEqual([{ status: 'rejected', reason }]);
    expect([locks.waiting(), work.ran]).toEqual([[], 0]);
  });

  it('has its function called with this and the arguments, and may have no signal', async () => {
    const { locks, work } = await begin();
    const settled = Promise.allSettled([work.promise(7)]);
    await until(() => locks.waiting().length === 1);
    work.stop!.abort('by this');
    expect(await settled).toEqual([{ status: 'rejected', reason: 'by this' }]);
    work.stop = undefined;
    const patient = work.promise(8);
    await until(() => locks.waiting().length === 1);
    expect(work.asked).toEqual([7, 8]);
    await locks.close();
    await expect(patient).rejects.toMatchObject({ code: 'SHUTTING_DOWN' });
  });

  it('is not busy: nothing is skipped', async () => {
    const { work } = await begin();
    await expect(work.skipping()).rejects.toThrow('no');
  });

  it('whose function returns no signal is refused before anything is locked', async () => {
    const { work } = await begin();
    await expect(work.wrong()).rejects.toThrow('option signal: expected an AbortSignal, got "soon"');
    expect(work.ran).toBe(0);
  });

  it('an Observable still stops waiting when it is unsubscribed, and leaves no listener behind', async () => {
    const { locks, work } = await begin();
    const controller = new AbortController();
    const subscription = work.observable(controller.signal).subscribe({ error: () => undefined });
    await until(() => locks.waiting().length === 1);
    subscription.unsubscribe();
    await until(() => locks.waiting().length === 0);
  });

  it('must be given a function', () => {
    expect(() => {
      class A {
        @WithLock('a', { signal: AbortSignal.abort() as never })
        async m(): Promise<void> {}
      }
      return A;
    }).toThrow(
      '@WithLock on A.m: option signal: expected a function that returns an AbortSignal or undefined, got [object AbortSignal]',
    );
  });
});

describe.each(['express', 'fastify'])('a client that leaves while its request waits, over %s', (adapter) => {
  const gate = { now: new Gate() };
  class Slow implements CanActivate {
    async canActivate(context: ExecutionContext): Promise<boolean> {
      if (context.switchToHttp().getRequest().url === '/guarded') await gate.now.opened;
      return true;
    }
  }

  const outcomes: unknown[] = [];
  class Outcome implements NestInterceptor {
    intercept(_: ExecutionContext, next: CallHandler): Observable<unknown> {
      return next.handle().pipe(tap({ error: (error: unknown) => outcomes.push(error) }));
    }
  }

  @Controller()
  @UseGuards(Slow)
  @UseInterceptors(Outcome)
  class Web {
    entered = 0;
    constructor(@Inject(TestLocks) readonly locks: TestLocks) {}

    @Get('with-lock')
    @WithLock('a', { acquireTimeoutS: 60, signal: (response) => whenGone(response) })
    async withLock(@Res({ passthrough: true }) _response: any): Promise<void> {
      this.entered++;
    }

    @Get('guarded')
    @LockRequest(() => 'a', { acquireTimeoutS: 60 })
    guarded(): void {
      this.entered++;
    }
  }

  const begin = async () => {
    gate.now = new Gate();
    outcomes.length = 0;
    const locks = new TestLocks();
    const { app } = await bootHttp(
      { imports: [locks.module()], controllers: [Web], providers: [{ provide: TestLocks, useValue: locks }] },
      false,
      {
        adapter: adapter === 'fastify' ? new FastifyAdapter({ forceCloseConnections: true }) : undefined,
        forceCloseConnections: true,
      },
    );
    const url = await app.getUrl();
    const ask = (path: string): ClientRequest => {
      const request = get(url + path);
      request.on('error', () => undefined);
      closing(async () => request.destroy());
      return request;
    };
    const held = await locks.occupy('a');
    return { locks, ask, held, web: app.get(Web), server: app.getHttpServer() as Server };
  };
  const connections = (server: Server) =>
    new Promise<number>((resolve) => server.getConnections((_, count) => resolve(count)));

  it('@WithLock with a signal of the response leaves the queue', async () => {
    const { locks, ask, web } = await begin();
    const request = ask('/with-lock');
    await until(() => locks.waiting().length === 1);
    request.destroy();
    await until(() => locks.waiting().length === 0);
    expect(web.entered).toBe(0);
  });

  it('@LockRequest does not begin to wait for one that left while the guards were at work', async () => {
    const { locks, ask, web, server } = await begin();
    let guards = 0;
    server.on('request', () => guards++);
    const request = ask('/guarded');
    await until(() => guards === 1);
    request.destroy();
    await until(async () => (await connections(server)) === 0);
    gate.now.open();
    await until(() => outcomes.length > 0);
    expect(outcomes).toEqual([new AcquireTimeoutError('a')]);
    expect([locks.waiting(), web.entered]).toEqual([[], 0]);
  });
});
