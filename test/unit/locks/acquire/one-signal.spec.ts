import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { getEventListeners } from 'node:events';
import { EmbeddedBackend } from '../../../../lib/backends/embedded/embedded.js';
import { MaxWaitersError } from '../../../../lib/common/errors.js';
import { LockClient } from '../../../../lib/locks/lock-client.js';
import { resolveEmbedded } from '../../../../lib/backends/embedded/options.js';
import { FakeClock, FakeEntropy, settlePromises } from '../../../support/fake-clock.js';

const listenersOf = (signal: AbortSignal) => getEventListeners(signal, 'abort').length;

let clock: FakeClock;
let backend: EmbeddedBackend;
let client: LockClient;
beforeEach(async () => {
  clock = new FakeClock();
  backend = new EmbeddedBackend(resolveEmbedded(true), clock, new FakeEntropy());
  client = await LockClient.connect({ backend, acquireTimeoutS: 60 }, { clock, entropy: new FakeEntropy() });
});
afterEach(() => client.close());

describe('one AbortSignal for many acquires', () => {
  it('has one listener while they wait, which is no leak to warn of, and none afterwards', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const held = await client.acquire(['a', 'b']);
    const waits = [
      ...Array.from({ length: 11 }, () => client.acquire('a', { signal })),
      ...Array.from({ length: 11 }, () => client.acquire(['a', 'b'], { signal })),
      ...Array.from({ length: 11 }, () => client.enqueue('b', { signal }).wait(60)),
    ];
    const settled = Promise.allSettled(waits);
    await settlePromises();
    expect(listenersOf(signal)).toBe(1);
    controller.abort('enough');
    expect(await settled).toEqual(waits.map(() => ({ status: 'rejected', reason: 'enough' })));
    expect(listenersOf(signal)).toBe(0);
    expect(await held.release()).toBe(true);
    expect((await client.stats())[0]!.locks).toEqual([]);
  });

  it('has none when they have been granted', async () => {
    const { signal } = new AbortController();
    const tries = Array.from({ length: 11 }, (_, i) => client.tryAcquire(`k${i}`, { signal }));
    expect(listenersOf(signal)).toBe(1);
    for (const lock of await Promise.all(tries)) await lock!.release();
    for (let i = 0; i < 3; i++) await (await client.acquire(['a', 'b'], { signal })).release();
    expect(listenersOf(signal)).toBe(0);
  });

  it('has none of a ticket that was refused at once', async () => {
    const { signal } = new AbortController();
    const enqueue = backend.enqueue.bind(backend);
    backend.enqueue = (req, mode, waiter) => {
      if (req.key !== 'full') return enqueue(req, mode, waiter);
      waiter.refused(new MaxWaitersError({ key: req.key }));
      return { cancel: () => undefined };
    };
    await expect(client.enqueue('full', { signal }).placed).rejects.toBeInstanceOf(MaxWaitersError);
    expect(listenersOf(signal)).toBe(0);
  });

  it('takes the place of a ticket with it, also from within the backend', async () => {
    const controller = new AbortController();
    const enqueue = backend.enqueue.bind(backend);
    backend.enqueue = (req, mode, waiter) => {
      controller.abort('from within');
      return enqueue(req, mode, waiter);
    };
    const ticket = client.enqueue('a', { signal: controller.signal });
    await expect(ticket.wait()).rejects.toBe('from within');
    await settlePromises();
    expect((await client.stats())[0]!.locks).toEqual([]);
  });
});
