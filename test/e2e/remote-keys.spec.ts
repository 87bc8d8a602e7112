import { afterEach, describe, expect, it } from '@jest/globals';
import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import { Body, Controller, Get, Inject, Param, Post, Query } from '@nestjs/common';
import { Args, GraphQLModule, Query as Field, Resolver } from '@nestjs/graphql';
import { MessagePattern, Payload } from '@nestjs/microservices';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { WsAdapter } from '@nestjs/platform-ws';
import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { lastValueFrom, of, type Observable } from 'rxjs';
import WebSocket from 'ws';
import {
  DflockdModule,
  DflockdService,
  lockKey,
  LockRequest,
  WithLock,
  type DflockdModuleOptions,
} from '../../lib/entries/index.js';
import { bootHttp, bootRpc, closeAll, closing, LogBook, until, type HttpApp } from './support.js';

afterEach(closeAll);

const HUGE = 'x'.repeat(90_000);
const TEXT = 'The request has a value that cannot be part of a lock key';

const module_ = (options: Partial<DflockdModuleOptions> = {}) =>
  DflockdModule.forRoot({ embedded: true, ...options } as DflockdModuleOptions);

@Controller()
class Web {
  constructor(@Inject(DflockdService) readonly locks: DflockdService) {}

  @Get('template')
  @WithLock('order:{0}')
  async template(@Query('id') _id: any): Promise<string> {
    return 'ran';
  }

  @Get('function')
  @WithLock((id: any) => id)
  async function(@Query('id') _id: any): Promise<string> {
    return 'ran';
  }

  @Post('body')
  @WithLock((body: any) => body.key)
  async body(@Body() _body: any): Promise<string> {
    return 'ran';
  }

  @Get('tagged')
  @WithLock((id: any) => lockKey`order:${id}`)
  async tagged(@Query('id') _id: any): Promise<string> {
    return 'ran';
  }

  @Get('request')
  @LockRequest((context) => context.switchToHttp().getRequest().query.id)
  request(): string {
    return 'ran';
  }

  @Get('request-tagged')
  @LockRequest((context) => lockKey`tenant:${context.switchToHttp().getRequest().headers['x-tenant']}`)
  requestTagged(): string {
    return 'ran';
  }

  @Get('observable')
  @WithLock((id: any) => id, { returns: 'observable' })
  observable(@Query('id') _id: any): Observable<string> {
    return of('ran');
  }

  @Get('service/:key')
  async service(@Param('key') key: string): Promise<void> {
    await this.locks.acquire(key);
  }

  @Get('within')
  @WithLock('within:{0}')
  async within(@Query('id') _id: any): Promise<void> {
    await this.locks.acquire('not a key');
  }
}

describe.each(['express', 'fastify'])('a key that a remote user has spoilt, over %s', (adapter) => {
  const boot = async (exceptionFilter?: DflockdModuleOptions['exceptionFilter']) => {
    const log = new LogBook();
    const http = await bootHttp({ imports: [module_({ exceptionFilter })], controllers: [Web] }, log, {
      adapter: adapter === 'fastify' ? new FastifyAdapter({ routerOptions: { maxParamLength: 200_000 } }) : undefined,
    });
    return { ...http, log };
  };

  it.each([
    ['an array for a template', '/template?id=1&id=2'],
    ['nothing for a template', '/template'],
    ['an empty value for a template', '/template?id='],
    ['an empty item of a list from a function', '/function?id=1&id='],
    ['nothing from a function', '/function'],
    ['white space from a function', '/function?id=a%20b'],
    ['a control character from a function', '/function?id=a%00b'],
    ['too many keys from a function', `/function?${Array.from({ length: 65 }, (_, i) => `id=${i}`).join('&')}`],
    ['an error of lockKey in a function', '/tagged?id=1&id=2'],
    ['nothing for lockKey in a function', '/tagged'],
    ['a request: white space', '/request?id=a%20b'],
    ['a request: nothing', '/request'],
    ['a request: a header that is missing', '/request-tagged'],
    ['an Observable: white space', '/observable?id=a%20b'],
  ])('%s is the fault of the request: 400, and nothing of it in the log', async (_, path) => {
    const { fetch, log } = await boot();
    const answer = await fetch(path);
    expect([answer.status, await answer.json()]).toEqual([
      400,
      { statusCode: 400, message: TEXT, error: 'Bad Request', code: 'KEY' },
    ]);
    expect(log.matching(/^(error|warn)/)).toEqual([]);
    expect(log.matching(/\n +at /)).toEqual([]);
  });

  it('a huge one costs neither a long answer nor a long line', async () => {
    const { fetch, log } = await boot();
    const post = async (key: unknown) => {
      const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ key }) };
      const answer = await fetch('/body', init);
      return [answer.status, (await answer.text()).length < 200] as const;
    };
    expect(await post(`a ${HUGE}`)).toEqual([400, true]);
    expect(await post({ constructor: { name: HUGE } })).toEqual([400, true]);
    expect(await post([HUGE, ''])).toEqual([400, true]);
    expect(await post(Array(65).fill(HUGE.slice(0, 1000)))).toEqual([400, true]);
    expect(Math.max(0, ...log.lines.map((line) => line.length))).toBeLessThan(1000);
  });

  it('is what it was before where that is asked for: a 500 in the log', async () => {
    const { fetch, log } = await boot({ keyStatus: 500 });
    const answer = await fetch('/template?id=1&id=2');
    expect([answer.status, await answer.json()]).toEqual([500, { statusCode: 500, message: 'Internal server error' }]);
    expect(log.matching(/^error .*order|^error .*LockKeyError/s)).not.toEqual([]);
  });

  it('has the status of the application', async () => {
    const { fetch } = await boot({ keyStatus: 422 });
    const answer = await fetch('/template?id=1&id=2');
    expect([answer.status, await answer.json()]).toMatchObject([422, { error: 'Unprocessable Entity', code: 'KEY' }]);
  });

  it('a key of a service call is a mistake of the application, also within a locked method', async () => {
    const { fetch, log } = await boot();
    expect((await fetch('/within?id=1')).status).toBe(500);
    const lines = log.lines.length;
    expect((await fetch('/service/a%20b')).status).toBe(500);
    expect(log.lines.length).toBeGreaterThan(lines);
    if (adapter === 'fastify') expect((await fetch(`/service/a%20${'x'.repeat(10_000)}`)).status).toBe(500);
    expect(Math.max(...log.lines.map((line) => line.length))).toBeLessThan(5000);
  });
});

