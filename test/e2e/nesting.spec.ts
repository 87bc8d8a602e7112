import { afterEach, describe, expect, it } from '@jest/globals';
import { Inject } from '@nestjs/common';
import { currentLock, DflockdService, NestedLockError, WithLock, type LockEvent } from '../../lib/entries/index.js';
import { closeAll, daemon, Gate, start } from './support.js';

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
