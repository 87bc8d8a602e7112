import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { DflockdServer } from '../../../lib/daemon/server.js';
import { DistributedLock } from '../../../lib/dropin/dflockd-client/distributed-lock.js';
import { DistributedSemaphore } from '../../../lib/dropin/dflockd-client/distributed-semaphore.js';
import { SignalConnection } from '../../../lib/dropin/dflockd-client/signal-connection.js';
import type { LockEvent, LockLostEvent } from '../../../lib/locks/events/events.js';
import { LockClient } from '../../../lib/locks/lock-client.js';
import { DflockdService } from '../../../lib/nest/dflockd.service.js';
import { DflockdSignals } from '../../../lib/nest/dflockd.signals.js';
import { TestLocks } from '../../../lib/testing/test-locks.js';
import { until } from '../../support/until.js';

const SECRET = 's3cr3t';

/** Every way in which a program prints an object without meaning to show its inside. */
function prints(value: unknown): string[] {
  const ways = [
    inspect(value),
    inspect(value, { depth: Infinity }),
    inspect(value, { depth: Infinity, showHidden: true, customInspect: false, getters: false }),
    inspect({ value }),
    inspect([[[{ value }]]], { depth: 3 }),
    JSON.stringify(value),
    inspect({ ...(value as object) }),
  ];
  try {
    assert.strictEqual(value, null);
  } catch (error) {
    ways.push((error as Error).message);
  }
  try {
    ways.push(inspect(structuredClone(value), { depth: Infinity }));
  } catch {
    // It cannot be cloned, and shows nothing.
  }
  try {
    expect(value).toBeNull();
  } catch (error) {
    ways.push((error as Error).message);
  }
  return ways;
}

function shows(value: unknown, ...secrets: string[]): void {
  for (const text of prints(value)) {
    for (const secret of secrets) expect(text).not.toContain(secret);
    // Room for the stack of an error, whose paths may be long.
    expect(text.length).toBeLessThan(12_000);
  }
}

