import { Readable } from 'node:stream';
import { afterEach, describe, expect, it } from '@jest/globals';
import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import {
  Controller,
  Get,
  Inject,
  Injectable,
  Param,
  ParseIntPipe,
  Post,
  Res,
  StreamableFile,
  UseGuards,
  UseInterceptors,
  type CanActivate,
  type ExecutionContext,
  type ModuleMetadata,
} from '@nestjs/common';
import { Cron, ScheduleModule } from '@nestjs/schedule';
import { Args, GraphQLModule, Mutation, Query, ResolveField, Resolver } from '@nestjs/graphql';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { interval, lastValueFrom, map, Observable, take, toArray } from 'rxjs';
import { MessagePattern } from '@nestjs/microservices';
import { WsAdapter } from '@nestjs/platform-ws';
import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import WebSocket from 'ws';
import {
  ConfigError,
  currentLock,
  DflockdModule,
  DflockdService,
  LockInterceptor,
  LockRequest,
  WithLock,
  type DflockdModuleOptions,
} from '../../lib/entries/index.js';
import { boot, bootError, bootHttp, bootRpc, closeAll, daemon, Gate, until, Wire } from './support.js';

afterEach(closeAll);

const isFree = async (locks: DflockdService, key: string) => {
  await using lock = await locks.tryAcquire(key);
  return lock !== null;
};
const header = (context: ExecutionContext, name = 'x-tenant') =>
  context.switchToHttp().getRequest().headers[name] as string;
const held = () => currentLock()?.keys.join() ?? 'unlocked';

/** Lets everybody in but those that are told not to come. */
class Door implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    return header(context) !== 'stranger';
  }
}

@Controller()
class Imports {
  readonly gate = new Gate();
  entered = 0;
  response: { send(text: string): void } | undefined;
  file = new Readable({ read() {} });
  constructor(@Inject(DflockdService) readonly locks: DflockdService) {}

  @Post('import/:id')
  @LockRequest((context) => `tenant:${header(context)}`, { acquireTimeoutS: 0 })
  @UseGuards(Door)
  async import(@Param('id', ParseIntPipe) id: number): Promise<string> {
    return `${held()} ${id}`;
  }

  @LockRequest((context) => `tenant:${header(context)}`, { acquireTimeoutS: 0 })
  @Get('slow')
  async slow(): Promise<string> {
    this.entered++;
    await this.gate.opened;
    return held();
  }

  @Get('patient')
  @LockRequest((context) => `tenant:${header(context)}`, { acquireTimeoutS: 30 })
  async patient(): Promise<string> {
    this.entered++;
    return held();
  }

  @Get('own')
  @LockRequest(() => 'own', { acquireTimeoutS: 0 })
  own(@Res() response: any): void {
    this.response = response;
  }

  @Get('file')
  @LockRequest(() => 'file', { acquireTimeoutS: 0 })
  download(): StreamableFile {
    return new StreamableFile((this.file = new Readable({ read() {} })));
  }

  @Get('two')
  @LockRequest(() => 'outer')
  @LockRequest(() => ['inner-a', 'inner-b'])
  async two(): Promise<string> {
    return `${held()} ${String(await isFree(this.locks, 'outer'))}`;
  }

  @Get('nested')
  @LockRequest(() => 'nested')
  async nested(): Promise<string> {
    await this.inner();
    return 'never';
  }

  // No override: the lock of the request is not for whatever runs in its context.
  @WithLock('nested', { onNested: 'join' })
  async inner(): Promise<string> {
    return held();
  }

  @Get('observable')
  @LockRequest(() => 'observable')
  observable(): Observable<string> {
    return interval(1).pipe(
      take(3),
      map((n) => `${n} ${held()}`),
      toArray(),
      map((all) => all.join()),
    );
  }

  @Get('limited')
  @LockRequest(() => 'limited', { limit: 2, acquireTimeoutS: 0 })
  @UseInterceptors(LockInterceptor)
  async limited(): Promise<string> {
    this.entered++;
    await this.gate.opened;
    return held();
  }
}

