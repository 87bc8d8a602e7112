// Everything injected is a proxy of NestJS Observe, and requests are traced. Its reports go to a server of our own.
import 'reflect-metadata';
import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { types } from 'node:util';
import {
  Catch,
  Controller,
  Get,
  Inject,
  Injectable,
  Module,
  Param,
  type ArgumentsHost,
  type ExceptionFilter,
} from '@nestjs/common';
import { APP_FILTER, HttpAdapterHost, NestFactory } from '@nestjs/core';
import { createObserveModule } from '@nestjs/observe';
import {
  currentLock,
  DflockdModule,
  DflockdService,
  DflockdSignals,
  InjectDflockd,
  LockLostError,
  LockRequest,
  WithLock,
} from 'nestjs-dflockd';
import { firstValueFrom, lastValueFrom, Observable } from 'rxjs';

const held = (): string => currentLock()?.keys.join() ?? 'unlocked';

@Injectable()
class Orders {
  constructor(@Inject(DflockdService) readonly locks: DflockdService) {}

  @WithLock('order:{0}')
  async charge(_id: string): Promise<string> {
    return this.underLock();
  }

  underLock(): string {
    return held();
  }

  @WithLock('order:{0}', { onBusy: 'skip', onNested: 'wait' })
  async skip(_id: string): Promise<string | undefined> {
    return 'ran';
  }

  @WithLock('feed', { returns: 'observable' })
  feed(): Observable<string> {
    return new Observable((subscriber) => {
      subscriber.next(held());
      subscriber.complete();
    });
  }

  @WithLock('rows')
  async *rows(): AsyncGenerator<string> {
    yield held();
    yield held();
  }

  async byHand(): Promise<string> {
    const lock = await this.locks.acquire('hand');
    const again = await this.locks.tryAcquire('hand');
    return `${lock.keys.join()} ${again} ${await lock.release()}`;
  }
}

class Base {
  @WithLock('job', { onNested: 'join' })
  async run(): Promise<string> {
    return held();
  }
}

@Injectable()
class Job extends Base {
  @WithLock('job')
  override async run(): Promise<string> {
    return `over ${await super.run()}`;
  }
}

/** Observe calls methods of such a class on the object itself, not on the proxy. */
@Injectable()
class Private {
  #secret = 'secret';

  @WithLock('private')
  async run(): Promise<string> {
    return `${this.#secret} ${held()}`;
  }
}

@Catch(LockLostError)
class Lost implements ExceptionFilter {
  constructor(@Inject(HttpAdapterHost) private readonly host: HttpAdapterHost) {}
  catch(error: LockLostError, host: ArgumentsHost): void {
    this.host.httpAdapter.reply(host.switchToHttp().getResponse(), error.code, 418);
  }
}

const busyAt = (locks: DflockdService): Promise<unknown> =>
  locks.withLock('busy', () => locks.acquire('busy', { acquireTimeoutS: 0, onNested: 'wait' }));

@Controller()
class Web {
  constructor(
    @Inject(Orders) readonly orders: Orders,
    @Inject(Job) readonly job: Job,
    @Inject(Private) readonly secrets: Private,
    @Inject('value') readonly value: Base,
    @Inject('made') readonly made: Private,
    @InjectDflockd('other') readonly others: DflockdService,
  ) {}

  @Get('charge/:id')
  @WithLock('web:{0}')
  async charge(@Param('id') id: string): Promise<string> {
    return `${held()} ${await this.orders.charge(id)}`;
  }

  @Get('all')
  async all(): Promise<unknown[]> {
    const rows: string[] = [];
    for await (const row of this.orders.rows()) rows.push(row);
    const several = [this.job.run(), this.secrets.run(), this.value.run(), this.made.run()];
    return [
      ...rows,
      await lastValueFrom(this.orders.feed()),
      await this.orders.byHand(),
      ...(await Promise.all(several)),
    ];
  }

  @Get('request/:id')
  @LockRequest((context) => `request:${context.switchToHttp().getRequest().params.id}`)
  request(): string {
    return held();
  }

  @Get('busy')
  busy(): Promise<unknown> {
    return busyAt(this.orders.locks);
  }

  @Get('other')
  other(): Promise<unknown> {
    return busyAt(this.others);
  }

  @Get('lost')
  lost(): void {
    throw new LockLostError('key', 'expired');
  }
}

let reports = 0;
const collector = createServer((request, response) => {
  reports++;
  request.resume();
  response.end('{}');
});
collector.listen(0, '127.0.0.1');
await once(collector, 'listening');
const endpoint = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`;

const { ObserveInstrument, ObserveModule } = createObserveModule();

@Module({
  imports: [
    ObserveModule.forRoot({ appKey: 'key', appSecret: 'secret', serviceId: 'consumer', endpoint, flushInterval: 1000 }),
    DflockdModule.forRoot({ embedded: true, logger: false }),
    DflockdModule.forRoot({ embedded: true, logger: false, instance: 'other', exceptionFilter: { busyStatus: 409 } }),
  ],
  controllers: [Web],
  providers: [
    Orders,
    Job,
    Private,
    { provide: 'value', useValue: new Base() },
    { provide: 'made', useFactory: () => new Private() },
    { provide: APP_FILTER, useClass: Lost },
  ],
})
class AppModule {}

const options = {
  instrument: ObserveInstrument,
  logger: ['error', 'warn'] as ('error' | 'warn')[],
  abortOnError: false,
};
const app = await NestFactory.create(AppModule, options);
await app.listen(0, '127.0.0.1');
const url = await app.getUrl();
const get = async (path: string): Promise<[number, string]> => {
  const answer = await fetch(url + path);
  return [answer.status, await answer.text()];
};

const locks = app.get(DflockdService);
const orders = app.get(Orders);
assert.ok(types.isProxy(orders) && types.isProxy(locks));

// Outside of requests nothing is traced, and methods are called on the objects themselves.
assert.equal(await orders.charge('7'), 'order:7');
assert.equal(await app.get<Base>('value').run(), 'job');
assert.equal(await app.get<Private>('made').run(), 'secret private');
const lock = await locks.acquire('order:8');
assert.equal(await orders.skip('8'), undefined);
await lock.release();
const signal = firstValueFrom(app.get(DflockdSignals).signal$('a.b'));
while ((await app.get(DflockdSignals).emit('a.b', 'payload')) === 0) await sleep(10);
assert.equal((await signal).payload, 'payload');

assert.deepEqual(await get('/charge/1'), [200, 'web:1 order:1']);
assert.deepEqual(JSON.parse((await get('/all'))[1]), [
  'rows',
  'rows',
  'feed',
  'hand null true',
  'over job',
  'secret private',
  'job',
  'secret private',
]);
assert.deepEqual(await get('/request/1'), [200, 'request:1']);
assert.equal((await get('/busy'))[0], 423);
assert.equal((await get('/other'))[0], 409);
assert.deepEqual(await get('/lost'), [418, 'LOCK_LOST']);
assert.deepEqual((await locks.stats())[0]!.locks, []);

for (let i = 0; reports === 0 && i < 100; i++) await sleep(100);
assert.ok(reports > 0, 'nothing was traced');
await app.close();
collector.closeAllConnections();
collector.close();
console.log('all as it should be behind proxies');
