import { EventEmitter } from 'node:events';
import { connect } from 'node:net';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterEach, describe, expect, it } from '@jest/globals';
import {
  Controller,
  Get,
  Inject,
  Param,
  Res,
  StreamableFile,
  UseGuards,
  UseInterceptors,
  type CallHandler,
  type CanActivate,
  type ExecutionContext,
  type NestInterceptor,
  type PipeTransform,
} from '@nestjs/common';
import { MessagePattern } from '@nestjs/microservices';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { concat, lastValueFrom, NEVER, Observable, retry, timeout } from 'rxjs';
import {
  currentLock,
  DflockdModule,
  DflockdService,
  LockRequest,
  type LockLostEvent,
} from '../../lib/entries/index.js';
import { bootHttp, bootRpc, closeAll, Gate, until } from './support.js';

afterEach(closeAll);

const isFree = async (locks: DflockdService, key: string) => {
  await using lock = await locks.tryAcquire(key);
  return lock !== null;
};

/** Keeps a response from telling its end, as serverless adapters do. */
const without = (...silenced: string[]) => {
  class Silencer implements CanActivate {
    canActivate(context: ExecutionContext): boolean {
      const response = context.switchToHttp().getResponse<{ raw?: EventEmitter } & EventEmitter>();
      const raw = response.raw ?? response;
      const emit = raw.emit.bind(raw);
      raw.emit = (event: string, ...args: unknown[]) => !silenced.includes(event) && emit(event, ...args);
      return true;
    }
  }
  return Silencer;
};

/** Answers a request that takes too long, whose handler goes on. */
class Impatient implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(timeout(50));
  }
}

class Repeats implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return concat(next.handle(), next.handle()).pipe(retry(1));
  }
}

/** Lets nothing pass before the interceptor has given up. */
class SlowPipe implements PipeTransform {
  static gate = new Gate();
  async transform(value: unknown): Promise<unknown> {
    await SlowPipe.gate.opened;
    return value;
  }
}

/** What `@Res()` gives: Fastify has Node's response inside its own. */
type PassedResponse = Writable & { raw?: Writable; hijack?: () => void };

/** More than the buffers of two sockets take. */
const LARGE = Buffer.alloc(12_000_000, 'x');

@Controller()
class Web {
  gate = new Gate();
  entered = 0;
  stopped = 0;
  reason: unknown;
  readonly held: unknown[] = [];
  constructor(@Inject(DflockdService) readonly locks: DflockdService) {}

  @Get('no-close')
  @UseGuards(without('close'))
  @LockRequest(() => 'no-close', { acquireTimeoutS: 0 })
  async noClose(): Promise<string> {
    return 'done';
  }

  @Get('no-events')
  @UseGuards(without('close', 'finish'))
  @LockRequest(() => 'no-events', { acquireTimeoutS: 0 })
  async noEvents(): Promise<string> {
    return 'done';
  }

  @Get('impatient-inside')
  @UseInterceptors(Impatient)
  @LockRequest(() => 'outer')
  @LockRequest(() => 'inner')
  async impatientInside(): Promise<string> {
    return this.work();
  }

  @Get('impatient-outside')
  @LockRequest(() => 'outer')
  @LockRequest(() => 'inner')
  @UseInterceptors(Impatient)
  async impatientOutside(): Promise<string> {
    return this.work();
  }

  @Get('slow-pipe/:id')
  @UseInterceptors(Impatient)
  @LockRequest(() => 'slow-pipe')
  async slowPipe(@Param('id', SlowPipe) _id: string): Promise<string> {
    return this.work();
  }

  /** Queries of some libraries run anew with every then(). */
  @Get('query')
  @LockRequest(() => 'query', { until: 'handler' })
  query(): unknown {
    return {
      then: (resolve: (value: string) => void) => {
        this.entered++;
        void this.gate.opened.then(() => resolve('rows'));
      },
    };
  }

  private async work(): Promise<string> {
    this.entered++;
    await this.gate.opened;
    return 'done';
  }

  @Get('observable')
  @UseInterceptors(Impatient)
  @LockRequest(() => 'observable')
  observable(): Observable<string> {
    return new Observable(() => {
      this.entered++;
      return () => this.stopped++;
    });
  }

  @Get('large')
  @LockRequest(() => 'large', { maxHoldS: 0.3 })
  async large(): Promise<StreamableFile> {
    this.entered++;
    return new StreamableFile(LARGE);
  }

  @Get('large/:id')
  @LockRequest(() => 'large-handler', { until: 'handler' })
  async untilHandler(@Param('id') _id: string): Promise<StreamableFile> {
    this.entered++;
    await this.gate.opened;
    return new StreamableFile(LARGE);
  }

  @Get('piped')
  @LockRequest(() => 'piped', { maxHoldS: 0.3 })
  async piped(@Res() reply: PassedResponse): Promise<void> {
    this.entered++;
    reply.hijack?.();
    await pipeline(Readable.from([LARGE]), reply.raw ?? reply).catch(() => undefined);
  }

  @Get('gated')
  @LockRequest(() => 'gated')
  async gated(): Promise<string> {
    return this.work();
  }

