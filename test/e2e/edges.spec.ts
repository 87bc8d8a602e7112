import { afterEach, describe, expect, it } from '@jest/globals';
import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import { Catch, Controller, Get, Inject, UseFilters, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { GraphQLModule, Query, Resolver } from '@nestjs/graphql';
import { EventPattern, MessagePattern, Payload, Transport, ClientProxyFactory } from '@nestjs/microservices';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { IoAdapter } from '@nestjs/platform-socket.io';
import { WsAdapter } from '@nestjs/platform-ws';
import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { lastValueFrom } from 'rxjs';
import { io } from 'socket.io-client';
import WebSocket from 'ws';
import {
  AcquireTimeoutError,
  DflockdModule,
  DflockdService,
  LockError,
  LockLostError,
  LockUnavailableError,
  NestedLockError,
  WithLock,
  type DflockdModuleOptions,
} from '../../lib/entries/index.js';
import { bootHttp, bootRpc, closeAll, closing, LogBook, type HttpApp } from './support.js';

afterEach(closeAll);

/** What may happen to a lock, and what clients are told: status and code. */
const TABLE: Record<string, readonly [make: () => LockError, status: number, code: string, message: RegExp]> = {
  busy: [() => new AcquireTimeoutError('secret'), 423, 'ACQUIRE_TIMEOUT', /in use/],
  lost: [() => new LockLostError('secret', 'expired'), 503, 'LOCK_LOST', /lost/],
  unavailable: [() => new LockUnavailableError('secret'), 503, 'UNAVAILABLE', /cannot be reached/],
  mistake: [() => new NestedLockError('secret'), 500, 'NESTED', /^Internal server error$/],
};
const CASES = Object.entries(TABLE).map(([name, [, ...expected]]) => [name, ...expected] as const);

const fail = (name: string): never => {
  throw TABLE[name]![0]();
};
const payload = (code: string, message: RegExp) => ({ status: 'error', code, message: expect.stringMatching(message) });

const module_ = (options: Partial<DflockdModuleOptions> = {}) =>
  DflockdModule.forRoot({ embedded: true, logger: false, ...options } as DflockdModuleOptions);

describe.each(['express', 'fastify'])('over HTTP on %s', (adapter) => {
  @Controller()
  class Web {
    constructor(@Inject(DflockdService) readonly locks: DflockdService) {}
    @Get('fail/:name')
    async fail(): Promise<void> {
      await using _held = await this.locks.acquire('secret');
      await this.busy();
    }
    @WithLock('secret', { acquireTimeoutS: 0 })
    async busy(): Promise<void> {}
  }

  it.each([
    [undefined, 423],
    [{ busyStatus: 409 }, 409],
  ])('busy with exceptionFilter %p is %p with Retry-After', async (exceptionFilter, status) => {
    const { fetch } = await bootHttp({ imports: [module_({ exceptionFilter })], controllers: [Web] }, false, {
      adapter: adapter === 'fastify' ? new FastifyAdapter() : undefined,
    });
    const answer = await fetch('/fail/busy');
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([status, '1']);
    const text = await answer.text();
    expect(JSON.parse(text)).toMatchObject({ statusCode: status, code: 'ACQUIRE_TIMEOUT' });
    expect(text).not.toContain('secret');
  });
});

describe('over RPC', () => {
  const seen: unknown[] = [];
  @Controller()
  class Messages {
    @MessagePattern('fail')
    async fail(@Payload() { name }: { name: string }): Promise<void> {
      fail(name);
    }

    @MessagePattern('locked')
    @WithLock('secret', { acquireTimeoutS: 0, onBusy: 'skip' })
    async skip(): Promise<string | undefined> {
      return 'ran';
    }

    @EventPattern('event')
    async event(@Payload() { name }: { name: string }): Promise<void> {
      seen.push(name);
      fail(name);
    }
  }

  it.each(CASES)('%s: a fixed text and the code', async (name, _status, code, message) => {
    const { send } = await bootRpc({ imports: [module_()], controllers: [Messages] });
    const error: unknown = await lastValueFrom(send('fail', { name })).catch((e: unknown) => e);
    expect(error).toEqual(payload(code, message));
  });

  it('a mistake of the application is in the log, which is all that tells of it', async () => {
    const log = new LogBook();
    const { send } = await bootRpc({ imports: [module_()], controllers: [Messages] }, log);
    await lastValueFrom(send('fail', { name: 'busy' })).catch(() => undefined);
    await lastValueFrom(send('fail', { name: 'mistake' })).catch(() => undefined);
    expect(log.matching(/^error Dflockd: .*secret/)).toHaveLength(1);
  });

  it('a skipped handler answers with nothing', async () => {
    const { app, send } = await bootRpc({ imports: [module_()], controllers: [Messages] });
    await using held = await app.get(DflockdService).acquire('secret');
    expect(held.isHeld).toBe(true);
    const answer = await lastValueFrom(send('locked', {}), { defaultValue: undefined });
    expect(answer ?? undefined).toBeUndefined();
  });

  it('as a part of a hybrid application that inherits its configuration', async () => {
    let port = 0;
    await bootHttp({ imports: [module_()], controllers: [Messages] }, false, {
      async prepare(app) {
        const options = { host: '127.0.0.1', port: 0 };
        const server = app.connectMicroservice({ transport: Transport.TCP, options }, { inheritAppConfig: true });
        await app.startAllMicroservices();
        ({ port } = server.unwrap<{ address(): { port: number } }>().address());
      },
    });
    const client = ClientProxyFactory.create({ transport: Transport.TCP, options: { host: '127.0.0.1', port } });
    closing(async () => client.close());
    const error: unknown = await lastValueFrom(client.send('fail', { name: 'busy' })).catch((e: unknown) => e);
    expect(error).toEqual(payload('ACQUIRE_TIMEOUT', /in use/));
  });
});

describe('over WebSockets', () => {
  @WebSocketGateway()
  class Gateway {
    @SubscribeMessage('fail')
    async fail(@MessageBody() name: string): Promise<void> {
      fail(name);
    }
  }

  @Catch(LockError)
  class Own implements ExceptionFilter {
    catch(error: LockError, host: ArgumentsHost): void {
      host
        .switchToWs()
        .getClient<WebSocket>()
        .send(JSON.stringify({ event: 'own', data: error.code }));
    }
  }

  @WebSocketGateway()
  @UseFilters(Own)
  class OwnGateway extends Gateway {
    @SubscribeMessage('fail')
    override async fail(@MessageBody() name: string): Promise<void> {
      fail(name);
    }
  }

  const overWs = async ({ app }: HttpApp, name: string) => {
    const socket = new WebSocket((await app.getUrl()).replace('http', 'ws'));
    closing(async () => socket.terminate());
    await new Promise((resolve) => socket.once('open', resolve));
    const answer = new Promise<unknown>((resolve) =>
      socket.once('message', (data: Buffer) => resolve(JSON.parse(data.toString()))),
    );
    socket.send(JSON.stringify({ event: 'fail', data: name }));
    return answer;
  };
  const ws = { prepare: (app: HttpApp['app']) => app.useWebSocketAdapter(new WsAdapter(app)) };

  it.each(CASES)('%s on ws: an event `exception`', async (name, _status, code, message) => {
    const http = await bootHttp({ imports: [module_()], providers: [Gateway] }, false, ws);
    expect(await overWs(http, name)).toEqual({ event: 'exception', data: payload(code, message) });
  });

  it.each(CASES)('%s on socket.io: an event `exception`', async (name, _status, code, message) => {
    const { app } = await bootHttp({ imports: [module_()], providers: [Gateway] }, false, {
      prepare: (application) => application.useWebSocketAdapter(new IoAdapter(application)),
    });
    const socket = io(await app.getUrl(), { transports: ['websocket'] });
    closing(async () => socket.disconnect());
    const answer = new Promise((resolve) => socket.once('exception', resolve));
    socket.emit('fail', name);
    expect(await answer).toEqual(payload(code, message));
  });

  it("a gateway's own filters come first", async () => {
    const http = await bootHttp({ imports: [module_()], providers: [OwnGateway] }, false, ws);
    expect(await overWs(http, 'busy')).toEqual({ event: 'own', data: 'ACQUIRE_TIMEOUT' });
  });

  it('are left to others with exceptionFilter: false', async () => {
    @WebSocketGateway()
    class Bare {
      @SubscribeMessage('fail')
      async fail(@MessageBody() name: string): Promise<void> {
        fail(name);
      }
    }
    const http = await bootHttp({ imports: [module_({ exceptionFilter: false })], providers: [Bare] }, false, ws);
    expect(await overWs(http, 'busy')).toMatchObject({ data: { message: 'Internal server error' } });
  });
});

describe('over GraphQL', () => {
  @Resolver()
  class Failing {
    @Query(() => String)
    async busy(): Promise<void> {
      fail('busy');
    }
    @Query(() => String)
    async lost(): Promise<void> {
      fail('lost');
    }
    @Query(() => String)
    async unavailable(): Promise<void> {
      fail('unavailable');
    }
    @Query(() => String)
    async mistake(): Promise<void> {
      fail('mistake');
    }
  }

  it('extensions have the code, and the text is fixed', async () => {
    const log = new LogBook();
    const { fetch } = await bootHttp(
      {
        imports: [
          GraphQLModule.forRoot<ApolloDriverConfig>({
            driver: ApolloDriver,
            autoSchemaFile: true,
            includeStacktraceInErrorResponses: true,
          }),
          module_(),
        ],
        providers: [Failing],
      },
      log,
    );
    for (const [name, , code, message] of CASES) {
      const body = JSON.stringify({ query: `{ ${name} }` });
      const headers = { 'content-type': 'application/json' };
      const text = await (await fetch('/graphql', { method: 'POST', headers, body })).text();
      const { errors } = JSON.parse(text) as { errors: unknown[] };
      expect(errors).toMatchObject([{ message: expect.stringMatching(message), extensions: { code } }]);
      expect(text).not.toContain('secret');
    }
  });
});
