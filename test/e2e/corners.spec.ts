import { afterEach, describe, expect, it } from '@jest/globals';
import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import { Controller, Get, Inject, type OnModuleInit } from '@nestjs/common';
import { CommandBus, CommandHandler, CqrsModule } from '@nestjs/cqrs';
import { EventEmitter2, EventEmitterModule, OnEvent } from '@nestjs/event-emitter';
import { GraphQLModule, Query, Resolver } from '@nestjs/graphql';
import { WsAdapter } from '@nestjs/platform-ws';
import { Cron, ScheduleModule, SchedulerRegistry } from '@nestjs/schedule';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import WebSocket from 'ws';
import {
  CronLock,
  currentLock,
  DflockdModule,
  DflockdService,
  LockLostError,
  WithLock,
  type DflockdModuleOptions,
  type LockEvent,
} from '../../lib/entries/index.js';
import { boot, bootHttp, closeAll, daemon, Gate, start, until, Wire } from './support.js';

afterEach(closeAll);

class Brief {
  readonly gate = new Gate();
  entered = 0;
  constructor(@Inject(DflockdService) readonly locks: DflockdService) {}

  @WithLock('brief', { minHoldS: 60 })
  async kept(): Promise<string> {
    return 'done';
  }

  @WithLock('slow', { minHoldS: 60 })
  async slow(): Promise<string> {
    this.entered++;
    await this.gate.opened;
    return 'done';
  }

  @WithLock('failing', { minHoldS: 60 })
  async failing(): Promise<void> {
    throw new RangeError('mine');
  }

  @WithLock('cut')
  async cut(wire: Wire): Promise<void> {
    wire.cut();
    throw new RangeError('mine');
  }
}

describe('a minimum hold', () => {
  const begin = async () => {
    const wire = await Wire.to(await daemon());
    const brief = await start(Brief, { servers: [wire.address] });
    const events: LockEvent[] = [];
    brief.locks.events$.subscribe((event) => events.push(event));
    return { wire, brief, events };
  };
  const isFree = async (locks: DflockdService, key: string) => {
    // After a cut there may be no connection yet.
    await using lock = await locks.tryAcquire(key).catch(() => null);
    return lock !== null;
  };

  it('whose lock is lost behind the method has no effect on its result', async () => {
    const { wire, brief, events } = await begin();
    await expect(brief.kept()).resolves.toBe('done');
    expect(await isFree(brief.locks, 'brief')).toBe(false);
    wire.cut();
    await until(() => events.some(({ type }) => type === 'disconnected'));
    // The lock ended with its connection: documented.
    await until(() => isFree(brief.locks, 'brief'));
  });

  it('does not keep a lock that was lost under the method', async () => {
    const { wire, brief, events } = await begin();
    const result = brief.slow();
    await until(() => brief.entered === 1);
    wire.cut();
    await until(() => events.some(({ type }) => type === 'lost'));
    brief.gate.open();
    await expect(result).rejects.toMatchObject({ code: 'LOCK_LOST', settled: { value: 'done' } });
    await until(() => isFree(brief.locks, 'slow'));
  });

  it('also keeps the lock of a method that has thrown', async () => {
    const { brief } = await begin();
    await expect(brief.failing()).rejects.toThrow(RangeError);
    expect(await isFree(brief.locks, 'failing')).toBe(false);
  });

  it('a release that fails never hides the error of the method', async () => {
    const { wire, brief } = await begin();
    await expect(brief.cut(wire)).rejects.toThrow(RangeError);
    await until(() => isFree(brief.locks, 'cut'));
  });
});