  @Get('repeated')
  @LockRequest(() => 'repeated')
  @UseInterceptors(Repeats)
  async repeated(): Promise<string> {
    return this.repeatedWork();
  }

  @Get('repeated-handler')
  @LockRequest(() => 'repeated', { until: 'handler' })
  @UseInterceptors(Repeats)
  async repeatedHandler(): Promise<string> {
    return this.repeatedWork();
  }

  /** Fails the second time. */
  private async repeatedWork(): Promise<string> {
    this.entered++;
    this.held.push(currentLock()?.isHeld, !(await isFree(this.locks, 'repeated')));
    if (this.entered === 2) throw new Error('again');
    return 'done';
  }

  @Get('overdue')
  @LockRequest(() => 'overdue', { maxHoldS: 0.1 })
  async overdue(): Promise<string> {
    const { signal } = currentLock()!;
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    this.reason = signal.reason;
    return 'done';
  }
}

describe.each(['express', 'fastify'])('the end of a request over %s', (adapter) => {
  const begin = async (maxHoldS?: number) => {
    const options = { embedded: true, logger: false, ...(maxHoldS ? { maxHoldS } : undefined) } as const;
    const metadata = { imports: [DflockdModule.forRoot(options)], controllers: [Web] };
    const http = await bootHttp(metadata, false, {
      adapter: adapter === 'fastify' ? new FastifyAdapter({ forceCloseConnections: true }) : undefined,
      forceCloseConnections: true,
    });
    const web = http.app.get(Web);
    const losses: LockLostEvent[] = [];
    web.locks.lockLost$.subscribe((event) => losses.push(event));
    return { ...http, web, losses, locks: web.locks };
  };

  /** A client that sends a request and reads nothing. */
  const deafClient = async (url: string, path: string) => {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => undefined);
    socket.pause();
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    return { socket, closed };
  };

  it('a response that emits finish and never close kept its lock for ever', async () => {
    const { fetch, locks } = await begin();
    for (let i = 0; i < 3; i++) {
      const answer = await fetch('/no-close');
      expect([answer.status, await answer.text()]).toEqual([200, 'done']);
      await until(() => isFree(locks, 'no-close'));
    }
  });

  it('a response that emits neither kept its lock for ever', async () => {
    const { fetch, locks } = await begin();
    expect(await (await fetch('/no-events')).text()).toBe('done');
    await until(() => isFree(locks, 'no-events'));
  });

  it.each(['inside', 'outside'])(
    'an interceptor %s that gave up freed the lock of a handler that went on',
    async (where) => {
      const { fetch, web, locks } = await begin();
      expect((await fetch(`/impatient-${where}`)).status).toBe(500);
      expect(web.entered).toBe(1);
      expect([await isFree(locks, 'outer'), await isFree(locks, 'inner')]).toEqual([false, false]);
      web.gate.open();
      await until(() => isFree(locks, 'outer'));
      await until(() => isFree(locks, 'inner'));
      expect(web.entered).toBe(1);
    },
  );

  it('a handler whose pipes took too long is not run without its lock', async () => {
    const { fetch, web, locks } = await begin();
    SlowPipe.gate = new Gate();
    expect((await fetch('/slow-pipe/1')).status).toBe(500);
    await until(() => isFree(locks, 'slow-pipe'));
    SlowPipe.gate.open();
    await new Promise((resolve) => setImmediate(resolve));
    expect(web.entered).toBe(0);
  });

  it('a query that is returned is run once, under the lock', async () => {
    const { fetch, web, locks } = await begin();
    const answer = fetch('/query');
    await until(() => web.entered === 1);
    expect(await isFree(locks, 'query')).toBe(false);
    web.gate.open();
    expect(await (await answer).text()).toBe('rows');
    expect(web.entered).toBe(1);
    await until(() => isFree(locks, 'query'));
  });

  it('an Observable is unsubscribed by an interceptor that gives up, and its lock is free', async () => {
    const { fetch, web, locks } = await begin();
    expect((await fetch('/observable')).status).toBe(500);
    expect([web.entered, web.stopped]).toEqual([1, 1]);
    await until(() => isFree(locks, 'observable'));
  });

  it('a client that reads nothing kept the lock without bound: maxHoldS ends it, and cuts the response', async () => {
    const { app, locks, losses } = await begin();
    const { socket, closed } = await deafClient(await app.getUrl(), '/large');
    await until(() => losses.length === 1);
    expect(losses).toMatchObject([{ keys: ['large'], reason: 'overdue' }]);
    await until(() => isFree(locks, 'large'));
    // Only who reads hears of the end.
    socket.resume();
    await closed;
  });

  it('a response that its own handler was sending looked complete although the lock was lost', async () => {
    const { app, locks, losses } = await begin();
    const { socket, closed } = await deafClient(await app.getUrl(), '/piped');
    await until(() => losses.length === 1);
    await until(() => isFree(locks, 'piped'));
    let received = 0;
    socket.on('data', (chunk: Buffer) => (received += chunk.length)).resume();
    await closed;
    expect(received).toBeLessThan(LARGE.length);
  });

  it('a client that leaves with requests in the pipeline kept their locks for ever', async () => {
    const { app, web, locks } = await begin();
    const { hostname, port } = new URL(await app.getUrl());
    const socket = connect(Number(port), hostname);
    socket.on('error', () => undefined);
    socket.write('GET /gated HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(3));
    await until(() => web.entered === 1);
    socket.resetAndDestroy();
    // Those behind the first have no socket of their own, and are told nothing.
    web.gate.open();
    await until(() => isFree(locks, 'gated'));
  });

  it.each(['/repeated', '/repeated-handler'])(
    'a handler that an outer interceptor repeats ran again without its lock (%s)',
    async (path) => {
      const { fetch, web, locks } = await begin();
      expect(await (await fetch(path)).text()).toBe('done');
      expect(web.entered).toBe(4);
      expect(web.held).toEqual(Array(8).fill(true));
      await until(() => isFree(locks, 'repeated'));
    },
  );

  it("until: 'handler' frees the lock before the response has been sent", async () => {
    const { app, web, locks } = await begin();
    const { socket } = await deafClient(await app.getUrl(), '/large/1');
    await until(() => web.entered === 1);
    expect(await isFree(locks, 'large-handler')).toBe(false);
    web.gate.open();
    await until(() => isFree(locks, 'large-handler'));
    expect(socket.destroyed).toBe(false);
    socket.destroy();
  });

  it("until: 'handler' keeps the lock of a handler whose client has left", async () => {
    const { app, web, locks } = await begin();
    const { socket, closed } = await deafClient(await app.getUrl(), '/large/1');
    await until(() => web.entered === 1);
    socket.destroy();
    await closed;
    const connections = () =>
      new Promise<number>((resolve) =>
        (app.getHttpServer() as import('node:http').Server).getConnections((_error, count) => resolve(count)),
      );
    await until(async () => (await connections()) === 0);
    expect(await isFree(locks, 'large-handler')).toBe(false);
    web.gate.open();
    await until(() => isFree(locks, 'large-handler'));
  });

  it('a handler that is overdue is told, and its request is answered with 503', async () => {
    const { fetch, web, locks } = await begin();
    expect((await fetch('/overdue')).status).toBe(503);
    expect(web.reason).toMatchObject({ reason: 'overdue' });
    await until(() => isFree(locks, 'overdue'));
  });

  it('maxHoldS of the module is for requests, too', async () => {
    const { fetch, web, locks, losses } = await begin(0.2);
    expect((await fetch('/impatient-inside')).status).toBe(500);
    await until(() => losses.length === 2);
    await until(() => isFree(locks, 'inner'));
    web.gate.open();
  });
});

