import { describe, expect, it } from '@jest/globals';
import type { BackendFactory, BackendHost } from '../../../../lib/backends/backend.js';
import { EmbeddedBackend } from '../../../../lib/backends/embedded/embedded.js';
import { RemoteBackend } from '../../../../lib/backends/dflockd/remote.js';
import { AuthError, ConfigError } from '../../../../lib/common/errors.js';
import type { ServerStats } from '../../../../lib/protocol/server-stats.js';
import { LockClient } from '../../../../lib/locks/lock-client.js';
import { makeBackend, remarkOn } from '../../../../lib/locks/options/choose-backend.js';
import { resolveOptions } from '../../../../lib/locks/options/resolve-options.js';
import { memoryBackend } from '../../../support/memory-backend.js';
import { FakeClock, FakeEntropy } from '../../../support/fake-clock.js';
import { FakeBackend } from '../support/fake-backend.js';

const host: BackendHost = {
  clock: new FakeClock(),
  entropy: new FakeEntropy(),
  log: () => undefined,
};

const messageOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as Error).message;
  }
  throw new Error('it throws nothing');
};

describe('the backend that options name', () => {
  it('is the one', () => {
    const own = new FakeBackend();
    const make = (options: Parameters<typeof resolveOptions>[0]) => makeBackend(resolveOptions(options).backend, host);
    expect(make({})).toBeInstanceOf(RemoteBackend);
    expect(make({ embedded: true })).toBeInstanceOf(EmbeddedBackend);
    expect(make({ backend: own }).name).toBe('fake');
    expect(make({ backend: () => new FakeBackend() }).name).toBe('fake');
  });

  it('has a remark where its locks exclude no other process', () => {
    const remark = (options: Parameters<typeof resolveOptions>[0]) => remarkOn(resolveOptions(options).backend);
    expect(remark({ embedded: true })).toMatch(/^locks are local to this process/);
    expect(remark({ embedded: { listen: '127.0.0.1:0' } })).toBeUndefined();
    expect(remark({})).toBeUndefined();
  });
});

