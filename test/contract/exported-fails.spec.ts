import { beforeAll, describe, expect, it } from '@jest/globals';
import type { BackendHost, Capabilities, Grant, LockBackend, RenewalRequest } from '../../lib/entries/client.js';
import { describeBackend } from '../../lib/entries/testing/backend.js';
import { MemoryBackend, MemoryStore } from '../support/memory-backend.js';

/** The tests of the suite on a backend that is changed by `spoil`, to be run one by one. */
function testsOf(spoil: (backend: MemoryBackend, made: MemoryBackend[]) => LockBackend | void) {
  const tests = new Map<string, () => Promise<void>>();
  const runner = {
    describe: (_: string, define: () => void) => define(),
    it: (name: string, run: () => Promise<void>) => void tests.set(name, run),
  };
  describeBackend(runner, 'spoilt', () => {
    const store = new MemoryStore();
    const made: MemoryBackend[] = [];
    const connect = (host: BackendHost): LockBackend => {
      const backend = new MemoryBackend(store, host);
      made.push(backend);
      return spoil(backend, made) ?? backend;
    };
    return { connect };
  });
  return tests;
}

const promise = (change: Partial<Capabilities>) => (backend: MemoryBackend) => {
  Object.assign(backend, { capabilities: { ...backend.capabilities, ...change } });
};

describe('the exported suite', () => {
  let names: string[];

  beforeAll(() => {
    names = [...testsOf(() => undefined).keys()];
  });

  it.each<[test: RegExp, fault: string, spoil: (backend: MemoryBackend, made: MemoryBackend[]) => LockBackend | void]>([
    [/^refuses a held lock/, 'gives one lock to two', (backend) => {
      const { tryAcquire } = backend;
      backend.tryAcquire = (req) => tryAcquire.call(backend, { ...req, key: `${req.key}${Math.random()}` });
    }],
    [/^refuses a held lock/, 'promises fences and has none', promise({ fence: 'per-key' })],
    [/^grants leases in its own unit/, 'promises another unit', promise({ leaseUnitMs: 1000 })],
    [/^grants its minimum lease/, 'grants less than its least lease', (backend) => {
      const { tryAcquire } = backend;
      backend.tryAcquire = async (req): Promise<Grant | null> => {
        const grant = await tryAcquire.call(backend, req);
        return grant && { ...grant, leaseMs: req.leaseMs };
      };
    }],
    [/^accepts keys/, 'takes shorter keys than it says', (backend) => {
      const { tryAcquire } = backend;
      backend.tryAcquire = (req) => tryAcquire.call(backend, { ...req, key: req.key.slice(0, 256) });
    }],
    [/^grants as many slots/, 'promises no semaphores and has some', promise({ semaphores: false })],
    [/^gives each ticket/, 'promises tickets and has none', promise({ tickets: true })],
    [/^supports signals/, 'promises signals and has none', promise({ signals: true })],
    [/^reports whether a key is locked/, 'promises nothing and tells', promise({ inspect: 'none' })],
    [/^renews/, 'has proof of the time after the answer', (backend) => {
      const { renew } = backend;
      backend.renew = async (grant, leaseMs) => ({ ...(await renew.call(backend, grant, leaseMs)), validFrom: Infinity });
    }],
    [/^renews many at once/, 'has renewed what is gone', (backend) => {
      const renewAll = (requests: readonly RenewalRequest[]): void => {
        for (const { renewed, leaseMs } of requests) renewed({ validFrom: performance.now(), leaseMs });
      };
      Object.assign(backend, { renewAll });
    }],
    [/^renews many at once/, 'answers twice', (backend) => {
      const renewAll = (requests: readonly RenewalRequest[]): void => {
        for (const { grant, leaseMs, renewed, failed } of requests) {
          backend.renew(grant, leaseMs).then(renewed, failed).then(() => failed(new Error('or not')), failed);
        }
      };
      Object.assign(backend, { renewAll });
    }],
    [/^fails with errors/, 'renews when it is closed', (backend) => {
      const renewAll = (requests: readonly RenewalRequest[]): void => {
        for (const { renewed, leaseMs } of requests) renewed({ validFrom: performance.now(), leaseMs });
      };
      Object.assign(backend, { renewAll });
    }],
    [/^reports a released lock as gone/, 'has released twice', (backend) => {
      backend.release = (_grant, done) => done('released');
    }],
    [/^fails with errors of this package/, 'throws another error when it is closed', (backend) => {
      const { close } = backend;
      backend.close = async () => {
        await close.call(backend);
        backend.enqueue = () => {
          throw new TypeError('closed');
        };
      };
    }],
    [/^grants a free lock to/, 'says more than one last word', (backend) => {
      const { enqueue } = backend;
      backend.enqueue = (req, mode, waiter) => {
        const pending = enqueue.call(backend, req, mode, waiter);
        waiter.refused(new Error('or not'));
        return pending;
      };
    }],
    [/^works for every client of a factory/, 'is one for all clients', (_backend, made) => made[0]!],
    [/^grants a free lock, with/, 'grants another request', (backend) => {
      const { tryAcquire } = backend;
      backend.tryAcquire = async (req): Promise<Grant | null> => {
        const grant = await tryAcquire.call(backend, req);
        return grant && { ...grant, req: { ...req } };
      };
    }],
  ])('%s fails where the backend %s', async (test, _fault, spoil) => {
    const name = names.find((one) => test.test(one))!;
    await testsOf(() => undefined).get(name)!();
    await expect(testsOf(spoil).get(name)!()).rejects.toThrow();
  }); // prettier-ignore
});
