import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { AuthError, ConfigError, LockKeyError, LockUnavailableError } from '../../../lib/common/errors.js';
import type { Signal } from '../../../lib/locks/signals/signals.js';
import { LockClient } from '../../../lib/locks/lock-client.js';
import { FakeServer } from '../../unit/backends/dflockd/support/fake-server.js';
import { freePort } from '../../support/free-port.mjs';
import { Proxy } from '../../support/proxy.js';
import { inTime, until } from '../../support/until.js';
import { World } from './support/world.js';

let world: World;
beforeEach(async () => {
  world = await World.open();
});
afterEach(() => world.close());

/** Emits until somebody has heard it. */
let probes = 0;
function heardBy(client: LockClient, channel: string, heard: Signal[]): Promise<unknown> {
  const probe = `probe ${++probes}`;
  return until(async () => {
    await client.signals.emit(channel, probe).catch(() => undefined);
    return heard.some(({ payload }) => payload === probe);
  }, `a listener on ${channel}`);
}

describe('a subscription', () => {
  it.each(['reset', 'FIN'])('comes back by itself after a %s, with all that it had', async (how) => {
    const proxy = await Proxy.to(world.port);
    world.later(() => proxy.close());
    const listener = await world.client([proxy.address], { reconnect: { minDelayMs: 1, maxDelayMs: 5 } });
    const emitter = await world.client();
    const [some, all, jobs]: Signal[][] = [[], [], []];
    listener.signals.signal$('a.b').subscribe((signal) => some!.push(signal));
    listener.signals.signal$('a.>').subscribe((signal) => all!.push(signal));
    listener.signals.signal$('a.*', { group: 'g' }).subscribe((signal) => jobs!.push(signal));
    for (const heard of [some!, all!, jobs!]) await heardBy(emitter, 'a.b', heard);
    if (how === 'reset') proxy.reset();
    else for (const { client } of proxy.links) client.end();
    for (const heard of [some!, all!, jobs!]) {
      heard.length = 0;
      await heardBy(emitter, 'a.b', heard);
    }
    expect(await emitter.signals.emit('a.b', 'last')).toBe(2);
  });

  it('comes back after the daemon has reset it, because its process did not read for a while', async () => {
    const proxy = await Proxy.to(world.port);
    world.later(() => proxy.close());
    const listener = await world.client([proxy.address], { reconnect: { minDelayMs: 1, maxDelayMs: 5 } });
    const emitter = await world.client();
    const heard: Signal[] = [];
    listener.signals.signal$('a.b').subscribe((signal) => heard.push(signal));
    await heardBy(emitter, 'a.b', heard);
    const lock = await listener.acquire('key');
    const ends: string[] = [];
    for (const link of proxy.links) {
      link.server.on('close', () => ends.push('closed'));
      link.server.pause();
    }
    let sent = 0;
    while ((await emitter.signals.emit('a.b', 'x'.repeat(60_000))) === 1) expect(++sent).toBeLessThan(2000);
    await until(async () => (await emitter.stats())[0]!.signal_channels?.length === 0, 'the end of the listener');
    for (const link of proxy.links) link.server.resume();
    await until(() => ends.length > 0, 'the end of its connection');
    heard.length = 0;
    await heardBy(emitter, 'a.b', heard);
    // Its locks are on other connections.
    expect(lock.isHeld).toBe(true);
    expect(await lock.release()).toBe(true);
  });

  it('begins when there is a server', async () => {
    const port = await freePort();
    const listener = new LockClient({
      servers: [`127.0.0.1:${port}`],
      startup: 'lazy',
      remote: { reconnect: { minDelayMs: 1, maxDelayMs: 5 } },
    });
    world.later(() => listener.close());
    const heard: Signal[] = [];
    listener.signals.signal$('x').subscribe((signal) => heard.push(signal));
    await expect(listener.signals.emit('x', 'y')).rejects.toBeInstanceOf(LockUnavailableError);
    await world.server({ port });
    const emitter = await world.client([`127.0.0.1:${port}`]);
    await heardBy(emitter, 'x', heard);
  });

  it('outlives silence that the server would take for death', async () => {
    const daemon = await world.server({ readTimeout: 1 });
    const client = await world.client([`127.0.0.1:${daemon.address()!.port}`], { readTimeoutS: 1 });
    const heard: Signal[] = [];
    client.signals.signal$('x').subscribe((signal) => heard.push(signal));
    await heardBy(client, 'x', heard);
    const lanes = (await client.stats())[0]!.connections;
    await new Promise((resolve) => setTimeout(resolve, 1300));
    expect(await client.signals.emit('x', 'still')).toBe(1);
    expect((await client.stats())[0]!.connections).toBe(lanes);
  });

  it('notices a black hole, and comes back', async () => {
    const proxy = await Proxy.to(world.port);
    world.later(() => proxy.close());
    const remote = { readTimeoutS: 1, requestTimeoutMs: 100, reconnect: { minDelayMs: 1, maxDelayMs: 5 } };
    const listener = await world.client([proxy.address], remote);
    const emitter = await world.client();
    const heard: Signal[] = [];
    listener.signals.signal$('x').subscribe((signal) => heard.push(signal));
    await heardBy(emitter, 'x', heard);
    const before = [...proxy.links];
    proxy.blackHole();
    const given = (): boolean => before.every(({ client }) => client.readableEnded || client.destroyed);
    await until(given, 'all connections to be given up');
    proxy.reset();
    proxy.pass();
    heard.length = 0;
    await heardBy(emitter, 'x', heard);
  });

  it('costs a connection, and one for each member of a group, as long as it lasts', async () => {
    const client = await world.client();
    const connections = async (): Promise<number> => (await client.stats())[0]!.connections;
    const before = await connections();
    const subscriptions = [
      client.signals.signal$('a').subscribe(),
      client.signals.signal$('b.*').subscribe(),
      client.signals.signal$('a', { group: 'g' }).subscribe(),
      client.signals.signal$('a', { group: 'g' }).subscribe(),
    ];
    await until(async () => (await connections()) === before + 3, 'three connections');
    for (const subscription of subscriptions) subscription.unsubscribe();
    await until(async () => (await connections()) === before, 'none');
  });

  it('completes when the client closes', async () => {
    const client = await world.client();
    const completed = new Promise<void>((resolve, reject) => {
      client.signals.signal$('a').subscribe({ complete: resolve, error: reject });
    });
    await client.close();
    await inTime(completed, 'the completion');
  });

  it('fails where no connection can be had', async () => {
    const daemon = await world.server({ authToken: 'right' });
    const client = new LockClient({
      servers: [`127.0.0.1:${daemon.address()!.port}`],
      startup: 'lazy',
      remote: { auth: 'wrong' },
    });
    world.later(() => client.close());
    const failed = ['', 'group'].map(
      (group) =>
        new Promise((resolve) => {
          const options = group === '' ? {} : { group };
          client.signals.signal$('a', options).subscribe({ error: resolve });
        }),
    );
    for (const error of await inTime(Promise.all(failed), 'the errors')) expect(error).toBeInstanceOf(AuthError);
  });

  it('survives a push in the middle of anything', async () => {
    const fake = await FakeServer.start((request, peer) => {
      if (request.t !== 'listen') return 'ok\n';
      peer.say('sig a.b early\n');
      return 'ok\nsig nothing\nsig a.b ' + Buffer.from('späť').toString('latin1') + '\n';
    });
    world.later(() => fake.close());
    const client = await world.client([fake.endpoint.label]);
    const heard: string[] = [];
    client.signals.signal$('a.b').subscribe(({ payload }) => heard.push(payload));
    await until(() => heard.length === 2, 'both');
    expect(heard).toEqual(['early', 'späť']);
  });

  it('whose subscriber throws harms nobody else', async () => {
    const client = await world.client();
    const heard: Signal[] = [];
    const thrown: unknown[] = [];
    const { config } = await import('rxjs');
    config.onUnhandledError = (error) => void thrown.push(error);
    try {
      client.signals.signal$('a').subscribe(() => {
        throw new Error('mine');
      });
      client.signals.signal$('a').subscribe((signal) => heard.push(signal));
      await heardBy(client, 'a', heard);
      await until(() => thrown.length > 0, 'the error');
    } finally {
      config.onUnhandledError = null;
    }
  });
});

