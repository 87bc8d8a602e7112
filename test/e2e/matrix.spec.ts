import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import { BullModule, getQueueToken } from '@nestjs/bullmq';
import { Global, Module, type INestApplication, type Type } from '@nestjs/common';
import { ContextIdFactory, NestFactory, type ContextId } from '@nestjs/core';
import { CommandBus, CqrsModule, EventBus, QueryBus } from '@nestjs/cqrs';
import { EventEmitter2, EventEmitterModule } from '@nestjs/event-emitter';
import { GraphQLModule } from '@nestjs/graphql';
import { ClientProxyFactory, Transport, type ClientProxy } from '@nestjs/microservices';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { WsAdapter } from '@nestjs/platform-ws';
import { ScheduleModule, SchedulerRegistry } from '@nestjs/schedule';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import { QueueEvents, type Queue } from 'bullmq';
import { lastValueFrom } from 'rxjs';
import WebSocket from 'ws';
import { DflockdModule, DflockdService } from '../../lib/entries/index.js';
import { describeRedis, WITH_REDIS } from '../support/redis/describe-redis.js';
import { RedisServer } from '../support/redis/server.js';
import { graphResolver } from './matrix/graph.js';
import {
  cqrsHandlers,
  listener,
  processor,
  queueName,
  scheduledJobs,
  SKIPPED_QUEUE,
  SkippingProcessor,
} from './matrix/jobs.js';
import { gateway, messageController, Seen } from './matrix/messages.js';
import { POSITIONS, variants, type ScopeName } from './matrix/stack.js';
import { WEB_ROWS, webController } from './matrix/web.js';
import { closing, closeAll, until } from './support.js';

/**
 * Every kind of decorator that handlers have, with the lock above and below it, in every scope that Nest has for it: in
 * one application, since it is the same method wrapper everywhere.
 */

const ALL_SCOPES: ScopeName[] = ['singleton', 'request', 'transient', 'durable'];
const HANDLER_SCOPES: ScopeName[] = ['singleton', 'request', 'durable'];
const JOB_SCOPES: ScopeName[] = ['singleton', 'request'];

/** One tenant, whose durable providers are made once. */
const tenant = { id: 1 } as ContextId;
ContextIdFactory.apply({
  attach: (id) => ({ resolve: ({ isTreeDurable }) => (isTreeDurable ? tenant : id), payload: {} }),
});

const seen = new Seen();
const commands = Object.fromEntries(JOB_SCOPES.map((scope) => [scope, cqrsHandlers(scope, seen)]));
const webControllers = variants(ALL_SCOPES).map((variant) => webController(...variant));
let redis: RedisServer | undefined;
let app: INestApplication;
let rpc: ClientProxy;

/** Where the queues of BullMQ are. */
const connection = (): { host: string; port: number } => ({ host: redis!.host, port: redis!.port });

function everything(): Type {
  const queues = [
    ...JOB_SCOPES.map((scope) => BullModule.registerQueue({ name: queueName(scope) })),
    BullModule.registerQueue({ name: SKIPPED_QUEUE }),
  ];
  @Global()
  @Module({
    imports: [
      ScheduleModule.forRoot(),
      EventEmitterModule.forRoot(),
      CqrsModule.forRoot(),
      GraphQLModule.forRoot<ApolloDriverConfig>({ driver: ApolloDriver, autoSchemaFile: true }),
      ...(redis ? [BullModule.forRoot({ connection: connection() }), ...queues] : []),
      DflockdModule.forRoot({ embedded: true, logger: false }),
    ],
    controllers: [
      ...webControllers,
      webController('none', 'singleton'),
      ...variants(HANDLER_SCOPES).map((variant) => messageController(...variant, seen)),
    ],
    providers: [
      ...variants(HANDLER_SCOPES).map((variant) => graphResolver(...variant)),
      ...variants(JOB_SCOPES).map((variant) => listener(...variant, seen)),
      ...POSITIONS.map((position) => gateway(position)),
      ...POSITIONS.map((position) => scheduledJobs(position, seen)),
      ...(redis ? [...JOB_SCOPES.map((scope) => processor(scope, seen)), SkippingProcessor] : []),
      ...Object.values(commands).flatMap(({ providers }) => providers),
    ],
  })
  class Everything {}
  return Everything;
}

