import { describe, expect, it } from '@jest/globals';
import { Controller, Get } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { DistributedSemaphore, LockClient } from '../../../lib/entries/client.js';
import { DflockdServer } from '../../../lib/entries/daemon.js';
import { CronLock, DflockdModule, DflockdService, LockRequest, WithLock } from '../../../lib/entries/index.js';
import { TestLocks } from '../../../lib/entries/testing.js';
import { resolveOptions } from '../../../lib/locks/options/resolve-options.js';

/** Each name with `undefined`. */
const absent = (...names: string[]): object => Object.fromEntries(names.map((name) => [name, undefined]));

const SECONDS = ['acquireTimeoutS', 'leaseTtlS'];
const CLIENT = [...SECONDS, 'namespace', 'startup', 'shutdownTimeoutS', 'maxHoldS'];
const ACQUIRE = [...SECONDS, 'limit', 'signal', 'autoRenew', 'requireFence', 'onNested'];
const REMOTE = [
  'tls', 'auth', 'shardingStrategy', 'connectTimeoutMs', 'requestTimeoutMs', 'readTimeoutS', 'renewRatio', 'reconnect',
  'autoRelease', 'commandLanes', 'maxWaitLanes', 'waitersPerKey', 'fencing',
]; // prettier-ignore
const EMBEDDED = ['listen', 'maxLocks', 'maxWaiters', 'defaultLeaseTtl', 'authToken'];

describe('an explicit undefined is an absent option', () => {
  it('of a client', () => {
    const all = absent(...CLIENT, 'servers', 'remote', 'embedded', 'backend');
    expect(resolveOptions(all)).toEqual(resolveOptions());
    const remote = { ...absent(...REMOTE), reconnect: absent('minDelayMs', 'maxDelayMs') };
    for (const given of [absent(...REMOTE), remote]) {
      expect(resolveOptions({ ...all, remote: given })).toEqual(resolveOptions({ remote: {} }));
    }
    expect(resolveOptions({ ...all, embedded: absent(...EMBEDDED) })).toEqual(resolveOptions({ embedded: {} }));
  });

  it('of what a client is asked', async () => {
    const client = new LockClient({ embedded: true, ...absent(...CLIENT) }, absent('clock', 'entropy', 'log'));
    const lock = await client.acquire('k', absent(...ACQUIRE));
    await lock.release();
    const ticket = client.enqueue('k', absent(...ACQUIRE));
    await (await ticket.wait(undefined))!.release();
    const options = absent(...ACQUIRE, 'onLost', 'minHoldS', 'maxHoldS');
    expect(await client.withLock('k', options, () => 1)).toBe(1);
    expect((await (await client.tryAcquire('k', absent(...ACQUIRE)))?.release()) ?? 'busy').toBe(true);
    client.signals.signal$('a.b', absent('group')).subscribe().unsubscribe();
    await client.close();
  });

  it('of the decorators and the module', async () => {
    class Orders {
      @WithLock(
        'k',
        absent(...SECONDS, 'onBusy', 'onLost', 'onNested', 'signal', 'limit', 'minHoldS', 'maxHoldS', 'instance'),
      )
      async ship(): Promise<number> {
        return 1;
      }
      @CronLock('job', { minHoldS: 0, ...absent('maxHoldS', 'leaseTtlS', 'instance') })
      async job(): Promise<void> {}
    }
    @Controller()
    class Lists {
      @Get()
      @LockRequest(() => 'k', absent(...SECONDS, 'onBusy', 'limit', 'until', 'maxHoldS', 'instance'))
      list(): void {}
    }
    const extras = absent('instance', 'isGlobal');
    const modules = [
      DflockdModule.forRoot({
        ...absent(...CLIENT, 'servers', 'remote', 'backend', 'exceptionFilter'),
        ...extras,
        embedded: {},
        logger: false,
      }),
      DflockdModule.forRootAsync({
        ...absent('imports', 'inject', 'useClass', 'useExisting', 'provideInjectionTokensFrom'),
        ...extras,
        useFactory: () => ({ embedded: true, logger: false, ...absent(...CLIENT, 'exceptionFilter') }),
      }),
      DflockdModule.forRoot({
        embedded: true,
        logger: undefined,
        exceptionFilter: { busyStatus: 409, keyStatus: undefined },
      }),
      DflockdModule.forRoot({ embedded: true, logger: false, exceptionFilter: absent('busyStatus', 'keyStatus') }),
      DflockdModule.forRootAsync({ useFactory: () => ({ embedded: true, logger: false, ...extras }) }),
      new TestLocks(absent(...SECONDS, 'namespace', 'shutdownTimeoutS', 'maxHoldS')).module({
        ...extras,
        ...absent('exceptionFilter', 'logger'),
      }),
    ];
    for (const dflockd of modules) {
      const module = await Test.createTestingModule({ imports: [dflockd], providers: [Orders], controllers: [Lists] })
        .setLogger({ log() {}, warn() {}, error() {} })
        .compile();
      await module.init();
      expect(await module.get(Orders).ship()).toBe(1);
      await module.get(Orders).job();
      expect(module.get(DflockdService).capabilities.order).toBe('strict');
      await module.close();
    }
  });

  it('of the daemon and the drop-in', async () => {
    const names = Object.keys(new DflockdServer().options);
    const server = new DflockdServer(absent(...names, 'tlsCert', 'tlsKey'), absent('clock', 'entropy', 'logger'));
    expect(server.options).toEqual(new DflockdServer().options);
    const own = [
      'servers',
      'host',
      'port',
      'shardingStrategy',
      'renewRatio',
      'tls',
      'auth',
      'onLockLost',
      'connectTimeoutMs',
      'socketTimeoutMs',
    ];
    const semaphore = new DistributedSemaphore({ key: 'k', limit: 3, ...absent(...SECONDS, ...own) });
    expect(JSON.stringify(semaphore)).toBe(JSON.stringify(new DistributedSemaphore({ key: 'k', limit: 3 })));
    expect(semaphore).toMatchObject({ acquireTimeoutS: 10, renewRatio: 0.5, servers: [['127.0.0.1', 6388]] });
  });
});
