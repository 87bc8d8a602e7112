import { afterEach, describe, expect, it } from '@jest/globals';
import {
  Catch,
  Controller,
  Get,
  HttpException,
  Inject,
  Injectable,
  Module,
  Scope,
  UseFilters,
  type ArgumentsHost,
  type DynamicModule,
  type ExceptionFilter,
  type INestApplication,
  type ModuleMetadata,
  type Provider,
  type Type,
} from '@nestjs/common';
import { APP_FILTER, BaseExceptionFilter, HttpAdapterHost, REQUEST } from '@nestjs/core';
import {
  AcquireTimeoutError,
  DflockdModule,
  DflockdService,
  getDflockdToken,
  InjectDflockd,
  LockError,
  lockErrorResponse,
  LockExceptionFilter,
  LockLostError,
  LockRequest,
  NestedLockError,
  WithLock,
  type DflockdModuleOptions,
} from '../../lib/entries/index.js';
import { bootHttp, closeAll, LogBook } from './support.js';

afterEach(closeAll);

/** What is used of Express. */
interface Response {
  status(code: number): this;
  set(headers: object): this;
  json(body: unknown): unknown;
}

const say = (host: ArgumentsHost, status: number, by: string): void =>
  void host.switchToHttp().getResponse<Response>().status(status).json({ by });

@Catch(LockError)
class Own implements ExceptionFilter {
  catch(_error: LockError, host: ArgumentsHost): void {
    say(host, 418, 'own');
  }
}

@Catch(HttpException, AcquireTimeoutError)
class OwnBusy implements ExceptionFilter {
  catch(_error: unknown, host: ArgumentsHost): void {
    say(host, 419, 'own busy');
  }
}

@Catch(LockError)
@Injectable({ scope: Scope.REQUEST })
class OwnPerRequest implements ExceptionFilter {
  constructor(@Inject(REQUEST) private readonly request: { url: string }) {}
  catch(_error: LockError, host: ArgumentsHost): void {
    say(host, 420, this.request.url);
  }
}

@Catch()
class Everything implements ExceptionFilter {
  catch(_error: unknown, host: ArgumentsHost): void {
    say(host, 555, 'everything');
  }
}

@Catch(Error)
class EveryError extends Everything {}

@Catch()
@Injectable({ scope: Scope.REQUEST })
class EverythingPerRequest extends Everything {}

/** Follows the page on errors. */
@Catch()
class Polite extends BaseExceptionFilter {
  override catch(error: unknown, host: ArgumentsHost): void {
    const answer = lockErrorResponse(error);
    if (!answer) return super.catch(error, host);
    host.switchToHttp().getResponse<Response>().status(answer.status).set(answer.headers).json(answer.body);
  }
}

/** Follows the page on errors, over every transport. */
@Catch()
class Extending extends LockExceptionFilter {
  override catch(error: Error, host: ArgumentsHost): unknown {
    return error instanceof LockError ? super.catch(error, host) : say(host, 555, 'everything');
  }
}

/** True errors have a stack; a prototype has none. */
class OfLegacy {
  static [Symbol.hasInstance](error: Error): boolean {
    return error.stack!.includes('legacy');
  }
}

@Catch(OfLegacy)
class Legacy extends Everything {}

@Catch(Error, LockError)
class Naming extends Everything {}

class Web {
  constructor(@Inject(DflockdService) readonly locks: DflockdService) {}

  @Get('busy')
  async busy(): Promise<void> {
    await this.locks.withLock('secret', () => this.locked());
  }

  @Get('lost')
  lost(): void {
    throw new LockLostError('secret', 'expired');
  }

  @Get('mistake')
  mistake(): void {
    throw new NestedLockError('secret');
  }

  @Get('fine')
  fine(): void {
    throw new RangeError('no lock');
  }

  @WithLock('secret', { acquireTimeoutS: 0, onNested: 'wait' })
  async locked(): Promise<void> {}
}

const webWith = (...filters: (Type<ExceptionFilter> | ExceptionFilter)[]): Type => {
  @Controller()
  @UseFilters(...filters)
  class Bound extends Web {}
  return Bound;
};

@Controller()
class OnMethod extends Web {
  @Get('busy')
  @UseFilters(Own)
  override async busy(): Promise<void> {
    return super.busy();
  }
}