describe.each(['express', 'fastify'])('@LockRequest over %s', (adapter) => {
  const begin = async (options: DflockdModuleOptions = { embedded: true }) => {
    const metadata = { imports: [DflockdModule.forRoot(options)], controllers: [Imports] };
    const http = await bootHttp(metadata, false, {
      adapter: adapter === 'fastify' ? new FastifyAdapter({ forceCloseConnections: true }) : undefined,
      forceCloseConnections: true,
    });
    const imports = http.app.get(Imports);
    return { ...http, imports, locks: imports.locks };
  };
  const as = (tenant: string, init: RequestInit = {}) => ({ ...init, headers: { 'x-tenant': tenant } });

  it('takes a key from the request, after the guards and before the pipes', async () => {
    const { fetch, locks } = await begin();
    expect(await (await fetch('/import/7', as('a', { method: 'POST' }))).text()).toBe('tenant:a 7');
    await until(() => isFree(locks, 'tenant:a'));
    await using lock = await locks.acquire('tenant:a');
    expect(lock.isHeld).toBe(true);
    // What a pipe refuses has had to wait for the lock; what a guard refuses has not.
    expect((await fetch('/import/x', as('a', { method: 'POST' }))).status).toBe(423);
    expect((await fetch('/import/x', as('b', { method: 'POST' }))).status).toBe(400);
    await using other = await locks.acquire('tenant:stranger');
    expect(other.isHeld).toBe(true);
    expect((await fetch('/import/7', as('stranger', { method: 'POST' }))).status).toBe(403);
  });

  it('refuses a request while another has the lock, with the usual answer', async () => {
    const { fetch, imports, locks } = await begin();
    const first = fetch('/slow', as('a'));
    await until(() => imports.entered === 1);
    const second = await fetch('/slow', as('a'));
    expect([second.status, second.headers.get('retry-after')]).toEqual([423, '1']);
    expect(await second.text()).not.toContain('tenant');
    imports.gate.open();
    expect(await (await first).text()).toBe('tenant:a');
    await until(() => isFree(locks, 'tenant:a'));
  });

  it('holds the lock until a response that the handler sends itself has closed', async () => {
    const { fetch, imports, locks } = await begin();
    const answer = fetch('/own');
    // A reply of Fastify is a thenable.
    await until(() => imports.response !== undefined);
    expect(await isFree(locks, 'own')).toBe(false);
    imports.response!.send('done');
    expect(await (await answer).text()).toBe('done');
    await until(() => isFree(locks, 'own'));
  });

  it('holds the lock until a file has been sent, and not for a client that has gone', async () => {
    const { fetch, imports, locks } = await begin();
    const answer = fetch('/file');
    await until(() => imports.file.readableFlowing);
    imports.file.push('ab');
    const response = await answer;
    expect(await isFree(locks, 'file')).toBe(false);
    imports.file.push(null);
    expect(await response.text()).toBe('ab');
    await until(() => isFree(locks, 'file'));

    const client = new AbortController();
    const gone = fetch('/file', { signal: client.signal });
    await until(async () => imports.file.readableFlowing && !(await isFree(locks, 'file')));
    imports.file.push('ab');
    await gone;
    client.abort();
    await until(() => isFree(locks, 'file'));
  });

  it('does not wait any longer for a client that has gone', async () => {
    const { fetch, imports, locks } = await begin({ servers: [await daemon()], logger: false });
    const lock = await locks.acquire('tenant:a');
    const events: string[] = [];
    locks.events$.subscribe(({ type }) => events.push(type));
    const client = new AbortController();
    const waiting = fetch('/patient', as('a', { signal: client.signal })).catch(() => 'gone');
    await until(() => events.includes('queued'));
    client.abort();
    await waiting;
    // Its place in the queue goes with it.
    await until(async () => (await locks.stats())[0]!.locks.every((entry) => entry.waiters === 0));
    await lock.release();
    await until(() => isFree(locks, 'tenant:a'));
    expect(imports.entered).toBe(0);
  });

  it('holds its lock as long as the handler works, also for a client that has gone', async () => {
    const { fetch, imports, locks } = await begin();
    const client = new AbortController();
    const gone = fetch('/slow', as('a', { signal: client.signal })).catch(() => 'gone');
    await until(() => imports.entered === 1);
    client.abort();
    await gone;
    expect(await isFree(locks, 'tenant:a')).toBe(false);
    imports.gate.open();
    await until(() => isFree(locks, 'tenant:a'));
  });

  it('takes several locks, the upper one outside, once however often it is applied', async () => {
    const { fetch, imports, locks } = await begin();
    expect(await (await fetch('/two')).text()).toBe('inner-a,inner-b false');
    expect((await fetch('/nested')).status).toBe(500);
    expect(await (await fetch('/observable')).text()).toBe('0 observable,1 observable,2 observable');
    const answers = [fetch('/limited'), fetch('/limited')];
    await until(() => imports.entered === 2);
    expect((await fetch('/limited')).status).toBe(423);
    imports.gate.open();
    for (const answer of await Promise.all(answers)) expect(await answer.text()).toBe('limited');
    for (const key of ['outer', 'inner-a', 'nested', 'observable']) await until(() => isFree(locks, key));
  });

  it('a key that cannot be made is a bad request', async () => {
    const { fetch } = await begin();
    expect((await fetch('/slow', { headers: { 'x-tenant': 'a b' } })).status).toBe(400);
  });

  it('a lock that is lost meanwhile is a 503, or ends the response in the middle', async () => {
    const wire = await Wire.to(await daemon());
    const { fetch, imports, locks } = await begin({ servers: [wire.address], logger: false });
    const lost: unknown[] = [];
    locks.lockLost$.subscribe((event) => lost.push(event));
    const slow = fetch('/slow', as('a'));
    const file = fetch('/file');
    await until(() => imports.entered === 1 && imports.file.readableFlowing);
    imports.file.push('ab');
    const response = await file;
    wire.cut();
    await until(() => lost.length === 2);
    imports.gate.open();
    expect((await slow).status).toBe(503);
    await expect(response.text()).rejects.toThrow();
  });
});