describe('@LockRequest on a class whose interceptor gives up', () => {
  const gate = new Gate();
  let entered = 0;

  @Controller()
  class Base {
    @Get('inherited')
    @UseInterceptors(Impatient)
    async inherited(): Promise<void> {
      entered++;
      await gate.opened;
    }
  }

  @Controller()
  @LockRequest(() => 'class')
  class Locked extends Base {}

  @Controller()
  class Sub extends Locked {
    @Get('added')
    @UseInterceptors(Impatient)
    async added(): Promise<void> {
      entered++;
      await gate.opened;
    }
  }

  it('freed the lock of a handler that went on, an inherited one and one of a subclass', async () => {
    const { app, fetch } = await bootHttp({
      imports: [DflockdModule.forRoot({ embedded: true, logger: false })],
      controllers: [Sub],
    });
    const locks = app.get(DflockdService);
    for (const path of ['/inherited', '/added']) {
      expect((await fetch(path)).status).toBe(500);
      expect(await isFree(locks, 'class')).toBe(false);
      expect(entered).toBe(1);
      gate.open();
      await until(() => isFree(locks, 'class'));
      Object.assign(gate, new Gate());
      entered = 0;
    }
  });
});

describe('the end of a message', () => {
  @Controller()
  class Messages {
    readonly gate = new Gate();
    constructor(@Inject(DflockdService) readonly locks: DflockdService) {}

    @MessagePattern('impatient')
    @UseInterceptors(Impatient)
    @LockRequest(() => 'message')
    async impatient(): Promise<string> {
      await this.gate.opened;
      return 'done';
    }

    @MessagePattern('never')
    @UseInterceptors(Impatient)
    @LockRequest(() => 'never')
    never(): Observable<never> {
      return NEVER;
    }
  }

  it('an interceptor that gave up freed the lock of a handler that went on', async () => {
    const { app, send } = await bootRpc({
      imports: [DflockdModule.forRoot({ embedded: true, logger: false })],
      controllers: [Messages],
    });
    const messages = app.get(Messages);
    await expect(lastValueFrom(send('impatient', {}))).rejects.toMatchObject({ status: 'error' });
    expect(await isFree(messages.locks, 'message')).toBe(false);
    messages.gate.open();
    await until(() => isFree(messages.locks, 'message'));
    await expect(lastValueFrom(send('never', {}))).rejects.toMatchObject({ status: 'error' });
    await until(() => isFree(messages.locks, 'never'));
  });
});