const locks = (options: Partial<DflockdModuleOptions> = {}, log?: LogBook): DynamicModule =>
  DflockdModule.forRoot({ embedded: true, logger: log ?? false, ...options } as DflockdModuleOptions);

/** A module that registers a filter of its own. */
const beside = (...providers: Provider[]): DynamicModule => {
  @Module({})
  class Beside {}
  return { module: Beside, providers };
};
const asClass = (useClass: Type<ExceptionFilter>): Provider => ({ provide: APP_FILTER, useClass });

interface Arrangement {
  /** Before and behind DflockdModule. */
  before?: DynamicModule;
  behind?: DynamicModule;
  root?: Provider[];
  globally?: (app: INestApplication) => ExceptionFilter[];
  controller?: Type;
  exceptionFilter?: DflockdModuleOptions['exceptionFilter'];
}

async function boot({ before, behind, root = [], globally, controller, exceptionFilter }: Arrangement) {
  const log = new LogBook();
  @Controller()
  class Plain extends Web {}
  const metadata: ModuleMetadata = {
    imports: [before, locks({ exceptionFilter }, log), behind].filter((one) => one !== undefined),
    providers: root,
    controllers: [controller ?? Plain],
  };
  const { fetch, app } = await bootHttp(metadata, false, {
    prepare: (made) => globally && made.useGlobalFilters(...globally(made)),
  });
  return { app, fetch, warnings: log.matching(/^warn .*filter/) };
}

const statusOf = async (fetch: (path: string) => Promise<globalThis.Response>, path: string): Promise<number> =>
  (await fetch(path)).status;

describe("a filter of the application that names LockError, or one of its kind, answers in the module's place", () => {
  it.each<[string, Arrangement, busy: number, lost: number]>([
    ['useGlobalFilters', { globally: () => [new Own()] }, 418, 418],
    ['useGlobalFilters, a subclass', { globally: () => [new OwnBusy()] }, 419, 503],
    ['APP_FILTER in the root', { root: [asClass(Own)] }, 418, 418],
    ['APP_FILTER in the root, a subclass', { root: [asClass(OwnBusy)] }, 419, 503],
    ['APP_FILTER in the root, a value', { root: [{ provide: APP_FILTER, useValue: new Own() }] }, 418, 418],
    [
      'APP_FILTER in the root, of a factory',
      { root: [{ provide: APP_FILTER, useFactory: () => new Own() }] },
      418,
      418,
    ],
    ['APP_FILTER in the root, existing', { root: [Own, { provide: APP_FILTER, useExisting: Own }] }, 418, 418],
    ['APP_FILTER in a module before', { before: beside(asClass(Own)) }, 418, 418],
    ['APP_FILTER in a module before, a subclass', { before: beside(asClass(OwnBusy)) }, 419, 503],
    ['APP_FILTER in a module behind', { behind: beside(asClass(Own)) }, 418, 418],
    ['APP_FILTER per request', { root: [asClass(OwnPerRequest)] }, 420, 420],
    ['a controller', { controller: webWith(Own) }, 418, 418],
    ['a controller, an object', { controller: webWith(new OwnBusy()) }, 419, 503],
    ['a controller, per request', { controller: webWith(OwnPerRequest) }, 420, 420],
    ['a method', { controller: OnMethod }, 418, 503],
    ['two in the root, a general and a special one', { root: [asClass(Own), asClass(OwnBusy)] }, 419, 418],
    ['one in the root, one before', { root: [asClass(OwnBusy)], before: beside(asClass(Own)) }, 418, 418],
    ['in the root, with a catch-all behind it', { root: [asClass(Own), asClass(Everything)] }, 418, 418],
    ['in the root, with a catch-all before it', { root: [asClass(Everything), asClass(Own)] }, 418, 418],
    ['after a catch-all of useGlobalFilters', { globally: () => [new Everything(), new Own()] }, 418, 418],
    ['in the root, a catch-all that names it', { root: [asClass(Naming)] }, 555, 555],
    ['behind one with a condition that only errors stand', { globally: () => [new Own(), new Legacy()] }, 418, 418],
    ['where the module answers nothing', { root: [asClass(Own)], exceptionFilter: false }, 418, 418],
  ])('%s', async (_, arrangement, busy, lost) => {
    const { fetch, warnings } = await boot(arrangement);
    expect([await statusOf(fetch, '/busy'), await statusOf(fetch, '/lost')]).toEqual([busy, lost]);
    expect(warnings).toEqual([]);
  });

  it('and leaves others to it', async () => {
    @Catch(LockLostError)
    class OwnLost extends Own {}
    const { fetch } = await boot({ root: [asClass(OwnLost)] });
    expect([await statusOf(fetch, '/busy'), await statusOf(fetch, '/lost')]).toEqual([423, 418]);
  });
});

