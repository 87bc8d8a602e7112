import { inspect, types } from 'node:util';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { Controller, Get, Inject, Injectable, Module, Res, Scope, type Provider } from '@nestjs/common';
import { MetadataScanner, ModuleRef, ModulesContainer, NestFactory, REQUEST } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import {
  ConfigError,
  currentLock,
  DflockdModule,
  DflockdService,
  getDflockdToken,
  InjectDflockd,
  NestedLockError,
  WithLock,
} from '../../lib/entries/index.js';
import { ClientEvents } from '../../lib/locks/events/client-events.js';
import { boot, bootError, bootHttp, closeAll, closing, daemon, silent } from './support.js';

afterEach(closeAll);

const embedded = () => DflockdModule.forRoot({ embedded: true, logger: false });

@Injectable()
class Orders {
  keys: readonly string[] = [];

  @WithLock('order:{0}')
  async pay(_id: string): Promise<boolean> {
    this.keys = currentLock()?.keys ?? [];
    return currentLock()!.isHeld;
  }
}

class Frozen extends Orders {
  @WithLock('frozen:{0}')
  override async pay(_id: string): Promise<boolean> {
    return currentLock()!.isHeld;
  }
}

class Misspelt {
  @WithLock('k', { instance: 'secnd' })
  async m(): Promise<void> {}
}

describe('the options of the module', () => {
  it.each<[object, RegExp]>([
    [{ embeded: true }, /embeded is unknown/],
    [{ embedded: true, servers: ['a:1'] }, /servers and embedded|embedded and servers/],
    [{ embedded: true, acquireTimeoutS: '5' }, /acquireTimeoutS.*"5"/],
    [{ embedded: true, exceptionFilter: { busyStatus: 42 } }, /exceptionFilter\.busyStatus.*42/],
    [{ embedded: true, exceptionFilter: { keyStatus: 200 } }, /exceptionFilter\.keyStatus.*200/],
    [{ embedded: true, exceptionFilter: {} }, /exceptionFilter: expected .*busyStatus or keyStatus/],
    [{ embedded: true, exceptionFilter: 'no' }, /exceptionFilter.*"no"/],
    [{ embedded: true, logger: {} }, /logger.*log, warn, error missing/],
  ])('%j fail the boot', async (options, message) => {
    for (const imported of [
      () => DflockdModule.forRoot(options),
      () => DflockdModule.forRootAsync({ useFactory: () => options }),
    ]) {
      const error = await bootError({ imports: [imported()] });
      expect(error).toBeInstanceOf(ConfigError);
      expect(error.message).toMatch(/^DflockdModule: /);
      expect(error.message).toMatch(message);
    }
  });

  it('that belong next to useFactory are refused in its result', async () => {
    const useFactory = () => ({ embedded: true, instance: 'b' }) as object;
    const error = await bootError({ imports: [DflockdModule.forRootAsync({ useFactory })] });
    expect(error.message).toMatch(/instance \("b"\) must be set next to useFactory/);
    expect(() => DflockdModule.forRoot({ embedded: true, instance: '' })).toThrow(/instance.*""/);
    expect(() => DflockdModule.forRoot({ embedded: true, isGlobal: 1 as never })).toThrow(/isGlobal.*1/);
    expect(() => DflockdModule.forRootAsync({})).toThrow(/useFactory, useClass, useExisting/);
  });

  it('may come from a class', async () => {
    class Options {
      createDflockdOptions() {
        return { embedded: true as const, logger: false as const };
      }
    }
    const app = await boot({ imports: [DflockdModule.forRootAsync({ useClass: Options })], providers: [Orders] });
    await expect(app.get(Orders).pay('1')).resolves.toBe(true);
  });

  it('may come from a provider that has a locked method itself', async () => {
    @Injectable()
    class Settings {
      namespace = 'shop';
      @WithLock('settings')
      async reload(): Promise<boolean> {
        return currentLock()!.isHeld;
      }
    }
    @Module({ providers: [Settings], exports: [Settings] })
    class SettingsModule {}
    const app = await boot({
      imports: [
        DflockdModule.forRootAsync({
          imports: [SettingsModule],
          inject: [Settings],
          useFactory: (settings: Settings) => ({ embedded: true, namespace: settings.namespace, logger: false }),
        }),
        SettingsModule,
      ],
      providers: [Orders],
    });
    await expect(app.get(Settings, { strict: false }).reload()).resolves.toBe(true);
    await app.get(Orders).pay('1');
    expect(app.get(Orders).keys).toEqual(['order:1']);
  });

  it('must not depend on the request', async () => {
    const error = await bootError({
      imports: [
        DflockdModule.forRootAsync({ inject: [REQUEST], useFactory: () => ({ embedded: true, logger: false }) }),
      ],
      providers: [Orders],
    });
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toMatch(/request-scoped/);
  });

  it('must not be given twice for one instance', async () => {
    const error = await bootError({
      imports: [embedded(), DflockdModule.forRoot({ embedded: true, logger: false, namespace: 'b' })],
    });
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toMatch(/two global DflockdModules make the instance "default"/);
  });
});

