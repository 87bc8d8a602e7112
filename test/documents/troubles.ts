import { cp, mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Controller, Get, Injectable, Module, Param, Scope, type DynamicModule, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import { of, type Observable } from 'rxjs';
import { DflockdServer } from '../../lib/entries/daemon.js';
import {
  currentLock,
  DflockdModule,
  DflockdService,
  InjectDflockd,
  LockRequest,
  WithLock,
  type DflockdModuleOptions,
} from '../../lib/entries/index.js';
import { CompiledLib } from '../support/compiled-lib.js';
import { until } from '../support/until.js';

/** Whatever is told by throwing. */
async function thrown(fail: () => unknown): Promise<string> {
  try {
    await fail();
  } catch (error) {
    return `${(error as Error).name}: ${(error as Error).message}`;
  }
  throw new Error('it did not fail');
}

/** A class with a locked method; each time anew, since Nest notes on a class where it belongs. */
function ordersClass() {
  @Injectable()
  class Orders {
    @WithLock('order:{0}')
    async pay(id: string): Promise<unknown> {
      return id;
    }

    @WithLock('order:{0}')
    async refund(id: string): Promise<unknown> {
      return this.pay(id);
    }
  }
  return Orders;
}

interface Parts {
  imports?: (DynamicModule | Promise<DynamicModule>)[];
  providers?: (Type | { provide: unknown; useFactory: (...args: any[]) => unknown; inject?: unknown[] })[];
  controllers?: Type[];
}

function appModule(parts: Parts): Type {
  @Module(parts as object)
  class AppModule {}
  return AppModule;
}

const locksModule = (options: DflockdModuleOptions = { embedded: true }): DynamicModule =>
  DflockdModule.forRoot({ logger: false, ...options });

/** What an application of these parts says when it starts, or while `use` uses it. */
async function started(
  parts: Parts,
  use: (get: <T>(type: Type<T>) => T) => unknown = () => undefined,
  logger: object | false = false,
): Promise<unknown> {
  const app = await NestFactory.createApplicationContext(appModule(parts), {
    logger: logger as false,
    abortOnError: false,
  });
  try {
    return await use((type) => app.get(type));
  } finally {
    await app.close();
  }
}

async function withDaemon<T>(options: object, use: (server: string, daemon: DflockdServer) => Promise<T>): Promise<T> {
  const daemon = new DflockdServer({ port: 0, ...options });
  const { port } = await daemon.listen();
  try {
    return await use(`127.0.0.1:${port}`, daemon);
  } finally {
    await daemon.close();
  }
}

/** A port at which nobody listens. */
const nobody = (): Promise<string> => withDaemon({}, async (server) => server);

/** The lines that an application logs. */
async function logged(parts: (logger: object) => Parts, wanted: RegExp): Promise<string> {
  const lines: string[] = [];
  const note = (text: unknown): number => lines.push(String(text));
  const logger = { log: note, warn: note, error: note, debug: note };
  return (await started(parts(logger), () => until(() => lines.find((line) => wanted.test(line))))) as string;
}

/** The body with which a request is answered. */
async function answered(controller: Type, occupy: string | undefined, path: string): Promise<string> {
  const app = (
    await Test.createTestingModule({
      imports: [locksModule({ embedded: true, acquireTimeoutS: 0 })],
      controllers: [controller],
    }).compile()
  ).createNestApplication();
  app.useLogger(false);
  await app.listen(0, '127.0.0.1');
  try {
    if (occupy) await app.get(DflockdService).acquire(occupy);
    const answer = await fetch(`${await app.getUrl()}/${path}`);
    return `HTTP ${answer.status} ${await answer.text()}`;
  } finally {
    await app.close();
  }
}

function ordersController() {
  @Controller('orders')
  class OrdersController {
    @Get(':id')
    @WithLock('order:{0}')
    async pay(@Param('id') id: string): Promise<string> {
      return id;
    }

    @Get(':id/export')
    @WithLock('export', { maxHoldS: 0.05 })
    async export(): Promise<void> {
      const { signal } = currentLock()!;
      await new Promise((over) => signal.addEventListener('abort', over));
    }
  }
  return OrdersController;
}

/** An application whose @nestjs/core is not the one that this package finds. */
async function twoCores(): Promise<string> {
  const lib = await CompiledLib.make({ nest: true });
  const folder = await mkdtemp(join(tmpdir(), 'nestjs-dflockd-cores-'));
  try {
    const [here, there] = [resolve('node_modules'), join(folder, 'node_modules')];
    await mkdir(join(there, '@nestjs'), { recursive: true });
    await cp(join(here, '@nestjs/core'), join(there, '@nestjs/core'), { recursive: true });
    await symlink(join(here, '@nestjs/common'), join(there, '@nestjs/common'));
    for (const name of await readdir(here)) {
      if (name !== '@nestjs' && !name.startsWith('.')) await symlink(join(here, name), join(there, name));
    }
    const { out } = await lib.run(`
      import 'reflect-metadata';
      import { NestFactory } from ${JSON.stringify(join(there, '@nestjs/core/index.js'))};
      const { DflockdModule } = await ROOM('entries/index.js');
      const module = { module: class AppModule {}, imports: [DflockdModule.forRoot({ embedded: true })] };
      await NestFactory.createApplicationContext(module, { logger: false, abortOnError: false }).catch((error) =>
        console.log(error.name + ': ' + error.message));
      process.exit();
    `);
    return out;
  } finally {
    await rm(folder, { recursive: true });
    await lib.remove();
  }
}

/** Every message that docs/troubleshooting.md quotes, as it comes about. */
export const TROUBLES: Readonly<Record<string, () => Promise<string>>> = {
  'no module in a consumer of the service': () => {
    @Injectable()
    class Orders {
      constructor(readonly locks: DflockdService) {}
    }
    return thrown(() => started({ providers: [Orders] }));
  },
  'a named service that is injected by its class': () => {
    @Injectable()
    class Orders {
      constructor(@InjectDflockd('billing') readonly locks: DflockdService) {}
    }
    return thrown(() => started({ imports: [locksModule()], providers: [Orders] }));
  },
  'an object that Nest did not make': () => thrown(() => new (ordersClass())().pay('7')),
  'a call in a factory': () => {
    const Orders = ordersClass();
    const early = {
      provide: 'early',
      useFactory: (orders: { pay(id: string): unknown }) => orders.pay('7'),
      inject: [Orders],
    };
    return thrown(() => started({ imports: [locksModule({ embedded: true })], providers: [Orders, early] }));
  },
  'a method without its object': () =>
    thrown(() => started({ imports: [locksModule()], providers: [] }, () => (0, ordersClass().prototype.pay)('7'))),
  'a mocked service': async () => {
    const Orders = ordersClass();
    const testing = Test.createTestingModule({ imports: [locksModule()], providers: [Orders] });
    const app = await testing.overrideProvider(DflockdService).useValue({}).compile();
    await app.init();
    const said = await thrown(() => app.get(Orders).pay('7'));
    await app.close();
    return said;
  },
  'an instance that nobody makes': () => {
    @Injectable()
    class Orders {
      @WithLock('order:{0}', { instance: 'billing' })
      async pay(id: string): Promise<string> {
        return id;
      }
    }
    return thrown(() => started({ imports: [locksModule()], providers: [Orders] }));
  },
  'two global modules': () =>
    thrown(() =>
      started({ imports: [locksModule({ embedded: true }), locksModule({ embedded: true, namespace: 'b' })] }),
    ),
  'options that are request-scoped': () => {
    @Injectable({ scope: Scope.REQUEST })
    class Tenant {}
    @Module({ providers: [Tenant], exports: [Tenant] })
    class TenantModule {}
    return thrown(() =>
      started({
        imports: [
          DflockdModule.forRootAsync({
            imports: [TenantModule],
            inject: [Tenant],
            useFactory: () => ({ embedded: true as const, logger: false as const }),
          }),
        ],
      }),
    );
  },
  'a decorator of the ECMAScript proposal': () =>
    thrown(() =>
      (WithLock('order:{0}') as (...args: unknown[]) => unknown)(() => undefined, { kind: 'method', name: 'pay' }),
    ),
  '@LockRequest on a provider': () => {
    @Injectable()
    class Orders {
      @LockRequest(() => 'orders')
      async pay(): Promise<void> {}
    }
    return thrown(() => started({ imports: [locksModule()], providers: [Orders] }));
  },
  'an unknown option': () => thrown(() => started({ imports: [locksModule({ leaseTtl: 5 } as object)] })),
  'an option of the wrong type': () =>
    thrown(() => started({ imports: [locksModule({ servers: ['http://locks:6388'] })] })),
  'an Observable without the option': () => {
    @Injectable()
    class Orders {
      @(WithLock('orders') as MethodDecorator)
      watch(): Observable<string> {
        return of('7');
      }
    }
    return thrown(() => started({ imports: [locksModule()], providers: [Orders] }, (get) => get(Orders).watch()));
  },
  'a key with undefined': () => {
    const Orders = ordersClass();
    return thrown(() =>
      started({ imports: [locksModule()], providers: [Orders] }, (get) => get(Orders).pay(undefined as never)),
    );
  },
  'an object as part of a key': () => {
    const Orders = ordersClass();
    return thrown(() =>
      started({ imports: [locksModule()], providers: [Orders] }, (get) => get(Orders).pay({ id: 7 } as never)),
    );
  },
  'a key with white space': () =>
    thrown(() => started({ imports: [locksModule()] }, (get) => get(DflockdService).acquire('order 7'))),
  'a locked method that calls another': () => {
    const Orders = ordersClass();
    return thrown(() => started({ imports: [locksModule()], providers: [Orders] }, (get) => get(Orders).refund('7')));
  },
  'a busy lock': () =>
    thrown(() =>
      started({ imports: [locksModule({ embedded: true, acquireTimeoutS: 0 })] }, async (get) => {
        await get(DflockdService).acquire('order:7');
        await get(DflockdService).acquire('order:7');
      }),
    ),
  'a busy lock over HTTP': () => answered(ordersController(), 'order:7', 'orders/7'),
  'a lost lock': () =>
    thrown(() =>
      started({ imports: [locksModule()] }, (get) =>
        get(DflockdService).withLock(
          'export',
          { maxHoldS: 0.05 },
          (lock) => new Promise((over) => lock.signal.addEventListener('abort', over)),
        ),
      ),
    ),
  'a lost lock over HTTP': () => answered(ordersController(), undefined, 'orders/7/export'),
  'another limit': () =>
    thrown(() =>
      started({ imports: [locksModule()] }, async (get) => {
        await get(DflockdService).acquire('gpu', { limit: 4 });
        await get(DflockdService).acquire('gpu', { limit: 8 });
      }),
    ),
  'too many keys': () =>
    thrown(() =>
      started({ imports: [locksModule({ embedded: { maxLocks: 1 }, acquireTimeoutS: 0 })] }, async (get) => {
        await get(DflockdService).acquire('a');
        await get(DflockdService).acquire('b');
      }),
    ),
  'no daemon': async () => {
    const server = await nobody();
    return (await started({ imports: [locksModule({ servers: [server], acquireTimeoutS: 0.05 })] }, (get) =>
      // While an attempt to connect is under way, it says so instead.
      until(async () => {
        const said = await thrown(() => get(DflockdService).acquire('order:7'));
        return said.includes('cannot reach') && said;
      }),
    )) as string;
  },
  'no daemon, in the log': async () => {
    const server = await nobody();
    return logged(
      (logger) => ({ imports: [DflockdModule.forRoot({ servers: [server], logger: logger as never })] }),
      /^no connection yet/,
    );
  },
  'a wrong token': () =>
    withDaemon({ authToken: 'right' }, (server) =>
      thrown(() => started({ imports: [locksModule({ servers: [server], remote: { auth: 'wrong' } })] })),
    ),
  'a port in use': () =>
    withDaemon({}, (server) => thrown(() => started({ imports: [locksModule({ embedded: { listen: server } })] }))),
  'locks of one process': () =>
    logged(
      (logger) => ({ imports: [DflockdModule.forRoot({ embedded: true, logger: logger as never })] }),
      /locks are local/,
    ),
};

/** Those that take seconds: `npm run test:types` asks for them. */
export const DEAR_TROUBLES: typeof TROUBLES = { 'two copies of @nestjs/core': twoCores };