describe('a key that a remote user has spoilt, elsewhere', () => {
  const payload = { status: 'error', message: TEXT, code: 'KEY' };
  const old = { status: 'error', message: 'Internal server error', code: 'KEY' };

  @Controller()
  class Messages {
    @MessagePattern('do')
    @WithLock('order:{0.id}')
    async do(@Payload() _data: any): Promise<string> {
      return 'ran';
    }
  }

  it.each([
    [true, payload, 0],
    [{ keyStatus: 500 }, old, 1],
  ])('over RPC with exceptionFilter %p', async (exceptionFilter, expected, logged) => {
    const log = new LogBook();
    const { send } = await bootRpc({ imports: [module_({ exceptionFilter })], controllers: [Messages] }, log);
    const error: unknown = await lastValueFrom(send('do', { id: ['a'] })).catch((e: unknown) => e);
    expect(error).toEqual(expected);
    expect(log.matching(/^error/)).toHaveLength(logged);
  });

  it.each([
    [true, payload, 0],
    [{ keyStatus: 500 }, old, 1],
  ])('over WebSockets with exceptionFilter %p', async (exceptionFilter, expected, logged) => {
    @WebSocketGateway()
    class Gateway {
      @SubscribeMessage('do')
      @WithLock('order:{0.id}')
      async do(@MessageBody() _data: any): Promise<string> {
        return 'ran';
      }
    }
    const log = new LogBook();
    const { app } = await bootHttp({ imports: [module_({ exceptionFilter })], providers: [Gateway] }, log, {
      prepare: (made) => made.useWebSocketAdapter(new WsAdapter(made)),
    });
    const socket = new WebSocket((await app.getUrl()).replace('http', 'ws'));
    closing(async () => socket.terminate());
    const messages: unknown[] = [];
    socket.on('message', (data: Buffer) => messages.push(JSON.parse(data.toString())));
    socket.on('open', () => socket.send(JSON.stringify({ event: 'do', data: { id: {} } })));
    await until(() => messages.length > 0);
    expect(messages).toEqual([{ event: 'exception', data: expected }]);
    expect(log.matching(/^error/)).toHaveLength(logged);
  });

  @Resolver()
  class Fields {
    @Field(() => String)
    @WithLock((id: string) => id)
    async find(@Args('id') _id: string): Promise<string> {
      return 'ran';
    }
  }

  it.each([
    [true, TEXT, 0],
    [{ keyStatus: 500 }, 'Internal server error', 1],
  ])('over GraphQL with exceptionFilter %p', async (exceptionFilter, message, logged) => {
    const log = new LogBook();
    const graphql = GraphQLModule.forRoot<ApolloDriverConfig>({ driver: ApolloDriver, autoSchemaFile: true });
    const { fetch }: HttpApp = await bootHttp(
      { imports: [module_({ exceptionFilter }), graphql], providers: [Fields] },
      log,
    );
    const answer = await fetch('/graphql', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: '{ find(id: "a b") }' }),
    });
    const { errors } = (await answer.json()) as { errors: unknown[] };
    expect(errors).toMatchObject([{ message, extensions: { code: 'KEY' } }]);
    expect(log.matching(/^error Dflockd/)).toHaveLength(logged);
  });
});
