import { afterEach, describe, expect, it } from '@jest/globals';
import {
  type CanActivate,
  Catch,
  Controller,
  type ExecutionContext,
  Get,
  Header,
  HttpCode,
  Inject,
  Injectable,
  Param,
  ParseIntPipe,
  Post,
  Query,
  SetMetadata,
  UseGuards,
  type ArgumentsHost,
  type ExceptionFilter,
  type Type,
} from '@nestjs/common';
import { APP_FILTER, Reflector } from '@nestjs/core';
import {
  DflockdModule,
  DflockdService,
  LockError,
  LockLostError,
  MaxLocksError,
  WithLock,
  type DflockdModuleOptions,
  type LockLostEvent,
} from '../../lib/entries/index.js';
import { bootHttp, closeAll, daemon, Gate, LogBook, until, Wire, type HttpApp } from './support.js';

afterEach(closeAll);

const start = (controller: Type, options: DflockdModuleOptions = { embedded: true }, log?: LogBook) =>
  bootHttp({ imports: [DflockdModule.forRoot(options)], controllers: [controller] }, log);

describe('concurrent withdrawals over HTTP', () => {
  /** Both applications of a test share what would be a database. */
  function bank() {
    const balances = new Map([
      ['locked', 1000],
      ['open', 1000],
    ]);
    async function withdraw(account: string): Promise<number> {
      const balance = balances.get(account)!;
      await new Promise((resolve) => setTimeout(resolve, 1));
      balances.set(account, balance - 10);
      return balance - 10;
    }
    @Controller('accounts')
    class Accounts {
      @Post(':id/withdraw')
      @WithLock('account:{0}')
      withdraw(@Param('id') id: string): Promise<number> {
        return withdraw(id);
      }

      @Post(':id/withdraw-open')
      withdrawOpen(@Param('id') id: string): Promise<number> {
        return withdraw(id);
      }
    }
    return { balances, Accounts };
  }

  async function withdrawTwice20(apps: HttpApp[], path: string): Promise<number[]> {
    const responses = await Promise.all(
      Array.from({ length: 40 }, (_, i) => apps[i % apps.length]!.fetch(path, { method: 'POST' })),
    );
    return responses.map((response) => response.status);
  }

  it('are right with the lock and wrong without, in one application', async () => {
    const { balances, Accounts } = bank();
    const app = await start(Accounts);
    expect(await withdrawTwice20([app], '/accounts/locked/withdraw')).toEqual(Array(40).fill(201));
    expect(balances.get('locked')).toBe(600);
    await withdrawTwice20([app], '/accounts/open/withdraw-open');
    expect(balances.get('open')).toBeGreaterThan(600);
  });

  it('are right with the lock and wrong without, over two applications and a daemon', async () => {
    const { balances, Accounts } = bank();
    const servers = [await daemon()];
    const apps = [await start(Accounts, { servers }), await start(Accounts, { servers })];
    expect(await withdrawTwice20(apps, '/accounts/locked/withdraw')).toEqual(Array(40).fill(201));
    expect(balances.get('locked')).toBe(600);
    await withdrawTwice20(apps, '/accounts/open/withdraw-open');
    expect(balances.get('open')).toBeGreaterThan(600);
  });
});

describe('a lock among other decorators', () => {
  const Role = (role: string) => SetMetadata('role', role);

  @Injectable()
  class RoleGuard implements CanActivate {
    constructor(@Inject(Reflector) private readonly reflector: Reflector) {}
    canActivate(context: ExecutionContext): boolean {
      const role = this.reflector.get<string>('role', context.getHandler());
      return context.switchToHttp().getRequest().headers['x-role'] === role;
    }
  }

  @Controller()
  class Orders {
    @WithLock('above:{0}')
    @Get('above/:id')
    @HttpCode(202)
    @Header('x-kept', 'yes')
    @UseGuards(RoleGuard)
    @Role('admin')
    async above(@Param('id', ParseIntPipe) id: number, @Query('a') a?: string): Promise<object> {
      return { id, a };
    }

    @Get('below/:id')
    @HttpCode(202)
    @Header('x-kept', 'yes')
    @UseGuards(RoleGuard)
    @Role('admin')
    @WithLock('below:{0}')
    async below(@Param('id', ParseIntPipe) id: number, @Query('a') a?: string): Promise<object> {
      return { id, a };
    }
  }

  it.each(['above', 'below'])('%s them changes nothing about them', async (where) => {
    const { fetch } = await start(Orders);
    const answer = await fetch(`/${where}/7?a=b`, { headers: { 'x-role': 'admin' } });
    expect(answer.status).toBe(202);
    expect(answer.headers.get('x-kept')).toBe('yes');
    expect(await answer.json()).toEqual({ id: 7, a: 'b' });
    expect((await fetch(`/${where}/7`)).status).toBe(403);
    expect((await fetch(`/${where}/x`, { headers: { 'x-role': 'admin' } })).status).toBe(400);
  });
});

