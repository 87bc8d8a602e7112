import { setTimeout as delay } from 'node:timers/promises';
import { Readable } from 'node:stream';
import {
  Injectable,
  Module,
  type CanActivate,
  type DynamicModule,
  type ExecutionContext,
  type INestApplicationContext,
} from '@nestjs/common';
import { DflockdModule, DflockdService, WithLock } from '../../lib/entries/index.js';

/** What examples call, return and are called with: the application of the reader. */

export interface Order {
  id: string;
  region: string;
  from: string;
  to: string;
}
export type Report = string;
export interface RequestWithSignal {
  signal: AbortSignal;
}
export interface Response {
  send(body: string): void;
}

export const ID = '0b0e7a4e-3f0c-4a52-9c55-0c8f1d1c2a10';

/** What the parameters of example methods are called, and what is given for them. */
export const ARGUMENTS: Readonly<Record<string, unknown>> = {
  amount: 5,
  at: new Date(0),
  from: 'a',
  event: { id: ID },
  id: ID,
  order: { id: ID, region: 'eu', from: 'a', to: 'b' } satisfies Order,
  other: { id: ID, region: 'us', from: 'b', to: 'c' } satisfies Order,
  request: { signal: new AbortController().signal } satisfies RequestWithSignal,
  to: 'b',
};

@Injectable()
class Orders {
  constructor(readonly repository: object = {}) {}

  @WithLock('order:{0}')
  async charge(id: string): Promise<string> {
    return `charged ${id}`;
  }
}

/** What a guard of the reader finds out about each request. */
export const USER = { id: ID, tenant: 't', tenantId: 't' };

@Injectable()
class LoggedIn implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    return 'user' in context.switchToHttp().getRequest<object>();
  }
}

@Module({
  imports: [DflockdModule.forRoot({ embedded: true, logger: false })],
  providers: [{ provide: Orders, useFactory: () => new Orders() }],
})
class AppModule {}

const url = 'data:,part';

/** Anew for each example: what one leaves held is no business of the next. */
export async function makeReader(locks: DflockdService, app: INestApplicationContext) {
  return {
    AppModule: AppModule as new () => DynamicModule,
    LoggedIn,
    OrderService: Orders,
    Orders,
    Transactional: (): MethodDecorator => () => undefined,
    accounts: { balance: async () => 5, setBalance: async () => undefined },
    app,
    balance: 5,
    bytes: () => Readable.from(['bytes']),
    cache: new (class {
      private readonly stored = new Map<string, string>();
      get = async (key: string) => this.stored.get(key);
      set = async (key: string, value: string) => this.stored.set(key, value);
    })(),
    call: async () => undefined,
    cleanUp: async () => undefined,
    dataSource: { transaction: <T>(fn: () => Promise<T>) => fn() },
    db: { query: async (_sql: string, _values: unknown[]) => undefined },
    fn: async () => undefined,
    id: ID,
    lock: await locks.acquire('a-lock-of-the-reader'),
    locks,
    parts: [{ url }, { url }],
    module: {},
    prepare: () => delay(1),
    repository: {},
    task: async () => undefined,
    userOf: (_context: ExecutionContext) => ({ tenant: 't' }),
    work: async () => undefined,
    write: async (_part: object, _options: { signal: AbortSignal }) => undefined,
  };
}

export type Reader = Awaited<ReturnType<typeof makeReader>>;
/** That of the example which runs; the runner gives each its own. */
export declare const reader: Reader;
