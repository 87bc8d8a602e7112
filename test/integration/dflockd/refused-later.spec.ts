import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { AuthError, LockError } from '../../../lib/common/errors.js';
import { DflockdServer } from '../../../lib/daemon/server.js';
import { LockClient } from '../../../lib/locks/lock-client.js';
import type { LockClientOptions } from '../../../lib/locks/options/options.js';
import type { LockEvent } from '../../../lib/locks/events/events.js';
import { freePort } from '../../support/free-port.mjs';
import { inTime, until } from '../../support/until.js';

const TOKEN = 'the right one';
const REMOTE = { auth: TOKEN, reconnect: { minDelayMs: 5, maxDelayMs: 100 } };

let daemon: DflockdServer;
let port: number;
const closers: (() => Promise<unknown>)[] = [];

async function serve(authToken: string | undefined): Promise<void> {
  daemon = new DflockdServer({ port, authToken, shutdownTimeout: 0.01 });
  await daemon.listen();
}

async function restart(authToken: string | undefined): Promise<void> {
  await daemon.close();
  await serve(authToken);
}

async function open(options: LockClientOptions = {}) {
  const remote = { servers: [`127.0.0.1:${port}`], remote: REMOTE };
  const client = new LockClient({ ...remote, shutdownTimeoutS: 0.1, ...options } as LockClientOptions);
  closers.push(() => client.close());
  const events: LockEvent[] = [];
  client.events$.subscribe((event) => events.push(event));
  return { client, events };
}

const degraded = (events: LockEvent[]): string[] =>
  events.flatMap((event) => (event.type === 'degraded' ? [event.detail] : []));
const isRefused = (events: LockEvent[]) => degraded(events).some((detail) => detail.includes('token'));

const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

beforeEach(async () => {
  port = await freePort();
  await serve(TOKEN);
});

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  await daemon.close();
});

describe('a daemon whose token is wrong for a while after a restart', () => {
  it('is used again as soon as the token is right; its refusal is one event', async () => {
    const { client, events } = await open();
    await client.start();
    await restart('another');
    await until(() => isRefused(events), 'the event');
    const waiting = client.acquire('k', { acquireTimeoutS: 20 });
    const hopeless = failure(client.acquire('other', { acquireTimeoutS: 0.3 }));
    expect(await inTime(hopeless, 'the error')).toBeInstanceOf(AuthError);
    await restart(TOKEN);
    await (await inTime(waiting, 'the lock')).release();
    expect(degraded(events).filter((detail) => detail.includes('token'))).toHaveLength(1);
    expect(JSON.stringify(degraded(events))).not.toContain(TOKEN);
    expect(events.filter(({ type }) => type === 'connected')).toHaveLength(2);
  });

  it('keeps an acquire until its deadline, which then gets the AuthError', async () => {
    const { client, events } = await open();
    await client.start();
    await restart('another');
    await until(() => isRefused(events), 'the event');
    for (const acquireTimeoutS of [0.2, 0.4]) {
      const began = performance.now();
      const error = await failure(client.acquire('k', { acquireTimeoutS }));
      expect(error).toBeInstanceOf(AuthError);
      expect(error).toMatchObject({ isTransient: true });
      expect(performance.now() - began).toBeGreaterThanOrEqual(acquireTimeoutS * 1000 - 1);
    }
    expect(await inTime(failure(client.tryAcquire('k')), 'the error of a try')).toBeInstanceOf(LockError);
  });

  it('serves those again who stood in a queue when it went', async () => {
    const { client, events } = await open();
    const { client: holder } = await open();
    await holder.acquire('k');
    const waiting = client.acquire('k', { acquireTimeoutS: 20 });
    await until(async () => (await holder.stats())[0]!.locks[0]?.waiters === 1, 'the place');
    await restart('another');
    await until(() => isRefused(events), 'the event');
    await restart(TOKEN);
    expect((await inTime(waiting, 'the lock')).isHeld).toBe(true);
  });

  it.each([undefined, 'group'])('is listened to again (group %s)', async (group) => {
    const { client, events } = await open();
    const heard: string[] = [];
    const errors: unknown[] = [];
    client.signals.signal$('a', { group }).subscribe({
      next: ({ payload }) => heard.push(payload),
      error: (error) => errors.push(error),
    });
    const arrives = () =>
      until(async () => {
        await client.signals.emit('a', 'x').catch(() => undefined);
        return heard.length > 0;
      }, 'a signal');
    await arrives();
    await restart('another');
    await until(() => isRefused(events), 'the event');
    await restart(TOKEN);
    heard.length = 0;
    await arrives();
    expect(errors).toEqual([]);
  });

  it('is used again by a client that has found it so at its first use', async () => {
    await restart('another');
    const { client } = await open({ startup: 'lazy' });
    expect(await failure(client.acquire('k', { acquireTimeoutS: 5 }))).toBeInstanceOf(AuthError);
    await restart(TOKEN);
    const lock = await until(() => client.acquire('k', { acquireTimeoutS: 1 }).catch(() => undefined), 'the lock');
    await lock.release();
  });

  it('is used again by a client that has found nobody at its start', async () => {
    await daemon.close();
    const { client } = await open({ startup: 'connect' });
    await client.start();
    await serve('another');
    await until(async () => (await failure(client.acquire('k', { acquireTimeoutS: 1 }))) instanceof AuthError);
    await restart(TOKEN);
    const lock = await until(() => client.acquire('k', { acquireTimeoutS: 1 }).catch(() => undefined), 'the lock');
    await lock.release();
  });

  it('fails the first start for good, and nothing goes on behind it', async () => {
    await restart('another');
    const { client } = await open({ startup: 'connect' });
    const error = await failure(client.start());
    expect(error).toBeInstanceOf(AuthError);
    expect(error).toMatchObject({ isTransient: false });
    expect(await failure(client.acquire('k'))).toMatchObject({ code: 'SHUTTING_DOWN' });
    await until(() => daemon.connections === 0, 'the end of its connections');
  });
});

describe('a daemon that takes no token for a while', () => {
  it('is used again when it takes one', async () => {
    const { client, events } = await open();
    await client.start();
    await restart(undefined);
    await until(() => isRefused(events), 'the event');
    const waiting = client.acquire('k', { acquireTimeoutS: 20 });
    await restart(TOKEN);
    await (await inTime(waiting, 'the lock')).release();
  });

  it('and wants one from a client without', async () => {
    await restart(undefined);
    const { client, events } = await open({ remote: { ...REMOTE, auth: undefined } });
    await client.start();
    await restart(TOKEN);
    await until(() => isRefused(events), 'the event');
    const waiting = client.acquire('k', { acquireTimeoutS: 20 });
    await restart(undefined);
    await (await inTime(waiting, 'the lock')).release();
  });
});