describe('errors at the edge', () => {
  const throwing = (error: () => Error) => {
    @Controller()
    class Failing {
      @Get()
      async get(): Promise<void> {
        throw error();
      }
    }
    return Failing;
  };

  function occupied() {
    const gate = new Gate();
    let entered = 0;
    @Controller()
    class Slow {
      @Get('slow/:id')
      @WithLock('secret:{0}', { acquireTimeoutS: 0 })
      async slow(@Param('id') _id: string): Promise<string> {
        entered++;
        await gate.opened;
        return 'done';
      }
    }
    return { gate, Slow, entered: () => entered };
  }

  it('busy is 423 with Retry-After, and names no key', async () => {
    const { gate, Slow, entered } = occupied();
    const { fetch } = await start(Slow);
    const first = fetch('/slow/1');
    await until(() => entered() === 1);
    const second = await fetch('/slow/1');
    expect(second.status).toBe(423);
    expect(second.headers.get('retry-after')).toBe('1');
    const text = await second.text();
    expect(JSON.parse(text)).toEqual({
      statusCode: 423,
      error: 'Locked',
      message: 'The resource is in use, try again later',
      code: 'ACQUIRE_TIMEOUT',
    });
    expect(text).not.toContain('secret');
    gate.open();
    expect((await first).status).toBe(200);
    expect((await fetch('/slow/1')).status).toBe(200);
  });

  it('busy has another status where one is given', async () => {
    const { gate, Slow, entered } = occupied();
    const { fetch } = await start(Slow, { embedded: true, exceptionFilter: { busyStatus: 409 } });
    const first = fetch('/slow/1');
    await until(() => entered() === 1);
    const second = await fetch('/slow/1');
    expect([second.status, second.headers.get('retry-after')]).toEqual([409, '1']);
    gate.open();
    await first;
  });

  it('an unreachable server is 503', async () => {
    @Controller()
    class Locked {
      @Get()
      @WithLock('k', { acquireTimeoutS: 0.2 })
      async get(): Promise<void> {}
    }
    const { fetch } = await start(Locked, { servers: ['127.0.0.1:1'], startup: 'lazy' });
    const answer = await fetch('/');
    expect(answer.status).toBe(503);
    expect(await answer.json()).toMatchObject({ code: 'UNAVAILABLE', message: 'The lock service cannot be reached' });
  });

  it('the server being full is 503, a mistake of the application 500 without details', async () => {
    const full = await start(throwing(() => new MaxLocksError()));
    expect((await full.fetch('/')).status).toBe(503);
    const log = new LogBook();
    const broken = await start(
      throwing(() => new LockError('key secret')),
      { embedded: true },
      log,
    );
    const answer = await broken.fetch('/');
    expect(answer.status).toBe(500);
    expect(await answer.text()).not.toContain('secret');
    expect(log.matching(/^error ExceptionsHandler: .*secret/)).toHaveLength(1);
  });

  it('are left to others with exceptionFilter: false', async () => {
    @Catch()
    class Teapot implements ExceptionFilter {
      catch(_error: unknown, host: ArgumentsHost) {
        host.switchToHttp().getResponse().status(418).end();
      }
    }
    const controller = throwing(() => new MaxLocksError());
    const app = (exceptionFilter: boolean) =>
      bootHttp({
        imports: [DflockdModule.forRootAsync({ useFactory: () => ({ embedded: true, exceptionFilter }) })],
        controllers: [controller],
        providers: [{ provide: APP_FILTER, useClass: Teapot }],
      });
    expect((await (await app(false)).fetch('/')).status).toBe(418);
    expect((await (await app(true)).fetch('/')).status).toBe(503);
  });
});

describe('a lock that is lost while a request runs', () => {
  it('is a 503, an event, and an error in the log; the result is in the error', async () => {
    const gate = new Gate();
    let entered = false;
    let caught: LockLostError | undefined;
    @Controller()
    class Slow {
      constructor(@Inject(DflockdService) readonly locks: DflockdService) {}

      @Get()
      async get(): Promise<string> {
        try {
          return await this.work();
        } catch (error) {
          caught = error as LockLostError;
          throw error;
        }
      }

      @WithLock('report')
      async work(): Promise<string> {
        entered = true;
        await gate.opened;
        return 'result';
      }
    }
    const wire = await Wire.to(await daemon());
    const log = new LogBook();
    const { app, fetch } = await start(Slow, { servers: [wire.address] }, log);
    const losses: LockLostEvent[] = [];
    app.get(DflockdService).lockLost$.subscribe((event) => losses.push(event));

    const answer = fetch('/');
    await until(() => entered);
    wire.cut();
    await until(() => losses.length === 1);
    gate.open();
    expect((await answer).status).toBe(503);
    expect(losses[0]).toMatchObject({ keys: ['report'], reason: 'disconnected' });
    expect(caught).toBeInstanceOf(LockLostError);
    expect(caught!.settled).toEqual({ value: 'result' });
    expect(log.matching(/^error Dflockd: lock lost: report \(disconnected\)/)).toHaveLength(1);
    expect(log.matching(/^warn Dflockd: connection to .* lost/)).toHaveLength(1);
    // Another request finds a connection again.
    expect((await fetch('/')).status).toBe(200);
  });
});