describe('a backend factory', () => {
  it('gets the clock, the randomness and the log of its client', () => {
    const clock = new FakeClock();
    const entropy = new FakeEntropy();
    const said: string[] = [];
    const hosts: BackendHost[] = [];
    const backend: BackendFactory = (host) => {
      hosts.push(host);
      return new FakeBackend(host.clock);
    };
    const client = new LockClient({ backend }, { clock, entropy, log: (_, message) => said.push(message) });
    expect(hosts).toEqual([{ clock, entropy, log: expect.any(Function) }]);
    expect(hosts[0]!.clock).toBe(clock);
    hosts[0]!.log('warn', 'careful');
    expect(said).toEqual(['careful']);
    expect(client.options.backend).toEqual({ kind: 'custom', name: 'fake' });
    expect(client.toJSON()).toMatchObject({ servers: ['fake'] });
  });

  it('gets deadlines by the clock of its client', async () => {
    const clock = new FakeClock({ now: 5000 });
    const deadlines: number[] = [];
    const backend: BackendFactory = (host) => {
      const made = new FakeBackend(host.clock);
      made.onEnqueue = async (req) => {
        deadlines.push(req.deadline - host.clock.now());
        return made.grantFor(req);
      };
      return made;
    };
    await new LockClient({ backend, acquireTimeoutS: 7 }, { clock }).acquire('k');
    expect(deadlines).toEqual([7000]);
  });

  it('can be written with what the package exports', async () => {
    const backend = memoryBackend();
    const [first, second] = [new LockClient({ backend }), new LockClient({ backend, acquireTimeoutS: 5 })];
    const lock = await first.acquire('k'.repeat(1000));
    expect(await second.tryAcquire('k'.repeat(1000))).toBeNull();
    expect(await second.isLocked('k'.repeat(1000))).toBe(true);
    const waiting = second.acquire('k'.repeat(1000));
    await lock.release();
    expect((await waiting).isHeld).toBe(true);
    const holders: number = (await second.stats())[0]!.holders;
    expect(holders).toBe(1);
    await first.close();
    await second.close();
  });

  it('makes a backend for each client, which closes its own and no other', async () => {
    const made: FakeBackend[] = [];
    const backend: BackendFactory = ({ clock }) => made[made.push(new FakeBackend(clock)) - 1]!;
    const [first, second] = [new LockClient({ backend }), new LockClient({ backend })];
    await first.start();
    await second.start();
    await first.close();
    expect(made.map(({ log }) => log)).toEqual([['start', 'close'], ['start']]);
    const lock = await second.acquire('k');
    expect(lock.isHeld).toBe(true);
    await second.close();
  });

  it('may refuse with an error of its own', () => {
    const error = new AuthError();
    const backend = (): never => {
      throw error;
    };
    expect(() => new LockClient({ backend })).toThrow(error);
  });

  it.each<[string, () => unknown, string]>([
    [
      'throws something else',
      () => {
        throw new TypeError('no url');
      },
      'option backend: the factory threw TypeError: no url',
    ],
    [
      'throws no error',
      () => {
        throw 'no url';
      },
      'option backend: the factory threw no url',
    ],
    ['returns nothing', () => undefined, 'expected a factory that returns a LockBackend, got undefined'],
    ['returns a promise', () => Promise.reject(new Error('too late')), 'got [object Promise]'],
    ['returns half a backend', () => ({ start: () => undefined }), '(tryAcquire, enqueue, renew, release, abandon,'],
    ['is a class', FakeBackend as never, 'option backend: the factory threw TypeError: Class constructor'],
  ])('that %s makes no client', (_what, backend, message) => {
    expect(messageOf(() => new LockClient({ backend: backend as never }))).toContain(message);
  });

  it('that returns what another client has is refused', () => {
    const only = new FakeBackend();
    const backend = () => only;
    new LockClient({ backend });
    expect(messageOf(() => new LockClient({ backend }))).toBe(
      'option backend: "fake" belongs to another client already; the factory must make a new one on each call',
    );
  });
});

describe('what stats tells', () => {
  it('is what the backend tells, and what dflockd tells by default', async () => {
    class Counting extends FakeBackend {
      override async stats(): Promise<{ server: string; ops: number }[]> {
        return [{ server: 'fake', ops: 7 }];
      }
    }
    // The types are the test as well.
    const made = new LockClient({ backend: ({ clock }) => new Counting(clock) });
    const ops: number = (await made.stats())[0]!.ops;
    const given = await LockClient.connect({ backend: new Counting() });
    const told: readonly { ops: number }[] = await given.stats();
    expect([ops, told]).toEqual([7, [{ server: 'fake', ops: 7 }]]);
    const usual = new LockClient({ embedded: true });
    const stats: ServerStats[] = await usual.stats();
    expect(stats).toMatchObject([{ server: 'embedded', connections: 0, locks: [] }]);
    await made.close();
    await given.close();
    await usual.close();
  });
});

describe('an instance of a backend', () => {
  it('belongs to one client, also when that has been closed', async () => {
    const backend = new FakeBackend();
    const first = new LockClient({ backend });
    const message =
      'option backend: "fake" belongs to another client already; ' +
      'pass a factory, (host) => LockBackend, so that each client makes its own';
    expect(messageOf(() => new LockClient({ backend }))).toBe(message);
    await first.close();
    expect(messageOf(() => new LockClient({ backend }))).toBe(message);
  });

  it('is not taken by a client that is refused for its other options, or for its capabilities', () => {
    const backend = new FakeBackend();
    messageOf(() => new LockClient({ backend, leaseTtlS: -1 }));
    const { capabilities } = backend;
    backend.capabilities = { ...capabilities, maxKeyBytes: 1 };
    expect(messageOf(() => new LockClient({ backend }))).toContain('maxKeyBytes');
    backend.capabilities = capabilities;
    expect(new LockClient({ backend }).toJSON()).toMatchObject({ servers: ['fake'] });
  });
});