describe('instances', () => {
  const two = () => [
    embedded(),
    DflockdModule.forRoot({ embedded: true, logger: false, instance: 'second', namespace: 'b' }),
  ];

  class Both {
    constructor(
      @Inject(DflockdService) readonly first: DflockdService,
      @InjectDflockd('second') readonly second: DflockdService,
      @InjectDflockd() readonly same: DflockdService,
    ) {}

    @WithLock('k', { instance: 'second' })
    async inSecond(): Promise<boolean[]> {
      return [await this.isFree(this.first), await this.isFree(this.second)];
    }

    async isFree(service: DflockdService): Promise<boolean> {
      await using lock = await service.tryAcquire('k');
      return lock !== null;
    }
  }

  it('are separate, and injected by name', async () => {
    const app = await boot({ imports: two(), providers: [Both] });
    const both = app.get(Both);
    expect(both.first).toBe(both.same);
    expect(both.first).not.toBe(both.second);
    expect(app.get(getDflockdToken('second'), { strict: false })).toBe(both.second);
    await expect(both.inSecond()).resolves.toEqual([true, false]);
  });

  it.each<[string, object]>([
    ['a class', { useClass: Misspelt }],
    ['a request-scoped class', { useClass: Misspelt, scope: Scope.REQUEST }],
    ['a value', { useValue: new Misspelt() }],
  ])('misspelt in %s fail the boot', async (_, source) => {
    const provider = { provide: 'x', ...source } as Provider;
    const error = await bootError({ imports: two(), providers: [provider] });
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toMatch(/\.m uses the lock instance "secnd".*there are "default", "second"/);
  });

  it('of a module that is not global are seen by its importers only', async () => {
    const local = (namespace: string) =>
      DflockdModule.forRoot({ embedded: true, logger: false, isGlobal: false, namespace });
    class Values {
      @WithLock('k')
      async m(): Promise<string> {
        const service = await this.service();
        return (await service.stats())[0]!.locks.map(({ key }) => key).join();
      }
      service!: () => Promise<DflockdService>;
    }
    const feature = (namespace: string, shared: Values) => {
      @Module({
        imports: [local(namespace)],
        providers: [
          {
            provide: `values-${namespace}`,
            inject: [DflockdService],
            useFactory: (service: DflockdService) => Object.assign(shared, { service: async () => service }),
          },
        ],
      })
      class Feature {}
      return Feature;
    };
    const [a, b] = [new Values(), new Values()];
    await boot({ imports: [feature('a', a), feature('b', b)] });
    await expect(a.m()).resolves.toBe('a:k');
    await expect(b.m()).resolves.toBe('b:k');

    @Module({ providers: [Orders] })
    class Stranger {}
    const error = await bootError({ imports: [local('c'), Stranger] });
    expect(error.message).toMatch(/Orders\.pay.*"default".*not visible in Stranger/);
  });
});