describe('a filter that catches everything', () => {
  const hidden = (name: string) => [
    expect.stringMatching(new RegExp(`^warn Dflockd: .*\\b${name}\\b.*lockErrorResponse`)),
  ];

  it.each<[string, Arrangement, string]>([
    ['useGlobalFilters', { globally: () => [new Everything()] }, 'Everything'],
    ['useGlobalFilters, @Catch(Error)', { globally: () => [new EveryError()] }, 'EveryError'],
    [
      'useGlobalFilters, an object',
      { globally: () => [{ catch: (_: unknown, host: ArgumentsHost) => say(host, 555, 'an object') }] },
      'an anonymous filter',
    ],
    ['APP_FILTER in a module behind', { behind: beside(asClass(Everything)) }, 'Everything'],
    ['APP_FILTER per request', { root: [asClass(EverythingPerRequest)] }, 'EverythingPerRequest'],
    ['behind one for some errors', { globally: () => [new Everything(), new OwnBusy()] }, 'Everything'],
    ['before a filter that names LockError', { globally: () => [new Own(), new Everything()] }, 'Everything'],
    ['bound to a controller with locks', { controller: webWith(Everything) }, 'Everything'],
  ])("hides the module's, and one warning says so: %s", async (_, arrangement, name) => {
    const { fetch, warnings } = await boot(arrangement);
    expect(await statusOf(fetch, '/lost')).toBe(555);
    expect(warnings).toEqual(hidden(name));
  });

  it('on a class hides nothing from a handler that is bound to a filter for lock errors', async () => {
    @Controller()
    @UseFilters(Everything)
    class Both {
      @Get('both')
      @UseFilters(Own)
      @WithLock(() => 'a b')
      async both(): Promise<void> {}
    }
    const { fetch, warnings } = await boot({ controller: Both });
    expect(await statusOf(fetch, '/both')).toBe(418);
    expect(warnings).toEqual([]);
  });

  it('is named once with others that do', async () => {
    const { warnings } = await boot({
      globally: () => [new Everything()],
      controller: webWith(EveryError, new Everything()),
    });
    expect(warnings).toEqual([expect.stringMatching(/Everything and EveryError catch|Everything catches/)]);
  });

  it.each<[string, Arrangement]>([
    ['in the root', { root: [asClass(Everything)] }],
    ['in a module before', { before: beside(asClass(Everything)) }],
    ['that extends LockExceptionFilter', { globally: (app) => [new Extending(app.get(HttpAdapterHost))] }],
    [
      'before a LockExceptionFilter',
      { globally: (app) => [new Everything(), new LockExceptionFilter(app.get(HttpAdapterHost))] },
    ],
  ])('hides nothing, and nothing is said: %s', async (_, arrangement) => {
    const { fetch, warnings } = await boot({ ...arrangement, exceptionFilter: { busyStatus: 409 } });
    expect([await statusOf(fetch, '/busy'), await statusOf(fetch, '/fine')]).toEqual([409, 555]);
    expect(warnings).toEqual([]);
  });

  it('is expected with exceptionFilter: false', async () => {
    const { fetch, warnings } = await boot({ globally: () => [new Everything()], exceptionFilter: false });
    expect(await statusOf(fetch, '/busy')).toBe(555);
    expect(warnings).toEqual([]);
  });

  it.each<[string, DflockdModuleOptions['exceptionFilter'], number]>([
    ['with the usual status', true, 423],
    ["with the module's status", { busyStatus: 409 }, 409],
    ['where the module does not', false, 423],
  ])('answers as the module does with lockErrorResponse, %s', async (_, exceptionFilter, status) => {
    const { fetch } = await boot({
      globally: (app) => [new Polite(app.get(HttpAdapterHost).httpAdapter)],
      exceptionFilter,
    });
    const plain = await boot({ exceptionFilter: exceptionFilter || true });
    for (const path of ['/busy', '/lost', '/mistake', '/fine']) {
      const [own, its] = [await fetch(path), await plain.fetch(path)];
      const text = await own.text();
      expect([own.status, text, own.headers.get('retry-after')]).toEqual([
        its.status,
        await its.text(),
        its.headers.get('retry-after'),
      ]);
      expect(text).not.toContain('secret');
      if (path === '/busy') expect([own.status, own.headers.get('retry-after')]).toEqual([status, '1']);
    }
  });
});