describe('@LockRequest on a class', () => {
  @Controller()
  @LockRequest((context) => `class:${header(context)}`)
  class Base {
    @Get('plain')
    async plain(): Promise<string> {
      return held();
    }

    @Get('both')
    @LockRequest(() => 'method')
    async both(): Promise<string> {
      return held();
    }
  }

  @Controller('child')
  class Child extends Base {}

  it('is for all handlers, also inherited ones, outside those of the methods', async () => {
    const { fetch } = await bootHttp({
      imports: [DflockdModule.forRoot({ embedded: true })],
      controllers: [Child, Base],
    });
    const headers = { 'x-tenant': 'a' };
    expect(await (await fetch('/plain', { headers })).text()).toBe('class:a');
    expect(await (await fetch('/both', { headers })).text()).toBe('method');
    expect(await (await fetch('/child/plain', { headers })).text()).toBe('class:a');
  });
});

describe('@LockRequest on messages', () => {
  @Controller()
  class Messages {
    readonly gate = new Gate();
    entered = 0;
    constructor(@Inject(DflockdService) readonly locks: DflockdService) {}

    @MessagePattern('sum')
    @LockRequest((context) => `sum:${context.switchToRpc().getData<{ id: string }>().id}`, { acquireTimeoutS: 0 })
    async sum(data: { id: string; wait?: boolean }): Promise<string> {
      this.entered++;
      if (data.wait) await this.gate.opened;
      return held();
    }

    @MessagePattern('stream')
    @LockRequest(() => 'stream')
    stream(): Observable<string> {
      return interval(1).pipe(take(2), map(held));
    }
  }

  it('holds until the handler has settled', async () => {
    const { app, send } = await bootRpc({
      imports: [DflockdModule.forRoot({ embedded: true })],
      controllers: [Messages],
    });
    const messages = app.get(Messages);
    const first = lastValueFrom(send('sum', { id: 'a', wait: true }));
    await until(() => messages.entered === 1);
    await expect(lastValueFrom(send('sum', { id: 'a' }))).rejects.toEqual({
      status: 'error',
      message: 'The resource is in use, try again later',
      code: 'ACQUIRE_TIMEOUT',
    });
    messages.gate.open();
    await expect(first).resolves.toBe('sum:a');
    // The lock is free before the answer is sent.
    expect(await isFree(messages.locks, 'sum:a')).toBe(true);
    await expect(lastValueFrom(send('stream', {}).pipe(toArray()))).resolves.toEqual(['stream', 'stream']);
    await until(() => isFree(messages.locks, 'stream'));
  });
});

describe('@LockRequest on a gateway', () => {
  @WebSocketGateway()
  class Gateway {
    readonly gate = new Gate();
    entered = 0;
    constructor(@Inject(DflockdService) readonly locks: DflockdService) {}

    @SubscribeMessage('say')
    @LockRequest((context) => `room:${context.switchToWs().getData<{ room: string }>().room}`, { acquireTimeoutS: 0 })
    async say(@MessageBody() _data: object): Promise<object> {
      this.entered++;
      await this.gate.opened;
      return { event: 'said', data: held() };
    }
  }

  it('holds until the handler has settled', async () => {
    const { app } = await bootHttp(
      { imports: [DflockdModule.forRoot({ embedded: true })], providers: [Gateway] },
      false,
      { prepare: (application) => application.useWebSocketAdapter(new WsAdapter(application)) },
    );
    const gateway = app.get(Gateway);
    const socket = new WebSocket((await app.getUrl()).replace('http', 'ws'));
    const answers: unknown[] = [];
    socket.on('message', (data: Buffer) => answers.push(JSON.parse(data.toString())));
    await new Promise((resolve) => socket.once('open', resolve));
    const say = () => socket.send(JSON.stringify({ event: 'say', data: { room: 'a' } }));
    say();
    await until(() => gateway.entered === 1);
    say();
    await until(() => answers.length === 1);
    expect(answers[0]).toMatchObject({ event: 'exception', data: { code: 'ACQUIRE_TIMEOUT' } });
    gateway.gate.open();
    await until(() => answers.length === 2);
    expect(answers[1]).toEqual({ event: 'said', data: 'room:a' });
    expect(await isFree(gateway.locks, 'room:a')).toBe(true);
    socket.terminate();
  });
});