describe('objects that Nest did not construct', () => {
  it.each<[string, object]>([
    ['a factory', { useFactory: () => new Orders() }],
    ['an asynchronous factory', { useFactory: async () => new Orders() }],
    ['a value', { useValue: new Orders() }],
    ['a frozen value', { useValue: Object.freeze(new Frozen()) }],
  ])('are connected: %s', async (_, source) => {
    const app = await boot({ imports: [embedded()], providers: [{ provide: Orders, ...source } as Provider] });
    await expect(app.get(Orders).pay('1')).resolves.toBe(true);
  });

  it('are connected: an override of a test', async () => {
    class Fake extends Orders {}
    const app = await Test.createTestingModule({ imports: [embedded()], providers: [Orders] })
      .overrideProvider(Orders)
      .useValue(new Fake())
      .setLogger(silent)
      .compile();
    closing(() => app.close());
    await app.init();
    await expect(app.get(Orders).pay('1')).resolves.toBe(true);
  });

  it('fail when they are not part of the application', async () => {
    await boot({ imports: [embedded()], providers: [Orders] });
    await expect(new Orders().pay('1')).rejects.toThrow(ConfigError);
    await expect(new Orders().pay('1')).rejects.toThrow(/Orders\.pay.*not created by Nest/);
  });

  describe('name the constructor that called them, since the object has no locks yet', () => {
    class Base {
      early: Promise<unknown> | undefined;
      @WithLock('early')
      async load(): Promise<void> {}
      @WithLock('stream')
      async *read(): AsyncGenerator<number> {
        yield 1;
      }
    }
    const outcome = async (type: new () => Base): Promise<Error> => {
      const app = await boot({ imports: [embedded()], providers: [type] });
      return app.get<Base>(type).early!.then(
        () => new Error('it ran'),
        (error: Error) => error,
      );
    };

    it('the own one', async () => {
      class Eager extends Base {
        constructor() {
          super();
          this.early = this.load();
        }
      }
      const error = await outcome(Eager);
      expect(error).toBeInstanceOf(ConfigError);
      expect(error.message).toMatch(/^Base\.load has a lock and was called in the constructor of Eager.*onModuleInit/);
    });

    it('that of a base class, deep in other calls', async () => {
      const deep = (n: number, call: () => Promise<unknown>): Promise<unknown> => (n > 0 ? deep(n - 1, call) : call());
      class Middle extends Base {
        constructor() {
          super();
          this.early = deep(50, () => this.load());
        }
      }
      class Eager extends Middle {}
      expect((await outcome(Eager)).message).toMatch(/Base\.load .* in the constructor of Middle/);
    });

    it('a field that is initialised by it', async () => {
      class Eager extends Base {
        override early: Promise<unknown> | undefined = this.read().next();
      }
      expect((await outcome(Eager)).message).toMatch(/Base\.read .* in the constructor of Eager/);
    });

    it('also where it only began the work', async () => {
      class Eager extends Base {
        override early: Promise<unknown> | undefined = Promise.resolve().then(() => this.load());
      }
      expect((await outcome(Eager)).message).toMatch(/its constructor starts .* onModuleInit/);
    });

    it('but not that of another class', async () => {
      class Other {
        readonly early = new Base().load();
      }
      await expect(new Other().early).rejects.toThrow(/Base\.load.*not created by Nest/);
    });
  });

  it('do not stop at a service that was replaced', async () => {
    const app = await Test.createTestingModule({ imports: [embedded()], providers: [Orders] })
      .overrideProvider(DflockdService)
      .useValue({ withLock: () => undefined })
      .compile();
    closing(() => app.close());
    await app.init();
    await expect(app.get(Orders).pay('1')).rejects.toThrow(/Orders\.pay.*DflockdService was replaced/);
  });

  it('do not take the mocks of useMocker for locks', async () => {
    const app = await Test.createTestingModule({ providers: [Orders] })
      .useMocker(() => new Proxy({}, { get: (_, name) => (name === 'then' ? undefined : () => undefined) }))
      .compile();
    await expect(app.get(Orders).pay('1')).rejects.toThrow(ConfigError);
  });
});