describe('with a daemon that wants a token', () => {
  let server: DflockdServer;
  let client: LockClient;
  let address: string;
  let port: number;

  beforeEach(async () => {
    server = new DflockdServer({ port: 0, authToken: SECRET, shutdownTimeout: 0.2 });
    ({ port } = await server.listen());
    address = `127.0.0.1:${port}`;
    client = await LockClient.connect({ servers: [address], remote: { auth: SECRET, fencing: 'token' } });
  });
  afterEach(async () => {
    await client.close();
    await server.close();
  });

  it('a client prints where its locks live, and how it is', async () => {
    expect(inspect(client)).toBe(`LockClient { servers: [ '${address}' ], held: 0, state: 'open' }`);
    const lock = await client.acquire('k');
    expect(JSON.parse(JSON.stringify(client))).toEqual({ servers: [address], held: 1, state: 'open' });
    shows(client, SECRET, lock.token);
    shows(client.options, SECRET);
    shows(client.signals, SECRET);
    expect(client.options).toMatchObject({ backend: { config: { auth: true, tls: false } } });
    await client.close();
    expect(inspect(client)).toBe(`LockClient { servers: [ '${address}' ], held: 0, state: 'closed' }`);
  });

  it('a service and its signals print as short', () => {
    const service = new DflockdService(client);
    expect(inspect(service)).toBe(`DflockdService { servers: [ '${address}' ], held: 0, state: 'open' }`);
    shows(service, SECRET);
    shows(new DflockdSignals(service), SECRET);
    // What wraps the service, as mocks and tracers do, still reaches it.
    expect(new Proxy(service, {}).events$).toBe(client.events$);
  });

  it('a handle prints its keys, and no token', async () => {
    const [lock, other] = [await client.acquire('k'), await client.acquire('other')];
    const fence = lock.fence!.toString();
    const shown = { keys: ['k'], server: address, fence, isHeld: true, waitedMs: lock.waitedMs };
    expect(inspect(lock, { breakLength: Infinity })).toBe(`LockHandle ${inspect(shown, { breakLength: Infinity })}`);
    shows(lock, SECRET, lock.token, other.token);
    expect(() => assert.strictEqual(lock, null)).toThrow(/keys: \[/);
    await client.withLock('joined', async (held) => {
      const part = await client.acquire('joined', { onNested: held });
      shows(part, SECRET, part.token);
      await part.release();
    });
    await Promise.all([lock.release(), other.release()]);
  });

  it('a handle that has been frozen can still be renewed and released', async () => {
    const lock = Object.freeze(await client.acquire('k'));
    await expect(lock.renew()).resolves.toBeGreaterThan(0);
    await expect(lock.release()).resolves.toBe(true);
    expect(await client.tryAcquire('k')).not.toBeNull();
  });

  it('a ticket prints its key, and where it is', async () => {
    const held = await client.acquire('k');
    const ticket = client.enqueue('k');
    expect(await ticket.placed).toBe('queued');
    expect(inspect(ticket)).toBe("LockTicket { keys: [ 'k' ], state: 'queued' }");
    shows(ticket, SECRET, held.token);
    await held.release();
    const lock = (await ticket.wait())!;
    shows(ticket, SECRET, lock.token);
    await lock.release();
  });

  it('grants and events are JSON with fences as text and without tokens', async () => {
    const events: LockEvent[] = [];
    const losses: LockLostEvent[] = [];
    client.events$.subscribe((event) => events.push(event));
    client.lockLost$.subscribe((event) => losses.push(event));
    const [one, two] = [await client.acquire('one'), await client.acquire(['a', 'b'])];
    const { token } = one;
    const tokens = [token, ...two.grants.map((grant) => grant.token)];
    expect(new Set(tokens).size).toBe(3);
    expect(one.grants[0]!.fence).toBe(one.fence);
    expect(JSON.parse(JSON.stringify(one.grants))).toEqual([{ key: 'one', server: address, fence: `${one.fence}` }]);
    await server.close();
    await until(() => losses.length === 2, 'both losses');
    for (const event of [...events, ...losses]) {
      expect(typeof (event as { toJSON?: unknown }).toJSON).toBe('function');
      shows(event, SECRET, ...tokens);
    }
    for (const grant of [...one.grants, ...two.grants]) shows(grant, SECRET, ...tokens);
    const lost = JSON.parse(JSON.stringify(losses[0])) as Record<string, any>;
    expect(lost).toMatchObject({ type: 'lost', keys: ['one'], grants: [{ key: 'one', fence: `${one.fence}` }] });
    expect(lost.error).toMatchObject({
      name: 'LockLostError',
      code: 'LOCK_LOST',
      key: 'one',
      reason: losses[0]!.reason,
    });
    expect(lost.error.message).toBe(losses[0]!.error!.message);
    expect(events.map(({ type }) => type)).toEqual(expect.arrayContaining(['acquired', 'lost', 'disconnected']));
    const down = events.find(({ type }) => type === 'disconnected')!;
    expect(JSON.parse(JSON.stringify(down))).toMatchObject({ type: 'disconnected', server: address });
  });

  it('an error is JSON, whatever a locked function returned', async () => {
    const running = client.withLock('k', async () => {
      await server.close();
      return { big: 1n };
    });
    const error = await running.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ settled: { value: { big: 1n } } });
    expect(JSON.parse(JSON.stringify(error))).toMatchObject({ name: 'LockLostError', code: 'LOCK_LOST', key: 'k' });
  });

  it('a daemon prints its address', () => {
    expect(inspect(server)).toMatch(
      new RegExp(`^DflockdServer \\{ address: '${address}', connections: \\d+, state: 'open' \\}$`),
    );
    shows(server, SECRET);
    shows(server.options, SECRET);
    expect(server.options).toMatchObject({ authToken: true, tls: false });
  });

  it('the drop-in prints neither auth nor token', async () => {
    const options = { key: 'k', servers: [['127.0.0.1', port] as [string, number]], auth: SECRET };
    for (const lock of [new DistributedLock(options), new DistributedSemaphore({ ...options, limit: 2 })]) {
      const name = lock.constructor.name;
      expect(await lock.acquire()).toBe(true);
      expect(lock.token).not.toBeNull();
      expect(lock.auth).toBe(SECRET);
      expect(inspect(lock)).toBe(`${name} { key: 'k', servers: [ '${address}' ], isHeld: true, lease: 33 }`);
      shows(lock, SECRET, lock.token!);
      await lock.release();
    }
    const signals = await SignalConnection.connect({ port, auth: SECRET });
    expect(inspect(signals)).toBe('SignalConnection { isClosed: false, listeners: 0 }');
    shows(signals, SECRET);
    signals.close();
  });
});

describe('TLS options', () => {
  const tls = { key: `${SECRET}-key`, pfx: `${SECRET}-pfx`, passphrase: `${SECRET}-passphrase` };

  it('are in nothing that is printed', async () => {
    const client = new LockClient({ startup: 'lazy', remote: { tls, auth: SECRET } });
    shows(client, SECRET);
    shows(client.options, SECRET);
    expect(client.options).toMatchObject({ backend: { config: { auth: true, tls: true } } });
    const lock = new DistributedLock({ key: 'k', tls, auth: SECRET });
    expect(lock.tls).toEqual(tls);
    shows(lock, SECRET);
    await client.close();
  });

  it('nor is the token of an embedded daemon', async () => {
    const client = new LockClient({ embedded: { listen: '127.0.0.1:0', authToken: SECRET } });
    shows(client, SECRET);
    shows(client.options, SECRET);
    expect(inspect(client)).toBe("LockClient { servers: [ 'embedded' ], held: 0, state: 'open' }");
    await client.close();
  });
});

describe('TestLocks', () => {
  it('print what is held, and write it as JSON', async () => {
    const locks = new TestLocks();
    await locks.occupy('k');
    const [held] = JSON.parse(JSON.stringify(locks.held())) as unknown[];
    expect(held).toMatchObject({ key: 'k', by: 'other', fence: expect.stringMatching(/^\d+$/) });
    expect(inspect(locks)).toMatch(/^TestLocks \{/);
    await locks.close();
  });
});