describe('several instances', () => {
  @Controller()
  class Several {
    constructor(
      @InjectDflockd('a') readonly a: DflockdService,
      @InjectDflockd('b') readonly b: DflockdService,
      @InjectDflockd('off') readonly off: DflockdService,
    ) {}

    private busyAt(locks: DflockdService): Promise<unknown> {
      return locks.withLock('k', () => locks.acquire('k', { acquireTimeoutS: 0, onNested: 'wait' }));
    }
    @Get('a')
    getA(): Promise<unknown> {
      return this.busyAt(this.a);
    }
    @Get('b')
    getB(): Promise<unknown> {
      return this.busyAt(this.b);
    }
    @Get('off')
    getOff(): Promise<unknown> {
      return this.busyAt(this.off);
    }
    @Get('waits')
    waits(): Promise<unknown> {
      return this.a.withLock('k', () => this.a.acquire('k', { acquireTimeoutS: 0.01, onNested: 'wait' }));
    }
    @Get('keys')
    keys(): Promise<unknown> {
      return this.a.withLock(['k', 'l'], () => this.a.acquire(['k', 'l'], { acquireTimeoutS: 0.01, onNested: 'wait' }));
    }
    @Get('through')
    through(): Promise<unknown> {
      return this.b.withLock('other', () => this.busyAt(this.a));
    }
    @Get('decorated-a')
    async decoratedA(): Promise<void> {
      await this.a.withLock('k', () => this.lockedA());
    }
    @WithLock('k', { acquireTimeoutS: 0, instance: 'a', onNested: 'wait' })
    async lockedA(): Promise<void> {}
    @Get('request-b')
    @LockRequest(() => 'a b', { instance: 'b' })
    requestB(): void {}
    @Get('key-a')
    @WithLock(() => 'a b', { instance: 'a' })
    async keyA(): Promise<void> {}
    @Get('key-off')
    @WithLock(() => 'a b', { instance: 'off' })
    async keyOff(): Promise<void> {}
    @Get('nobody')
    nobody(): void {
      throw new AcquireTimeoutError('k');
    }
  }

  const answers: [path: string, status: number][] = [
    ['/a', 409],
    ['/b', 429],
    ['/off', 500],
    ['/waits', 409],
    ['/keys', 409],
    ['/through', 409],
    ['/decorated-a', 409],
    ['/key-a', 422],
    ['/request-b', 400],
    ['/key-off', 500],
  ];
  const settings = {
    a: { busyStatus: 409, keyStatus: 422 },
    b: { busyStatus: 429 },
    off: false,
  };
  const modules = (names: (keyof typeof settings)[]) =>
    names.map((instance) =>
      DflockdModule.forRoot({ embedded: true, logger: false, instance, exceptionFilter: settings[instance] }),
    );

  it.each<[string, (keyof typeof settings)[], nobody: number]>([
    ['a, b, off', ['a', 'b', 'off'], 409],
    ['off, b, a', ['off', 'b', 'a'], 429],
  ])('answer each by its own setting: %s', async (_, names, nobody) => {
    const { fetch } = await bootHttp({ imports: modules(names), controllers: [Several] });
    for (const [path, status] of [...answers, ['/nobody', nobody] as const]) {
      expect([path, await statusOf(fetch, path)]).toEqual([path, status]);
    }
  });

  it('and lockErrorResponse does, too; errors of nobody are those of the default instance', async () => {
    const { fetch, app } = await bootHttp({
      imports: [...modules(['a', 'b', 'off']), locks({ exceptionFilter: { busyStatus: 418 } })],
      controllers: [Several],
    });
    expect(await statusOf(fetch, '/nobody')).toBe(418);
    for (const [instance, status] of [
      ['a', 409],
      ['b', 429],
      ['off', 423],
    ] as const) {
      const service = app.get<DflockdService>(getDflockdToken(instance));
      await using _held = await service.acquire('busy');
      const error = await service.acquire('busy', { acquireTimeoutS: 0 }).catch((e: unknown) => e);
      expect(lockErrorResponse(error)?.status).toBe(status);
    }
  });
});
