import { afterEach, describe, expect, it } from '@jest/globals';
import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import {
  Catch,
  Controller,
  UseFilters,
  type ArgumentsHost,
  type ExceptionFilter,
  type ModuleMetadata,
} from '@nestjs/common';
import { APP_FILTER, HttpAdapterHost } from '@nestjs/core';
import { GraphQLModule, Query, Resolver } from '@nestjs/graphql';
import { ClientProxyFactory, MessagePattern, Transport } from '@nestjs/microservices';
import { WsAdapter } from '@nestjs/platform-ws';
import { BaseWsExceptionFilter, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { lastValueFrom, throwError } from 'rxjs';
import WebSocket from 'ws';
import {
  DflockdModule,
  InjectDflockd,
  LockError,
  LockExceptionFilter,
  WithLock,
  type DflockdModuleOptions,
  type DflockdService,
} from '../../lib/entries/index.js';
import { bootHttp, bootRpc, closeAll, closing, LogBook, until } from './support.js';

afterEach(closeAll);

const instance = (name: string, exceptionFilter: DflockdModuleOptions['exceptionFilter']) =>
  DflockdModule.forRoot({ embedded: true, logger: false, instance: name, exceptionFilter });
const both = () => [instance('a', { keyStatus: 422 }), instance('b', { keyStatus: 500 }), instance('off', false)];

/** For messages: what the transport sends is what the filter returns. */
@Catch(LockError)
class OwnRpc implements ExceptionFilter {
  catch(error: LockError): unknown {
    return throwError(() => ({ by: 'own', code: error.code }));
  }
}

class Locked {
  @WithLock(() => 'a b', { instance: 'a' })
  async a(): Promise<void> {}
  @WithLock(() => 'a b', { instance: 'b' })
  async b(): Promise<void> {}
  @WithLock(() => 'a b', { instance: 'off' })
  async off(): Promise<void> {}
}

const badKey = { status: 'error', message: expect.stringContaining('cannot be part of a lock key'), code: 'KEY' };
const mistake = { status: 'error', message: 'Internal server error', code: 'KEY' };

describe('over RPC', () => {
  @Controller()
  class Messages extends Locked {
    @MessagePattern('a')
    override a(): Promise<void> {
      return super.a();
    }
    @MessagePattern('b')
    override b(): Promise<void> {
      return super.b();
    }
    @MessagePattern('off')
    override off(): Promise<void> {
      return super.off();
    }
  }
  const ask = (send: (pattern: string, data: object) => Parameters<typeof lastValueFrom>[0], name: string) =>
    lastValueFrom(send(name, {})).catch((error: unknown) => error);

  it('each instance answers by its own setting', async () => {
    const { send } = await bootRpc({ imports: both(), controllers: [Messages] });
    expect(await ask(send, 'a')).toEqual(badKey);
    expect(await ask(send, 'b')).toEqual(mistake);
    // Nest's own answer.
    expect(await ask(send, 'off')).toEqual({ status: 'error', message: 'Internal server error' });
  });

  it.each<[string, ModuleMetadata]>([
    ['the root', { imports: both(), providers: [{ provide: APP_FILTER, useClass: OwnRpc }] }],
    ['a hybrid application', { imports: both() }],
  ])('a filter that names LockError answers, of %s', async (name, metadata) => {
    const answer = { by: 'own', code: 'KEY' };
    if (name === 'the root') {
      const { send } = await bootRpc({ ...metadata, controllers: [Messages] });
      expect(await ask(send, 'a')).toEqual(answer);
      return;
    }
    const options = { host: '127.0.0.1', port: 0 };
    await bootHttp({ ...metadata, controllers: [Messages] }, false, {
      async prepare(app) {
        const server = app.connectMicroservice({ transport: Transport.TCP, options }, { inheritAppConfig: true });
        app.useGlobalFilters(new OwnRpc());
        await app.startAllMicroservices();
        options.port = server.unwrap<{ address(): { port: number } }>().address().port;
      },
    });
    const client = ClientProxyFactory.create({ transport: Transport.TCP, options });
    closing(async () => client.close());
    expect(await ask((pattern, data) => client.send(pattern, data), 'a')).toEqual(answer);
  });
});

describe('over WebSockets', () => {
  const connect = async (metadata: ModuleMetadata, log?: LogBook) => {
    const { app } = await bootHttp(metadata, log, { prepare: (made) => made.useWebSocketAdapter(new WsAdapter(made)) });
    const socket = new WebSocket((await app.getUrl()).replace('http', 'ws'));
    closing(async () => socket.terminate());
    await new Promise((resolve) => socket.once('open', resolve));
    return async (event: string): Promise<unknown> => {
      let answer: unknown;
      socket.once('message', (data: Buffer) => (answer = JSON.parse(data.toString())));
      socket.send(JSON.stringify({ event, data: {} }));
      await until(() => answer !== undefined);
      return (answer as { data: unknown }).data;
    };
  };

  const gateway = (...filters: (ExceptionFilter | (new (...args: any[]) => ExceptionFilter))[]) => {
    @WebSocketGateway()
    @UseFilters(...filters)
    class Gateway extends Locked {
      @SubscribeMessage('a')
      @WithLock(() => 'a b', { instance: 'a' })
      override async a(): Promise<void> {}
      @SubscribeMessage('b')
      override b(): Promise<void> {
        return super.b();
      }
      @SubscribeMessage('off')
      override off(): Promise<void> {
        return super.off();
      }
    }
    return Gateway;
  };

  it.each([false, true])('each instance answers by its own setting, in any order (%p)', async (reverse) => {
    const ask = await connect({ imports: reverse ? both().reverse() : both(), providers: [gateway()] });
    expect(await ask('a')).toEqual(badKey);
    expect(await ask('b')).toEqual(mistake);
    const off = (await ask('off')) as object;
    expect(off).toMatchObject({ message: 'Internal server error' });
    expect(off).not.toHaveProperty('code');
  });

  it('a filter that catches everything hides it, and one warning says so', async () => {
    @Catch()
    class AllOfThem extends BaseWsExceptionFilter {}
    const log = new LogBook();
    const ask = await connect({
      imports: [DflockdModule.forRoot({ embedded: true, logger: log }), ...both()],
      providers: [gateway(AllOfThem)],
    });
    expect(await ask('a')).toMatchObject({ message: 'Internal server error' });
    expect(log.matching(/^warn .*filter/)).toEqual([expect.stringMatching(/AllOfThem.*lockErrorResponse/)]);
  });

  it('LockExceptionFilter answers by its setting where it is bound', async () => {
    const ask = await connect({ imports: both(), providers: [gateway(LockExceptionFilter)] });
    expect(await ask('a')).toEqual(badKey);
    expect(await ask('b')).toEqual(mistake);
    expect(await ask('off')).toEqual(badKey);
  });
});

describe('over GraphQL', () => {
  @Catch(LockError)
  class OwnGraphql implements ExceptionFilter {
    catch(error: LockError): never {
      throw Object.assign(new Error('own'), { extensions: { code: error.code } });
    }
  }

  @Catch()
  class Extending extends LockExceptionFilter {
    override catch(error: Error, host: ArgumentsHost): unknown {
      if (error instanceof LockError) return super.catch(error, host);
      throw error;
    }
  }

  @Resolver()
  class Fields {
    constructor(@InjectDflockd('a') readonly locks: DflockdService) {}
    @Query(() => String)
    busy(): Promise<unknown> {
      return this.locks.withLock('k', () => this.locks.acquire('k', { acquireTimeoutS: 0, onNested: 'wait' }));
    }
  }

  it.each([
    ['nothing else', [], 'The resource is in use, try again later'],
    ['a filter that names LockError', [{ provide: APP_FILTER, useClass: OwnGraphql }], 'own'],
    [
      'a catch-all that extends LockExceptionFilter',
      [
        {
          provide: APP_FILTER,
          useFactory: (host: HttpAdapterHost) => new Extending(host),
          inject: [HttpAdapterHost],
        },
      ],
      'The resource is in use, try again later',
    ],
  ])('with %s', async (_, providers, message) => {
    const graphql = GraphQLModule.forRoot<ApolloDriverConfig>({ driver: ApolloDriver, autoSchemaFile: true });
    const { fetch } = await bootHttp({ imports: [...both(), graphql], providers: [Fields, ...providers] });
    const answer = await fetch('/graphql', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: '{ busy }' }),
    });
    const { errors } = (await answer.json()) as { errors: unknown[] };
    expect(errors).toMatchObject([{ message, extensions: { code: 'ACQUIRE_TIMEOUT' } }]);
  });
});
