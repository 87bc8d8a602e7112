import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { Body, Controller, Get, Inject, Injectable, Module, Param, Post, Scope, type Type } from '@nestjs/common';
import { LazyModuleLoader } from '@nestjs/core';
import { ConfigError, currentLock, DflockdModule, DflockdService, WithLock } from '../../lib/entries/index.js';
import { boot, bootHttp, closeAll, until } from './support.js';

afterEach(closeAll);

const embedded = () => DflockdModule.forRoot({ embedded: true, logger: false });
const held = () => currentLock()?.keys.join() ?? 'unlocked';
const json = (body: object): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
});

describe('classes', () => {
  it('a base controller with the routes of many', async () => {
    abstract class Crud<T extends { id: string }> {
      protected abstract readonly name: string;
      @Post()
      @WithLock((entity: { id: string }) => `entity:${entity.id}`)
      async create(@Body() _entity: T): Promise<string> {
        return `${this.name} ${held()}`;
      }
      @WithLock(function (this: Crud<T>, id: string) {
        return `${this.name}:${id}`;
      })
      @Get(':id')
      async read(@Param('id') id: string): Promise<string> {
        return `${id} ${held()}`;
      }
    }
    @Controller('cats')
    class Cats extends Crud<{ id: string }> {
      protected readonly name = 'cat';
    }
    @Controller('dogs')
    class Dogs extends Crud<{ id: string; bark: string }> {
      protected readonly name = 'dog';
      override async read(id: string): Promise<string> {
        return `own ${id} ${held()}`;
      }
    }
    const { fetch } = await bootHttp({ imports: [embedded()], controllers: [Cats, Dogs] });
    expect(await (await fetch('/cats', json({ id: '1' }))).text()).toBe('cat entity:1');
    expect(await (await fetch('/dogs', json({ id: '2' }))).text()).toBe('dog entity:2');
    expect(await (await fetch('/cats/1')).text()).toBe('1 cat:1');
    // An override without decorators is no route any more, and has no lock: as with guards.
    expect((await fetch('/dogs/1')).status).toBe(404);
  });

  it('abstract methods, mixins, #private and accessors', async () => {
    abstract class Job {
      @WithLock('job')
      async run(): Promise<string> {
        return this.work();
      }
      protected abstract work(): Promise<string>;
    }
    const Counted = <B extends abstract new (...args: any[]) => object>(base: B) => {
      abstract class Mixed extends base {
        count = 0;
        @WithLock('count')
        async add(): Promise<string> {
          this.count++;
          return held();
        }
      }
      return Mixed;
    };
    @Injectable()
    class Report extends Counted(Job) {
      #secret = 'secret';
      get name(): string {
        return this.#secret;
      }
      #text(): string {
        return `${this.#secret} ${held()}`;
      }
      protected async work(): Promise<string> {
        return this.#text();
      }
      @WithLock(function () {
        return `report:${this.name}`;
      })
      async print(): Promise<string> {
        return this.#text();
      }
    }
    const report = (await boot({ imports: [embedded()], providers: [Report] })).get(Report);
    await expect(report.run()).resolves.toBe('secret job');
    await expect(report.print()).resolves.toBe('secret report:secret');
    await expect(Promise.all([report.add(), report.add()])).resolves.toEqual(['count', 'count']);
    expect(report.count).toBe(2);
  });

  it('two locks on one method are both held, and both given back', async () => {
    class Transfers {
      constructor(readonly locks: DflockdService) {}
      @WithLock('from:{0}')
      @WithLock('to:{1}', { onBusy: 'skip' })
      async run(_from: string, _to: string): Promise<boolean[] | undefined> {
        return Promise.all(['from:a', 'to:b'].map(async (key) => (await this.locks.tryAcquire(key)) === null));
      }
    }
    const app = await boot({
      imports: [embedded()],
      providers: [
        { provide: Transfers, inject: [DflockdService], useFactory: (locks: DflockdService) => new Transfers(locks) },
      ],
    });
    const [transfers, locks] = [app.get(Transfers), app.get(DflockdService)];
    await expect(transfers.run('a', 'b')).resolves.toEqual([true, true]);
    const to = await locks.acquire('to:b');
    await expect(transfers.run('a', 'b')).resolves.toBeUndefined();
    for (const key of ['from:a']) expect(await (await locks.tryAcquire(key))!.release()).toBe(true);
    await to.release();
  });

  it('can be spied on at the prototype, and replaced', async () => {
    @Injectable()
    class Orders {
      @WithLock('order')
      async pay(): Promise<string> {
        return held();
      }
    }
    const spy = jest.spyOn(Orders.prototype, 'pay');
    const app = await boot({ imports: [embedded()], providers: [Orders] });
    await expect(app.get(Orders).pay()).resolves.toBe('order');
    expect(spy).toHaveBeenCalledTimes(1);
    spy.mockResolvedValueOnce('mocked');
    await expect(app.get(Orders).pay()).resolves.toBe('mocked');
    spy.mockRestore();
    await expect(app.get(Orders).pay()).resolves.toBe('order');
  });

  it('transient providers are each their own', async () => {
    @Injectable({ scope: Scope.TRANSIENT })
    class Part {
      count = 0;
      @WithLock('part')
      async add(): Promise<string> {
        return `${held()} ${++this.count}`;
      }
    }
    @Injectable()
    class One {
      constructor(@Inject(Part) readonly part: Part) {}
    }
    @Injectable()
    class Two {
      constructor(@Inject(Part) readonly part: Part) {}
    }
    const app = await boot({ imports: [embedded()], providers: [Part, One, Two] });
    const [a, b] = [app.get(One).part, app.get(Two).part];
    expect([await a.add(), await a.add(), await b.add()]).toEqual(['part 1', 'part 2', 'part 1']);
  });
});