describe('@LockRequest in GraphQL', () => {
  const graphql = (options: Partial<ApolloDriverConfig> = {}): ModuleMetadata['imports'] => [
    GraphQLModule.forRoot<ApolloDriverConfig>({ driver: ApolloDriver, autoSchemaFile: true, ...options }),
    DflockdModule.forRoot({ embedded: true, logger: false }),
  ];

  it('is shared by the fields of a request, and held until the response has closed', async () => {
    const locks: { service?: DflockdService; most: number; running: number } = { most: 0, running: 0 };
    @Resolver()
    class Accounts {
      constructor(@Inject(DflockdService) service: DflockdService) {
        locks.service = service;
      }
      @Query(() => String)
      async hello(): Promise<string> {
        return held();
      }
      @Mutation(() => String)
      @LockRequest((context) => `account:${context.getArgByIndex<{ id: string }>(1).id}`, { acquireTimeoutS: 5 })
      async pay(@Args('id') _id: string): Promise<string> {
        locks.most = Math.max(locks.most, ++locks.running);
        await new Promise((resolve) => setTimeout(resolve, 1));
        locks.running--;
        return held();
      }
    }
    const { fetch } = await bootHttp({ imports: graphql(), providers: [Accounts] });
    const ask = async (query: string) => {
      const headers = { 'content-type': 'application/json' };
      return (await fetch('/graphql', { method: 'POST', headers, body: JSON.stringify({ query }) })).json();
    };
    await expect(ask('mutation { a: pay(id: "1") b: pay(id: "1") c: pay(id: "2") }')).resolves.toEqual({
      data: { a: 'account:1', b: 'account:1', c: 'account:2' },
    });
    await Promise.all(Array.from({ length: 5 }, () => ask('mutation { pay(id: "1") }')));
    expect(locks.most).toBe(1);
    await until(() => isFree(locks.service!, 'account:1'));
  });

  @Resolver(() => String)
  class Fields {
    @Query(() => String)
    async hello(): Promise<string> {
      return held();
    }
    @ResolveField(() => String)
    @LockRequest(() => 'k')
    async field(): Promise<string> {
      return held();
    }
  }

  it('on a field fails the boot, unless fields are intercepted', async () => {
    const error = await bootError({ imports: graphql(), providers: [Fields] });
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toMatch(/@LockRequest on Fields\.field.*fieldResolverEnhancers/);
  });
});

describe('@LockRequest that could never take its lock fails the boot', () => {
  const embedded = () => DflockdModule.forRoot({ embedded: true, logger: false });

  it('on what is no handler', async () => {
    class Service {
      @LockRequest(() => 'k')
      async method(): Promise<void> {}
    }
    const error = await bootError({ imports: [embedded()], providers: [Service] });
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toMatch(/@LockRequest on Service\.method.*not a request handler.*@WithLock/);
  });

  it('on a cron job', async () => {
    class Jobs {
      @Cron('0 0 1 1 *')
      @LockRequest(() => 'k')
      async tick(): Promise<void> {}
    }
    const error = await bootError({ imports: [embedded(), ScheduleModule.forRoot()], providers: [Jobs] });
    expect(error.message).toMatch(/@LockRequest on Jobs\.tick.*not a request handler/);
  });

  it('for an instance that does not exist', async () => {
    @Controller()
    class Web {
      @Get()
      @LockRequest(() => 'k', { instance: 'secnd' })
      async get(): Promise<void> {}
    }
    const error = await bootError({ imports: [embedded()], controllers: [Web] });
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toMatch(/Web\.get uses the lock instance "secnd".*there is "default"/);
  });

  it('in an application without the module', async () => {
    @Controller()
    class Web {
      @Get()
      @LockRequest(() => 'k')
      async get(): Promise<void> {}
    }
    const error = await bootError({ controllers: [Web] });
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toMatch(/no DflockdModule/);
  });
});

it('the interceptor alone does nothing', async () => {
  @Injectable()
  class Nothing {}
  @Controller()
  @UseInterceptors(LockInterceptor)
  class Web {
    @Get()
    async get(): Promise<string> {
      return held();
    }
  }
  const { fetch } = await bootHttp({
    imports: [DflockdModule.forRoot({ embedded: true })],
    controllers: [Web],
    providers: [Nothing],
  });
  expect(await (await fetch('/')).text()).toBe('unlocked');
  await boot({ imports: [DflockdModule.forRoot({ embedded: true, logger: false })], providers: [LockInterceptor] });
});