beforeAll(async () => {
  redis = WITH_REDIS ? await RedisServer.start() : undefined;
  closing(async () => redis?.stop());
  app = await NestFactory.create(everything(), { logger: false, abortOnError: false });
  closing(() => app.close());
  app.useWebSocketAdapter(new WsAdapter(app));
  const server = app.connectMicroservice(
    { transport: Transport.TCP, options: { host: '127.0.0.1', port: 0 } },
    { inheritAppConfig: true },
  );
  await app.startAllMicroservices();
  await app.listen(0, '127.0.0.1');
  const { port } = server.unwrap<{ address(): { port: number } }>().address();
  rpc = ClientProxyFactory.create({ transport: Transport.TCP, options: { host: '127.0.0.1', port } });
  closing(async () => rpc.close());
}, 60_000);
afterAll(closeAll, 30_000);

describe.each(['express', 'fastify'])('over %s', (adapter) => {
  let url: string;

  beforeAll(async () => {
    if (adapter === 'express') return void (url = await app.getUrl());
    @Module({ imports: [DflockdModule.forRoot({ embedded: true, logger: false })], controllers: webControllers })
    class Web {}
    const fastify = await NestFactory.create(Web, new FastifyAdapter(), { logger: false, abortOnError: false });
    closing(() => fastify.close());
    await fastify.listen(0, '127.0.0.1');
    url = await fastify.getUrl();
  });

  describe.each(variants(ALL_SCOPES))('a lock %s the decorators of a %s controller', (position, scope) => {
    it.each(WEB_ROWS)('$name', async ({ path, init, status = 200, text, header }) => {
      const answer = await fetch(`${url}/${position}/${scope}/${path}`, init);
      const body = await answer.text();
      expect({ status: answer.status, body }).toMatchObject({ status });
      if (typeof text === 'string') expect(body).toBe(text);
      if (text instanceof RegExp) expect(body).toMatch(text);
      if (header) expect(answer.headers.get(header[0])).toContain(header[1]);
    });
  });
});

describe('the document of Swagger', () => {
  const document = () => SwaggerModule.createDocument(app, new DocumentBuilder().build());
  const part = (position: string) => {
    const paths = Object.entries(document().paths).filter(([path]) => path.startsWith(`/${position}/singleton/`));
    const text = JSON.stringify(Object.fromEntries(paths.sort(([a], [b]) => (a < b ? -1 : 1))));
    return JSON.parse(text.replaceAll(new RegExp(`\\b${position}\\b`, 'g'), 'here')) as Record<string, unknown>;
  };

  it.each(POSITIONS)('is the same with the lock %s as without', (position) => {
    const with_ = part(position);
    expect(Object.keys(with_).length).toBeGreaterThan(10);
    expect(with_).toEqual(part('none'));
    expect(JSON.stringify(with_['/here/singleton/api'])).toContain('#/components/schemas/Order');
  });
});

describe.each(variants(HANDLER_SCOPES))('a lock %s the decorators of a %s message handler', (position, scope) => {
  it('@MessagePattern', async () => {
    await expect(lastValueFrom(rpc.send(`sum.${position}.${scope}`, { id: 'a' }))).resolves.toBe('sum:a');
  });

  it('@EventPattern', async () => {
    await lastValueFrom(rpc.emit(`done.${position}.${scope}`, { id: 'a' }));
    await until(() => seen.lines.includes(`${position} ${scope} done:a a`));
  });
});

