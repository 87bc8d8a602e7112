import { EventEmitter } from 'node:events';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { LockClient } from '../../../../lib/locks/lock-client.js';
import type { RawResponse } from '../../../../lib/nest/requests/response.js';
import { RequestLock, requestLock, type Until } from '../../../../lib/nest/requests/request-lock.js';
import { until } from '../../../support/until.js';

let client: LockClient;

beforeEach(async () => {
  client = await LockClient.connect({ embedded: true });
});
afterEach(() => client.close());

const isFree = async (): Promise<boolean> => {
  await using lock = await client.tryAcquire('k');
  return lock !== null;
};

/** A handler of the request with this response begins. */
function enter(response: object | undefined, wanted: Until = 'response', key = 'k'): RequestLock {
  const raw = response as RawResponse | undefined;
  const lock = requestLock(
    raw,
    key,
    (ended) =>
      new RequestLock(key, (signal) => client.enter(key, { signal, onNested: 'wait', acquireTimeoutS: 5 }), raw, ended),
  );
  lock.enter(wanted);
  return lock;
}

/** It settles. */
async function settle(lock: RequestLock): Promise<void> {
  await lock.settled(await lock.scope, false);
  lock.leave();
}

describe('the lock of a request', () => {
  it.each<[string, () => object | undefined]>([
    ['that is there in no transport', () => undefined],
    ['without events', () => ({})],
    [
      'whose events are methods that do nothing',
      () => ({ once: () => undefined, listenerCount: () => 0, destroy() {} }),
    ],
    ['that has ended before', () => ({ once: () => undefined, writableFinished: true })],
    ['that is closed', () => ({ once: () => undefined, closed: true })],
    ['that is destroyed', () => ({ once: () => undefined, destroyed: true })],
  ])('ends with its last handler, for a response %s', async (_, make) => {
    const lock = enter(make());
    await lock.scope;
    expect(await isFree()).toBe(false);
    await settle(lock);
    expect(await isFree()).toBe(true);
  });

  it.each(['finish', 'close'])('ends at %s, and not before, for a mock that emits only that', async (event) => {
    const response = Object.assign(new EventEmitter(), { writableFinished: false });
    await settle(enter(response));
    expect(await isFree()).toBe(false);
    response.emit(event);
    await until(isFree);
  });

  it.each<[string, () => object]>([
    ['an emitter that emits nothing', () => new EventEmitter()],
    ['something with once() that calls nobody', () => ({ once: () => undefined })],
    [
      'a response without a socket that has ended',
      () => {
        const response = new ServerResponse(new IncomingMessage(new Socket()));
        response.end('done');
        return response;
      },
    ],
    [
      'a stream whose events are kept from it',
      () => {
        const response = new PassThrough();
        response.emit = () => false;
        response.end();
        response.resume();
        return response;
      },
    ],
  ])('ends soon after its last handler, for %s', async (_, make) => {
    await settle(enter(make()));
    await until(isFree);
  });

  it('a client that leaves does not free it while a handler runs', async () => {
    const response = new PassThrough();
    const lock = enter(response);
    await lock.scope;
    response.destroy();
    await new Promise((resolve) => response.once('close', resolve));
    expect(await isFree()).toBe(false);
    await settle(lock);
    await until(isFree);
  });

  it('and others of the same request had Node warn of a leak of listeners', async () => {
    const response = new PassThrough();
    const before = response.listenerCount('close');
    const all = Array.from({ length: 20 }, (_, i) => enter(response, 'response', i === 0 ? 'k' : `k${i}`));
    expect(response.listenerCount('close') - before).toBe(1);
    for (const lock of all) await settle(lock);
    expect(await isFree()).toBe(false);
    response.destroy();
    await until(async () => (client.toJSON() as { held: number }).held === 0);
  });

  it('lasts with the response if one of its handlers wants that', async () => {
    const response = new PassThrough();
    const [first, second] = [enter(response, 'handler'), enter(response, 'response')];
    expect(second).toBe(first);
    await settle(second);
    await settle(first);
    expect(await isFree()).toBe(false);
    response.end();
    response.resume();
    await until(isFree);
  });

  it('that has ended is not shared any more: who comes later takes it anew', async () => {
    const response = new PassThrough();
    const first = enter(response, 'handler');
    const leaving = first.settled(await first.scope, false);
    const second = enter(response, 'handler');
    expect(second).not.toBe(first);
    await leaving;
    first.leave();
    expect((await second.scope).loss).toBeUndefined();
    expect(await isFree()).toBe(false);
    await settle(second);
    expect(await isFree()).toBe(true);
  });

  it('that could not be taken is not shared either', async () => {
    await using held = await client.acquire('k');
    const response = new PassThrough();
    const first = enter(response);
    response.destroy();
    await expect(first.scope).rejects.toMatchObject({ code: 'ACQUIRE_TIMEOUT', key: 'k' });
    first.leave();
    await held.release();
    const second = enter(response);
    expect(second).not.toBe(first);
    await second.scope;
    await settle(second);
    expect(await isFree()).toBe(true);
  });
});
