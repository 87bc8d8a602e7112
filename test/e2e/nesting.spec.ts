import { afterEach, describe, expect, it } from '@jest/globals';
import { Inject } from '@nestjs/common';
import { currentLock, DflockdService, NestedLockError, WithLock, type LockEvent } from '../../lib/entries/index.js';
import { closeAll, daemon, Gate, start, until } from './support.js';

afterEach(closeAll);

class Base {
  constructor(@Inject(DflockdService) readonly locks: DflockdService) {}

  @WithLock('doc:{0}')
  async save(id: string): Promise<string> {
    return `saved ${id}`;
  }

  @WithLock('doc:{0}', { onNested: 'join' })
  async touch(id: string): Promise<string> {
    return `touched ${id} under ${currentLock()!.keys.join()}`;
  }

  @WithLock('doc:{0}', { onBusy: 'skip' })
  async maybe(_id: string): Promise<string | undefined> {
    return 'ran';
  }
}

class Child extends Base {
  @WithLock('doc:{0}')
  override async save(id: string): Promise<string> {
    return super.save(id);
  }

  @WithLock('doc:{0}')
  override async touch(id: string): Promise<string> {
    const touched = await super.touch(id);
    return `${touched}, ${currentLock()!.isHeld ? 'still held' : 'gone'}`;
  }

  @WithLock('doc:{0}')
  override async maybe(id: string): Promise<string | undefined> {
    return super.maybe(id);
  }
}

describe.each(['embedded', 'a daemon'])('an override that calls its decorated super, on %s', (where) => {
  const begin = async () => start(Child, where === 'embedded' ? { embedded: true } : { servers: [await daemon()] });

  it('is refused at once, instead of waiting for itself', async () => {
    const child = await begin();
    const began = performance.now();
    await expect(child.save('1')).rejects.toThrow(NestedLockError);
    expect(performance.now() - began).toBeLessThan(1000);
  });

  it('runs under the outer lock if super says so', async () => {
    const child = await begin();
    await expect(child.touch('1')).resolves.toBe('touched 1 under doc:1, still held');
    await using lock = await child.locks.tryAcquire('doc:1');
    expect(lock).not.toBeNull();
  });

  it('is skipped if super skips what is busy', async () => {
    const child = await begin();
    const events: LockEvent[] = [];
    child.locks.events$.subscribe((event) => events.push(event));
    await expect(child.maybe('1')).resolves.toBeUndefined();
    expect(events.filter(({ type }) => type === 'skipped')).toMatchObject([{ keys: ['doc:1'] }]);
  });
});