describe('a lock that is busy is skipped', () => {
  const seen: string[] = [];
  const skip = { onBusy: 'skip' } as const;

  @Controller()
  class Web {
    @Get('skip')
    @WithLock('busy', skip)
    async get(): Promise<string | undefined> {
      return 'ran';
    }
  }
  @Resolver()
  class Graph {
    @Query(() => String, { nullable: true })
    @WithLock('busy', skip)
    async skip(): Promise<string | undefined> {
      return 'ran';
    }
  }
  @WebSocketGateway()
  class Gateway {
    @SubscribeMessage('skip')
    @WithLock('busy', skip)
    async skip(): Promise<object | undefined> {
      return { event: 'answer', data: 'ran' };
    }
    @SubscribeMessage('open')
    async open(): Promise<object> {
      return { event: 'answer', data: 'open' };
    }
  }
  class Jobs {
    @Cron('0 0 1 1 *', { name: 'job' })
    @CronLock('busy', { minHoldS: 0 })
    async tick(): Promise<void> {
      seen.push('cron');
    }
    @OnEvent('event')
    @WithLock('busy', skip)
    async on(): Promise<string | undefined> {
      return 'ran';
    }
  }

  class Command {}
  @CommandHandler(Command)
  class OnCommand {
    @WithLock('busy', skip)
    async execute(_command: Command): Promise<string | undefined> {
      return 'ran';
    }
  }

  it.each([true, false])('by each kind of handler (busy: %p)', async (busy) => {
    seen.length = 0;
    const { app, fetch } = await bootHttp(
      {
        imports: [
          DflockdModule.forRoot({ embedded: true, logger: false }),
          EventEmitterModule.forRoot(),
          ScheduleModule.forRoot(),
          CqrsModule.forRoot(),
          GraphQLModule.forRoot<ApolloDriverConfig>({ driver: ApolloDriver, autoSchemaFile: true }),
        ],
        controllers: [Web],
        providers: [Graph, Gateway, Jobs, OnCommand],
      },
      false,
      { prepare: (application) => application.useWebSocketAdapter(new WsAdapter(application)) },
    );
    const locks = app.get(DflockdService);
    let skipped = 0;
    locks.events$.subscribe(({ type }) => (skipped += Number(type === 'skipped')));
    const lock = busy ? await locks.acquire('busy') : undefined;

    const answer = await fetch('/skip');
    expect([answer.status, await answer.text()]).toEqual([200, busy ? '' : 'ran']);

    const headers = { 'content-type': 'application/json' };
    const graph = await fetch('/graphql', { method: 'POST', headers, body: JSON.stringify({ query: '{ skip }' }) });
    expect(await graph.json()).toEqual({ data: { skip: busy ? null : 'ran' } });

    const socket = new WebSocket((await app.getUrl()).replace('http', 'ws'));
    const answers: string[] = [];
    socket.on('message', (data: Buffer) => answers.push((JSON.parse(data.toString()) as { data: string }).data));
    await new Promise((resolve) => socket.once('open', resolve));
    socket.send(JSON.stringify({ event: 'skip' }));
    await until(() => skipped === (busy ? 3 : 0));
    socket.send(JSON.stringify({ event: 'open' }));
    await until(() => answers.includes('open'));
    expect(answers.filter((text) => text === 'ran')).toHaveLength(busy ? 0 : 1);
    socket.terminate();

    expect(await app.get(EventEmitter2).emitAsync('event')).toEqual([busy ? undefined : 'ran']);
    expect(await app.get(CommandBus).execute(new Command())).toBe(busy ? undefined : 'ran');
    await app.get(SchedulerRegistry).getCronJob('job').fireOnTick();
    await until(() => (busy ? skipped === 6 : seen.includes('cron')));
    expect(seen).toEqual(busy ? [] : ['cron']);
    await lock?.release();
  });
});

describe('a lock in onModuleInit of a feature module', () => {
  it.each<['connect' | 'require' | 'lazy', boolean]>([
    ['connect', true],
    ['require', true],
    ['lazy', true],
    ['connect', false],
    ['lazy', false],
  ])('works with startup: %s (imported before its users: %p)', async (startup, before) => {
    class Feature implements OnModuleInit {
      held: unknown[] = [];
      constructor(@Inject(DflockdService) readonly locks: DflockdService) {}
      async onModuleInit(): Promise<void> {
        await using lock = await this.locks.acquire('init');
        this.held = [lock.isHeld, await this.decorated()];
      }
      @WithLock('decorated')
      async decorated(): Promise<boolean> {
        return currentLock()!.isHeld;
      }
    }
    const options = { servers: [await daemon()], startup, logger: false } as DflockdModuleOptions;
    const lockModule = DflockdModule.forRoot(options);
    const feature = { module: class FeatureModule {}, providers: [Feature], exports: [Feature] };
    const app = await boot({ imports: before ? [lockModule, feature] : [feature, lockModule] });
    expect(app.get(Feature, { strict: false }).held).toEqual([true, true]);
  });
});

it('a lost lock and an own error: the error, and the loss as an event', async () => {
  class Risky {
    readonly gate = new Gate();
    entered = false;
    constructor(@Inject(DflockdService) readonly locks: DflockdService) {}
    @WithLock('risky')
    async run(): Promise<void> {
      this.entered = true;
      await this.gate.opened;
      throw new RangeError('mine');
    }
  }
  const wire = await Wire.to(await daemon());
  const risky = await start(Risky, { servers: [wire.address] });
  const lost: unknown[] = [];
  risky.locks.lockLost$.subscribe(({ error }) => lost.push(error));
  const result = risky.run();
  await until(() => risky.entered);
  wire.cut();
  await until(() => lost.length === 1);
  risky.gate.open();
  await expect(result).rejects.toThrow(RangeError);
  expect(lost[0]).toBeInstanceOf(LockLostError);
});
