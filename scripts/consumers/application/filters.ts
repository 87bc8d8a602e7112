// Which filter answers a lock error, in every arrangement of exception filters.
import 'reflect-metadata';
import { strict as assert } from 'node:assert';
import {
  Catch,
  Controller,
  Get,
  Inject,
  Injectable,
  Module,
  Scope,
  UseFilters,
  type ArgumentsHost,
  type DynamicModule,
  type ExceptionFilter,
  type INestApplication,
  type LoggerService,
  type Provider,
  type Type,
} from '@nestjs/common';
import { APP_FILTER, HttpAdapterHost, NestFactory, REQUEST } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import {
  AcquireTimeoutError,
  DflockdModule,
  DflockdService,
  InjectDflockd,
  LockError,
  LockExceptionFilter,
  LockLostError,
  lockErrorResponse,
} from 'nestjs-dflockd';

const say = (host: ArgumentsHost, status: number): void =>
  void host.switchToHttp().getResponse<any>().status(status).send({ status });

@Catch(LockError)
class Own implements ExceptionFilter {
  catch(_error: LockError, host: ArgumentsHost): void {
    say(host, 418);
  }
}

@Catch(AcquireTimeoutError)
class OwnBusy implements ExceptionFilter {
  catch(_error: LockError, host: ArgumentsHost): void {
    say(host, 419);
  }
}

@Catch(LockError)
@Injectable({ scope: Scope.REQUEST })
class OwnPerRequest extends Own {
  constructor(@Inject(REQUEST) readonly request: object) {
    super();
  }
}

@Catch()
class Everything implements ExceptionFilter {
  catch(error: unknown, host: ArgumentsHost): void {
    say(host, lockErrorResponse(error, { busyStatus: 499 })?.status ?? 555);
  }
}

@Catch()
@Injectable({ scope: Scope.REQUEST })
class EverythingPerRequest extends Everything {}

@Catch()
class Extending extends LockExceptionFilter {
  override catch(error: Error, host: ArgumentsHost): unknown {
    return error instanceof LockError ? super.catch(error, host) : say(host, 555);
  }
}

class Web {
  constructor(
    @Inject(DflockdService) readonly locks: DflockdService,
    @InjectDflockd('other') readonly others: DflockdService,
  ) {}

  @Get('busy')
  busy(): Promise<unknown> {
    return busyAt(this.locks);
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

const busyAt = (locks: DflockdService): Promise<unknown> =>
  locks.withLock('key', () => locks.acquire('key', { acquireTimeoutS: 0, onNested: 'wait' }));

function boundTo(...filters: (Type<ExceptionFilter> | ExceptionFilter)[]): Type {
  @Controller()
  @UseFilters(...filters)
  class Bound extends Web {}
  return Bound;
}

interface Arrangement {
  root?: Provider[];
  before?: Provider[];
  behind?: Provider[];
  globally?: (app: INestApplication) => ExceptionFilter[];
  controller?: Type;
}

const appFilter = (useClass: Type<ExceptionFilter>): Provider => ({ provide: APP_FILTER, useClass });

function beside(providers: Provider[] = []): DynamicModule {
  @Module({})
  class Beside {}
  return { module: Beside, providers };
}

/** The statuses of /busy, /other and /lost, and how many filters the log names. */
const TABLE: [name: string, arrangement: Arrangement, statuses: number[], warnings: number][] = [
  ['none', {}, [423, 409, 503], 0],
  ['useGlobalFilters', { globally: () => [new Own()] }, [418, 418, 418], 0],
  ['useGlobalFilters, a subclass', { globally: () => [new OwnBusy()] }, [419, 419, 503], 0],
  ['the root', { root: [appFilter(Own)] }, [418, 418, 418], 0],
  ['the root, a subclass', { root: [appFilter(OwnBusy)] }, [419, 419, 503], 0],
  ['the root, a value', { root: [{ provide: APP_FILTER, useValue: new Own() }] }, [418, 418, 418], 0],
  ['a module before', { before: [appFilter(Own)] }, [418, 418, 418], 0],
  ['a module behind', { behind: [appFilter(Own)] }, [418, 418, 418], 0],
  ['per request', { root: [appFilter(OwnPerRequest)] }, [418, 418, 418], 0],
  ['a controller', { controller: boundTo(Own) }, [418, 418, 418], 0],
  ['a controller, an object', { controller: boundTo(new OwnBusy()) }, [419, 419, 503], 0],
  ['the root, before a catch-all', { root: [appFilter(Own), appFilter(Everything)] }, [418, 418, 418], 0],
  ['the root, a catch-all', { root: [appFilter(Everything)] }, [423, 409, 503], 0],
  ['a module before, a catch-all', { before: [appFilter(Everything)] }, [423, 409, 503], 0],
  ['useGlobalFilters, a catch-all', { globally: () => [new Everything()] }, [499, 499, 503], 1],
  ['a module behind, a catch-all', { behind: [appFilter(Everything)] }, [499, 499, 503], 1],
  ['per request, a catch-all', { root: [appFilter(EverythingPerRequest)] }, [499, 499, 503], 1],
  [
    'a catch-all that extends LockExceptionFilter',
    { globally: (app) => [new Extending(app.get(HttpAdapterHost))] },
    [423, 409, 503],
    0,
  ],
];

async function statusesWith({ root = [], before, behind, globally, controller }: Arrangement, warnings: string[]) {
  @Controller()
  class Plain extends Web {}
  const logger: LoggerService = {
    log: () => undefined,
    error: () => undefined,
    warn: (text: string, context?: string) => void (context === 'Dflockd' && warnings.push(text)),
  };
  @Module({
    imports: [
      beside(before),
      DflockdModule.forRoot({ embedded: true, logger }),
      DflockdModule.forRoot({ embedded: true, instance: 'other', exceptionFilter: { busyStatus: 409 }, logger: false }),
      beside(behind),
    ],
    providers: root,
    controllers: [controller ?? Plain],
  })
  class AppModule {}
  const adapter = process.env.PLATFORM === 'fastify' ? new FastifyAdapter() : new ExpressAdapter();
  const app = await NestFactory.create<any>(AppModule, adapter, { logger: false, abortOnError: false });
  if (globally) app.useGlobalFilters(...globally(app));
  await app.listen(0, '127.0.0.1');
  const url = (await app.getUrl()) as string;
  const statuses: number[] = [];
  for (const path of ['busy', 'other', 'lost']) statuses.push((await fetch(`${url}/${path}`)).status);
  await app.close();
  return statuses;
}

async function main(): Promise<void> {
  for (const [name, arrangement, expected, warned] of TABLE) {
    const warnings: string[] = [];
    assert.deepEqual(await statusesWith(arrangement, warnings), expected, name);
    assert.equal(warnings.filter((text) => text.includes('lockErrorResponse')).length, warned, name);
  }
  console.log(`${TABLE.length} arrangements of exception filters`);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