describe('modules', () => {
  @Injectable()
  class Orders {
    @WithLock('order')
    async pay(): Promise<string> {
      return held();
    }
  }
  const moduleOf = (metadata: Parameters<typeof Module>[0]): Type => {
    @Module(metadata)
    class Some {}
    return Some;
  };

  it('may be imported before or after the lock module, or far below it', async () => {
    const feature = () => moduleOf({ providers: [Orders], exports: [Orders] });
    for (const imports of [
      [feature(), embedded()],
      [embedded(), feature()],
      [moduleOf({ imports: [moduleOf({ imports: [feature()] })] }), moduleOf({ imports: [embedded()] })],
    ]) {
      const app = await boot({ imports });
      await expect(app.get(Orders, { strict: false }).pay()).resolves.toBe('order');
    }
  });

  it('may be loaded lazily; what only a factory of theirs makes says that it is not reached', async () => {
    const app = await boot({ imports: [embedded()] });
    const lazy = moduleOf({ providers: [Orders, { provide: 'made', useFactory: () => new Orders() }] });
    const ref = await app.get(LazyModuleLoader).load(() => lazy);
    await expect(ref.get(Orders).pay()).resolves.toBe('order');
    await expect(ref.get<Orders>('made').pay()).rejects.toThrow(ConfigError);
    await expect(ref.get<Orders>('made').pay()).rejects.toThrow(/Orders\.pay.*let Nest create the object/);
  });

  it('that have no lock module fail at the first call, naming the cure', async () => {
    const app = await boot({ providers: [Orders] });
    await expect(app.get(Orders).pay()).rejects.toThrow(ConfigError);
    await expect(app.get(Orders).pay()).rejects.toThrow(/Orders\.pay.*Import DflockdModule\.forRoot\(\)/);
  });
});

describe('tasks that a locked method leaves behind', () => {
  class Tasks {
    readonly log: string[] = [];
    detached: Promise<unknown> = Promise.resolve();

    @WithLock('doc')
    async leave(how: 'join' | 'wait' | 'plain'): Promise<void> {
      const task = how === 'join' ? this.joins() : how === 'wait' ? this.waits() : this.later();
      this.detached = task.catch((error: Error) => this.log.push(error.constructor.name));
      this.log.push('left');
    }

    @WithLock('doc', { onNested: 'join' })
    async joins(): Promise<void> {
      await new Promise((resolve) => setTimeout(resolve, 30));
      this.log.push(`joined ${held()}`);
    }

    @WithLock('doc', { onNested: 'wait' })
    async waits(): Promise<void> {
      this.log.push(`waited ${held()}`);
    }

    async later(): Promise<void> {
      await new Promise((resolve) => setTimeout(resolve, 30));
      this.log.push(held());
      await this.again();
    }

    @WithLock('doc')
    async again(): Promise<void> {
      this.log.push(`again ${held()}`);
    }
  }

  it.each<['join' | 'wait' | 'plain', string[]]>([
    // Joining is for overrides that call super: anything else is refused, as by default.
    ['join', ['left', 'returned', 'NestedLockError']],
    // The lock is free before its method returns: a task that waits for it goes on in the same turn.
    ['wait', ['left', 'waited doc', 'returned']],
    ['plain', ['left', 'returned', 'unlocked', 'again doc']],
  ])('%s: %j', async (how, log) => {
    const tasks = (await boot({ imports: [embedded()], providers: [Tasks] })).get(Tasks);
    await tasks.leave(how);
    tasks.log.push('returned');
    await tasks.detached;
    await until(() => tasks.log.length === log.length);
    expect(tasks.log).toEqual(log);
  });
});