describe('objects that Nest constructs', () => {
  it('may be made for each request', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class PerRequest {
      constructor(@Inject(REQUEST) readonly request: { url: string }) {}
      @WithLock((): string => 'per-request')
      async m(): Promise<string> {
        return `${this.request.url} ${currentLock()!.keys.join()}`;
      }
    }
    @Injectable({ scope: Scope.TRANSIENT })
    class Transient {
      @WithLock('transient')
      async m(): Promise<string> {
        return currentLock()!.keys.join();
      }
    }
    @Controller()
    class Web {
      constructor(
        @Inject(PerRequest) readonly scoped: PerRequest,
        @Inject(Transient) readonly transient: Transient,
      ) {}
      @Get('a')
      async a(): Promise<string[]> {
        return [await this.scoped.m(), await this.transient.m()];
      }
    }
    const { fetch } = await bootHttp({ imports: [embedded()], controllers: [Web], providers: [PerRequest, Transient] });
    expect(await (await fetch('/a')).json()).toEqual(['/a per-request', 'transient']);
  });

  it('may be made by hand with ModuleRef.create', async () => {
    const app = await boot({ imports: [embedded()] });
    const orders = await app.get(ModuleRef).create(Orders);
    await expect(orders.pay('1')).resolves.toBe(true);
  });

  it('can be spied on', async () => {
    const app = await boot({ imports: [embedded()], providers: [Orders] });
    const orders = app.get(Orders);
    const spy = jest.spyOn(orders, 'pay');
    await expect(orders.pay('1')).resolves.toBe(true);
    expect(spy).toHaveBeenCalledWith('1');
    spy.mockResolvedValue(false);
    await expect(orders.pay('1')).resolves.toBe(false);
    spy.mockRestore();
  });

  it('may use locks in onModuleInit', async () => {
    let held: boolean | undefined;
    class Early extends Orders {
      async onModuleInit(): Promise<void> {
        held = await this.pay('1');
      }
    }
    await boot({ providers: [Early], imports: [embedded()] });
    expect(held).toBe(true);
  });

  it('do not wait for themselves', async () => {
    class Child extends Orders {
      @WithLock('order:{0}')
      override async pay(id: string): Promise<boolean> {
        return super.pay(id);
      }

      @WithLock('order:{0}', { onBusy: 'skip' })
      async again(id: string): Promise<boolean | undefined> {
        return this.skips(id);
      }

      @WithLock('order:{0}', { onBusy: 'skip', acquireTimeoutS: 5 })
      async skips(_id: string): Promise<boolean | undefined> {
        return true;
      }
    }
    const app = await boot({ imports: [embedded()], providers: [Child] });
    await expect(app.get(Child).pay('1')).rejects.toThrow(NestedLockError);
    await expect(app.get(Child).again('1')).resolves.toBeUndefined();
  });

  it('of two applications in one process go separate ways', async () => {
    const shared = DflockdModule.forRoot({ embedded: true, logger: false });
    const [a, b] = [
      await boot({ imports: [shared], providers: [Orders] }),
      await boot({ imports: [shared], providers: [Orders] }),
    ];
    await a.close();
    await expect(b.get(Orders).pay('1')).resolves.toBe(true);
    await expect(a.get(Orders).pay('1')).rejects.toMatchObject({ code: 'SHUTTING_DOWN' });
  });
});

describe('handlers that a lock cannot serve', () => {
  it('fail the boot: skip with @Res()', async () => {
    @Controller()
    class Web {
      @Get()
      @WithLock('k', { onBusy: 'skip' })
      async get(@Res() _response: unknown): Promise<void> {}
    }
    const error = await bootError({ imports: [embedded()], controllers: [Web] });
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toMatch(/Web\.get.*@Res\(\)/);

    @Controller()
    class Fine {
      @Get()
      @WithLock('k', { onBusy: 'skip' })
      async get(@Res({ passthrough: true }) _response: unknown): Promise<void> {}
    }
    await boot({ imports: [embedded()], controllers: [Fine] });
  });
});