describe.each(POSITIONS)('a lock %s the decorators of', (position) => {
  it('@SubscribeMessage', async () => {
    const socket = new WebSocket((await app.getUrl()).replace('http', 'ws'));
    await new Promise((resolve) => socket.once('open', resolve));
    const answer = new Promise((resolve) =>
      socket.once('message', (data: Buffer) => resolve(JSON.parse(data.toString()))),
    );
    socket.send(JSON.stringify({ event: `say.${position}`, data: { id: 'a' } }));
    await expect(answer).resolves.toEqual({ event: 'said', data: 'say:a a' });
    socket.terminate();
  });

  it('@Cron, @Interval and @Timeout', async () => {
    const registry = app.get(SchedulerRegistry);
    expect([...registry.getCronJobs().keys()]).toContain(`cron.${position}`);
    await registry.getCronJob(`cron.${position}`).fireOnTick();
    for (const kind of ['cron', 'interval', 'timeout']) {
      await until(() => seen.lines.includes(`${kind} ${position} ${kind}`));
    }
  });
});

describe.each(variants(JOB_SCOPES))('a lock %s @OnEvent of a %s provider', (position, scope) => {
  it('holds', async () => {
    app.get(EventEmitter2).emit(`event.${position}.${scope}`, { id: 'a' });
    await until(() => seen.lines.includes(`${position} ${scope} event:a`));
  });
});

describe.each(variants(HANDLER_SCOPES))('a lock %s the decorators of a %s resolver', (position, scope) => {
  const ask = async (query: string) => {
    const answer = await fetch(`${await app.getUrl()}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query }),
    });
    return answer.json();
  };

  it('@Query and @ResolveField', async () => {
    const name = `book_${position}_${scope}`;
    await expect(ask(`{ ${name}(id: "a") { id under cover } }`)).resolves.toEqual({
      data: { [name]: { id: 'a', under: 'book:a', cover: 'cover:a' } },
    });
  });

  it('is made as its scope says', async () => {
    const made = async () => Object.values(((await ask(`{ made_${position}_${scope} }`)) as { data: object }).data)[0];
    const [first, second] = [(await made()) as number, await made()];
    expect(second).toBe(scope === 'request' ? first + 1 : first);
  });

  it('@Mutation', async () => {
    const name = `rename_${position}_${scope}`;
    await expect(ask(`mutation { ${name}(id: "a") }`)).resolves.toEqual({ data: { [name]: 'rename:a' } });
  });
});

describe.each(JOB_SCOPES)('a lock in a %s handler', (scope) => {
  it('of commands, queries and events', async () => {
    const { Command, Question, Happened } = commands[scope]!;
    await expect(app.get(CommandBus).execute(new Command('a'))).resolves.toBe('command:a');
    await expect(app.get(QueryBus).execute(new Question('a'))).resolves.toBe('query:a');
    app.get(EventBus).publish(new Happened('a'));
    await until(() => seen.lines.includes(`${scope} happened:a`));
  });
});

describeRedis('jobs of BullMQ', () => {
  it.each(JOB_SCOPES)('have a lock in a %s processor', async (scope) => {
    const events = new QueueEvents(queueName(scope), { connection: connection() });
    closing(() => events.close());
    await events.waitUntilReady();
    const queue = app.get<Queue>(getQueueToken(queueName(scope)));
    const job = await queue.add('job', { id: 'a' });
    await expect(job.waitUntilFinished(events, 5000)).resolves.toBe('job:a');
    if (scope !== 'singleton') return;
    await until(() => seen.lines.includes('below completed:a') && seen.lines.includes('above completed-too:a'));
  });

  it('whose lock is busy are skipped', async () => {
    const events = new QueueEvents(SKIPPED_QUEUE, { connection: connection() });
    closing(() => events.close());
    await events.waitUntilReady();
    const queue = app.get<Queue>(getQueueToken(SKIPPED_QUEUE));
    const work = async (): Promise<unknown> => (await queue.add('job', {})).waitUntilFinished(events, 5000);
    await app.get(DflockdService).withLock('skipped-job', async () => expect(await work()).toBeNull());
    expect(await work()).toBe('skipped-job');
  });
});

it('nothing is left locked', async () => {
  // The intervals go on.
  const held = async () => (await app.get(DflockdService).stats())[0]!.locks.filter(({ key }) => key !== 'interval');
  await until(async () => (await held()).length === 0);
  expect(await held()).toEqual([]);
});