describe("onNested: 'join' on a decorator", () => {
  const special = Symbol('special');

  class Documents {
    atWork = 0;
    most = 0;
    readonly log: string[] = [];

    constructor(@Inject(DflockdService) readonly locks: DflockdService) {}

    @WithLock('doc:{0}', { onNested: 'join', acquireTimeoutS: 0 })
    async edit(_id: string, then?: () => Promise<unknown>): Promise<unknown> {
      this.most = Math.max(this.most, ++this.atWork);
      try {
        await new Promise((resolve) => setImmediate(resolve));
        return then ? await then() : currentLock()!.keys.join();
      } finally {
        this.atWork--;
      }
    }

    @WithLock('doc:{0}', { onNested: 'join', acquireTimeoutS: 0 })
    async print(id: string): Promise<string> {
      return `printed ${id}`;
    }

    @WithLock('doc:{0}', { onNested: 'join', acquireTimeoutS: 0 })
    async [special](id: string): Promise<string> {
      return `special ${id}`;
    }

    @WithLock('doc:{0}', { onNested: 'join', acquireTimeoutS: 0 })
    async *pages(id: string): AsyncGenerator<string> {
      yield `page of ${id} under ${currentLock()!.keys.join()}`;
    }
  }

  class Drafts extends Documents {
    override async edit(id: string, then?: () => Promise<unknown>): Promise<unknown> {
      return super.edit(id, then);
    }
  }

  class Letters extends Drafts {
    @WithLock('doc:{0}', { onNested: 'join', acquireTimeoutS: 0 })
    override async edit(id: string, then?: () => Promise<unknown>): Promise<unknown> {
      return super.edit(id, then);
    }

    @WithLock('doc:{0}', { acquireTimeoutS: 0 })
    override async [special](id: string): Promise<string> {
      return super[special](id);
    }

    @WithLock('doc:{0}', { acquireTimeoutS: 0 })
    override async *pages(id: string): AsyncGenerator<string> {
      yield* super.pages(id);
    }
  }

  class Forms extends Letters {
    @WithLock(['doc:{0}', 'form:{0}'], { acquireTimeoutS: 0 })
    override async edit(id: string, then?: () => Promise<unknown>): Promise<unknown> {
      return super.edit(id, then);
    }
  }

  it('joins from override to super, over several classes, also where one between has no lock', async () => {
    const forms = await start(Forms);
    await expect(forms.edit('1')).resolves.toBe('doc:1');
    await expect(forms[special]('1')).resolves.toBe('special 1');
    const pages: string[] = [];
    for await (const page of forms.pages('1')) pages.push(page);
    expect(pages).toEqual(['page of 1 under doc:1']);
    await using free = await forms.locks.tryAcquire(['doc:1', 'form:1']);
    expect(free).not.toBeNull();
  });

  it('joins what an override runs elsewhere in the context of its lock', async () => {
    let later!: () => Promise<unknown>;
    class Elsewhere extends Documents {
      @WithLock('doc:{0}', { acquireTimeoutS: 0 })
      override async edit(id: string): Promise<unknown> {
        const lock = currentLock()!;
        return new Promise((resolve, reject) => {
          later = () => lock.run(() => super.edit(id)).then(resolve, reject);
        });
      }
    }
    const documents = await start(Elsewhere);
    const edited = documents.edit('1');
    await until(() => later);
    await documents.locks.withLock('other', () => later());
    await expect(edited).resolves.toBe('doc:1');
  });

  it.each<[string, (forms: Forms) => Promise<unknown>]>([
    ['the same method once more', (forms) => forms.edit('1', () => forms.edit('1'))],
    ['another method', (forms) => forms.edit('1', () => forms.print('1'))],
    [
      'the super of another object',
      (forms) => forms.edit('1', () => Documents.prototype.edit.call(Object.create(forms), '1')),
    ],
    ['a method inside withLock', (forms) => forms.locks.withLock('doc:1', () => forms.print('1'))],
    [
      'the super of a method that has no lock itself',
      (forms) => forms.locks.withLock('doc:1', () => Documents.prototype.edit.call(forms, '1')),
    ],
  ])('is refused for %s', async (_, call) => {
    const forms = await start(Forms);
    await expect(call(forms)).rejects.toThrow(NestedLockError);
    expect(forms.most).toBeLessThan(2);
    await using free = await forms.locks.tryAcquire('doc:1');
    expect(free).not.toBeNull();
  });

  it('is refused for a method without an override that calls itself', async () => {
    const documents = await start(Documents);
    await expect(documents.edit('1', () => documents.edit('1'))).rejects.toThrow(NestedLockError);
    expect(documents.most).toBe(1);
  });

  it('is refused for an override that its own super calls', async () => {
    const letters = await start(Letters);
    await expect(letters.edit('1', () => letters.edit('1'))).rejects.toThrow(NestedLockError);
    expect(letters.most).toBe(1);
  });

  it('took another slot of a semaphore for super, until overrides that had all slots waited for each other', async () => {
    class Pool {
      arrived = 0;

      @WithLock('pool', { limit: 2, onNested: 'join', acquireTimeoutS: 0 })
      async work(): Promise<string> {
        return currentLock()!.keys.join();
      }
    }
    class Crowded extends Pool {
      @WithLock('pool', { limit: 2 })
      override async work(): Promise<string> {
        this.arrived++;
        await until(() => this.arrived === 2);
        return super.work();
      }
    }
    const pool = await start(Crowded);
    expect(await Promise.all([pool.work(), pool.work()])).toEqual(['pool', 'pool']);
  });

  it('is refused where super wants more keys than the override holds', async () => {
    class More extends Documents {
      @WithLock(['doc:{0}', 'more:{0}'], { onNested: 'join' })
      override async print(id: string): Promise<string> {
        return `more ${id}`;
      }
    }
    class Less extends More {
      @WithLock('doc:{0}')
      override async print(id: string): Promise<string> {
        return super.print(id);
      }
    }
    const less = await start(Less);
    await expect(less.print('1')).rejects.toThrow(NestedLockError);
  });

  it('lets no task of a shared queue work under the lock of another request', async () => {
    const letters = await start(Letters);
    const tasks: (() => Promise<unknown>)[] = [];
    const queued = new Promise<unknown>((resolve) => {
      tasks.push(() => letters.edit('1').then(resolve, resolve));
    });
    // Request 1 works the queue off, in its own context; the task is that of request 2.
    await letters.edit('1', async () => {
      await Promise.all(tasks.map((task) => task()));
    });
    expect(await queued).toBeInstanceOf(NestedLockError);
    expect(letters.most).toBe(1);
  });
});

describe.each(['embedded', 'a daemon', 'three shards'])('a method with several keys, on %s', (where) => {
  class Bank {
    readonly gate = new Gate();
    running = 0;
    most = 0;

    constructor(@Inject(DflockdService) readonly locks: DflockdService) {}

    @WithLock(['account:{0}', 'account:{1}'])
    async transfer(_from: string, _to: string): Promise<readonly string[]> {
      this.most = Math.max(this.most, ++this.running);
      await new Promise((resolve) => setTimeout(resolve, 1));
      this.running--;
      return currentLock()!.keys;
    }

    @WithLock((...ids: string[]) => ids.map((id) => `account:${id}`), { onBusy: 'skip' })
    async close(..._ids: string[]): Promise<string | undefined> {
      return 'closed';
    }
  }

  const begin = async () => {
    if (where === 'embedded') return start(Bank);
    const servers = await Promise.all(Array.from({ length: where === 'a daemon' ? 1 : 3 }, () => daemon()));
    return start(Bank, { servers });
  };

  it('holds them all, in whatever order they come', async () => {
    const bank = await begin();
    const all = await Promise.all(
      Array.from({ length: 12 }, (_, i) => (i % 2 ? bank.transfer('a', 'b') : bank.transfer('b', 'a'))),
    );
    expect(all).toEqual(all.map(() => ['account:a', 'account:b']));
    expect(bank.most).toBe(1);
    await expect(bank.transfer('c', 'c')).resolves.toEqual(['account:c']);
  });

  it('takes none when one of them is busy', async () => {
    const bank = await begin();
    {
      await using busy = await bank.locks.acquire('account:y');
      expect(busy.isHeld).toBe(true);
      await expect(bank.close('x', 'y', 'z')).resolves.toBeUndefined();
      await using free = await bank.locks.tryAcquire(['account:x', 'account:z']);
      expect(free!.keys).toEqual(['account:x', 'account:z']);
    }
    await expect(bank.close('x', 'y', 'z')).resolves.toBe('closed');
  });
});