describe('signals are checked before anything is sent', () => {
  const WRONG_NAMES = ['', 'a b', 'a\n', 'x'.repeat(257), 5 as never, '\ud800'];

  it.each([...WRONG_NAMES, 'a.*', '>'])('channel %j', async (channel) => {
    const client = await world.client();
    await expect(client.signals.emit(channel, 'x')).rejects.toBeInstanceOf(LockKeyError);
  });

  it.each([...WRONG_NAMES, 'a*', '>.a'])('pattern %j', async (pattern) => {
    const client = await world.client();
    expect(() => client.signals.signal$(pattern)).toThrow(LockKeyError);
  });

  it.each(WRONG_NAMES)('group %j', async (group) => {
    const client = await world.client();
    expect(() => client.signals.signal$('a', { group })).toThrow(LockKeyError);
  });

  it.each(['', '  ', 'a\nb', 'a\r', 'a\0', 5 as never])('payload %j', async (payload) => {
    const client = await world.client();
    await expect(client.signals.emit('a', payload)).rejects.toBeInstanceOf(ConfigError);
  });

  it('the longest payload fits', async () => {
    const client = await world.client();
    const heard: Signal[] = [];
    client.signals.signal$('a.b').subscribe((signal) => heard.push(signal));
    await heardBy(client, 'a.b', heard);
    const longest = 'x'.repeat(65_536 - 5 - 3);
    expect(await client.signals.emit('a.b', longest)).toBe(1);
    await until(() => heard.at(-1)?.payload === longest, 'it');
    await expect(client.signals.emit('a.b', longest + 'x')).rejects.toThrow(/65528/);
  });
});