describe('what a failed boot leaves', () => {
  it('is no open port', async () => {
    const probe = await daemon();
    await closeAll();
    const listening = () => DflockdModule.forRoot({ embedded: { listen: probe }, logger: false });
    expect((await bootError({ imports: [listening()], providers: [Misspelt] })).message).toMatch(/secnd/);
    await boot({ imports: [listening()], providers: [Orders] });
  });
});

describe('the log of the module', () => {
  it('makes no event for each lock', async () => {
    const app = await boot({ imports: [DflockdModule.forRoot({ embedded: true, logger: silent })] });
    const locks = app.get(DflockdService);
    const emit = jest.spyOn(ClientEvents.prototype, 'emit');
    await locks.withLock('a', () => undefined);
    expect(emit).not.toHaveBeenCalled();
    locks.events$.subscribe();
    await locks.withLock('a', () => undefined);
    expect(emit).toHaveBeenCalled();
    emit.mockRestore();
  });
});

describe('the token of a daemon', () => {
  it("is in no error of Nest's, and in nothing that the application prints", async () => {
    const imports = [DflockdModule.forRoot({ remote: { auth: 's3cr3t' }, startup: 'lazy', logger: false })];
    class Missing {}
    @Injectable()
    class Broken {
      constructor(@Inject(Missing) readonly missing: Missing) {}
    }
    const error = await bootError({ imports, providers: [Broken] });
    expect(inspect(error, { depth: 9 })).not.toContain('s3cr3t');
    @Injectable()
    class Sound {
      constructor(@Inject(DflockdService) readonly locks: DflockdService) {}

      @WithLock('a')
      async locked(): Promise<void> {}
    }
    const sound = (await boot({ imports, providers: [Sound] })).get(Sound);
    for (const showHidden of [false, true]) {
      for (const customInspect of [false, true]) {
        expect(inspect(sound, { depth: Infinity, showHidden, customInspect })).not.toContain('s3cr3t');
      }
    }
    expect(JSON.stringify(sound)).toBe('{"locks":{"servers":["127.0.0.1:6388"],"held":0,"state":"open"}}');
  });
});

describe('proxies around everything that is injected, as NestJS Observe puts them', () => {
  /** Calls methods on the target, so that they do not see the proxy. */
  const onTarget = (target: unknown): unknown =>
    typeof target !== 'object' || target === null
      ? target
      : new Proxy(target, {
          get(inner, name) {
            const value: unknown = Reflect.get(inner, name);
            if (typeof value !== 'function' || name === 'constructor') return value;
            return (...args: unknown[]): unknown => Reflect.apply(value, inner, args);
          },
        });
  /** Calls them on the proxy. */
  const onProxy = (target: unknown): unknown =>
    typeof target !== 'object' || target === null ? target : new Proxy(target, {});

  class Orders {
    @WithLock('order')
    async pay(): Promise<string> {
      return currentLock()?.keys.join() ?? 'unlocked';
    }
  }

  it.each([
    ['the target', onTarget],
    ['the proxy', onProxy],
  ])('that call methods on %s: a class, a value, what a factory makes', async (_, instanceDecorator) => {
    const plain = (value: unknown) => value instanceof ModulesContainer || value instanceof MetadataScanner;
    @Module({
      imports: [embedded()],
      providers: [
        Orders,
        { provide: 'value', useValue: new Orders() },
        { provide: 'factory', useFactory: () => new Orders() },
      ],
    })
    class AppModule {}
    const app = await NestFactory.createApplicationContext(AppModule, {
      logger: false,
      abortOnError: false,
      instrument: { instanceDecorator: (value) => (plain(value) ? value : instanceDecorator(value)) },
    });
    closing(() => app.close());
    for (const token of [Orders, 'value', 'factory']) {
      const orders = app.get<Orders>(token);
      expect(types.isProxy(orders)).toBe(true);
      expect(await orders.pay()).toBe('order');
    }
    expect(await app.get(DflockdService).tryAcquire('order')).not.toBeNull();
  });
});
