import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from '@jest/globals';
import { hashLongKey } from '../../../lib/common/hashed-key.js';
import { LineDecoder } from '../../../lib/protocol/lockd/line-decoder.js';
import { LOCKD_LINE_CAP } from '../../../lib/protocol/lockd/limits.js';
import { DflockdServer } from '../../../lib/daemon/server.js';
import type { DflockdServerOptions } from '../../../lib/daemon/shared/options.js';
import { LockClient } from '../../../lib/locks/lock-client.js';
import { FakeClock } from '../../support/fake-clock.js';
import { keptByTheKernel } from '../../support/unsent.js';
import { until } from '../../support/until.js';
import { Wire } from '../../support/wire.js';
import { acquire, statsOf, tokenOf } from '../daemon/harness.js';
import { canReadTimers, keepAliveMs, left, Talker, useLockd } from './harness.js';
import { LockdModel } from './model.js';

const lines = (count: number, line: (n: number) => string): string =>
  Array.from({ length: count }, (_, n) => `${line(n)}\n`).join('');

describe('lines over packets', () => {
  const { serve, open } = useLockd();

  it('may be split anywhere, also within CR LF and within a character', async () => {
    const talker = await open(await serve());
    for (const byte of 'g \xe2\x82\xac\r\ni \xe2\x82\xac\n') {
      talker.wire.send(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await talker.say('')).toBe('1 Lock Get Success: \xe2\x82\xac\n1 Lock Is Locked: \xe2\x82\xac\n');
  });

  it('are answered in order, however many are in a packet', async () => {
    const talker = await open(await serve());
    const answer = await talker.say(lines(20_000, (n) => `g ${n}`));
    expect(answer).toBe(lines(20_000, (n) => `1 Lock Get Success: ${n}`));
  });

  it('may end with FIN: the last one is executed, all are answered, then all is free', async () => {
    const server = await serve();
    const talker = await open(server);
    talker.wire.send('g h1\nsg h2\ng h3');
    talker.wire.end();
    await talker.wire.whenClosed();
    expect(talker.wire.received).toBe(
      '1 Lock Get Success: h1\n1 Shared Lock Get Success: h2\n1 Lock Get Success: h3\n',
    );
    await left(server, 0);
    const other = await open(server);
    expect(await other.say('i h1\nsi h2\ni h3\nd\nsd\n')).toBe(
      '0 Lock Not Locked: h1\n0 Shared Lock Not Locked: h2\n0 Lock Not Locked: h3\n',
    );
  });

  it.each(['', '\n', '\r'])('FIN after %j is answered with FIN and nothing else', async (bytes) => {
    const talker = await open(await serve());
    talker.wire.send(bytes);
    talker.wire.end();
    await talker.wire.whenClosed();
    expect(talker.wire.received).toBe('');
  });

  it('up to the cap are names; a longer one closes the connection, which frees its locks', async () => {
    const server = await serve();
    const talker = await open(server);
    const long = 'n'.repeat(LOCKD_LINE_CAP - 2);
    expect(await talker.say(`g ${long}\n`)).toBe(`1 Lock Get Success: ${long}\n`);
    expect(await talker.say(`g ${long}\r\n`)).toBe(`1 Lock Get Success: ${long}\n`);
    talker.wire.send(`g x${long}\ng y\n`);
    await talker.wire.whenClosed();
    expect(talker.wire.unread).toBe('');
    await left(server, 0);
    const endless = await open(server);
    endless.wire.send('g '.padEnd(8 * 1024 * 1024, 'z'));
    await endless.wire.whenClosed();
    expect(await (await open(server)).say(`g ${long}\ni y\n`)).toContain('1 Lock Get Success');
  });

  it('of any bytes never harm the server, and names are taken for what they are', async () => {
    const server = await serve();
    const canary = await open(server);
    expect(await canary.say('g canary\n')).toBe('1 Lock Get Success: canary\n');
    const word = fc.constantFrom('g', 'r', 'i', 'sg', 'sr', 'si', 'd', 'sd', 'dump', 'me', 'iam', 'who', 'G', 'x', '');
    const name = fc.oneof(
      fc.constantFrom('', 'a', 'b', '__proto__', 'constructor', 'shared', ' ', 'a: b'),
      fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes).toString('latin1').replaceAll('\n', '')),
    );
    const line = fc
      .tuple(word, fc.constantFrom('', ' ', '  ', '\t'), name, fc.constantFrom('\n', '\r\n', '\r\r\n'))
      .map((parts) => parts.join(''));
    // Of all lengths alike: by default, fast-check makes short ones, of which little comes.
    const some = fc.noBias(fc.array(line, { maxLength: 40, size: 'max' }));
    await fc.assert(
      fc.asyncProperty(some, fc.array(fc.nat(400)), async (all, cuts) => {
        const talker = await Talker.open(server.address!);
        const model = new LockdModel(talker.address, ['canary', canary.address]);
        const bytes = all.join('');
        let from = 0;
        for (const cut of [...cuts].sort((x, y) => x - y)) {
          talker.wire.send(bytes.slice(from, cut));
          from = Math.max(from, cut);
        }
        const answer = await talker.say(bytes.slice(from));
        expect(answer).toBe(all.map((one) => model.answer(one)).join(''));
        talker.wire.destroy();
        await left(server, 1);
      }),
      { numRuns: 40 },
    );
    await left(server, 1);
    expect(await canary.say('d\nsd\nwho\nq\n')).toMatch(
      new RegExp(`^canary: ${canary.address}\ncommand_d: .*\nlocks: 1\n.*shared_locks: 0\n`, 's'),
    );
  });
});

describe('the decoder', () => {
  it('takes the same lines however the bytes are cut', () => {
    const text = fc.array(fc.constantFrom('g', ' ', '\r', '\n', '\xe2', '\x82', '\xac', 'x'), {
      maxLength: 40,
      size: 'max',
    });
    fc.assert(
      fc.property(text, fc.array(fc.nat(40)), (chars, cuts) => {
        const bytes = chars.join('');
        const whole = take([bytes]);
        const places = [...new Set([0, ...cuts.filter((cut) => cut < bytes.length), bytes.length])].sort(
          (a, b) => a - b,
        );
        const chunks = places.slice(1).map((place, i) => bytes.slice(places[i], place));
        expect(take(chunks)).toEqual(whole);
        const decoded = Buffer.from(bytes, 'latin1').toString('utf8').split('\n');
        const expected = decoded.map((line) => Buffer.from(line.replace(/\r$/, '')).toString('latin1'));
        if (expected.at(-1) === '') expected.pop();
        expect(whole).toEqual(expected);
      }),
    );
  });

  function take(chunks: string[]): string[] {
    const decoder = new LineDecoder(100);
    const taken: string[] = [];
    for (const chunk of chunks) {
      decoder.push(chunk);
      for (let line = decoder.next(); line !== undefined; line = decoder.next()) taken.push(line);
    }
    const last = decoder.last();
    return last === undefined ? taken : [...taken, last];
  }
});

describe('clients that end, flood or do not read', () => {
  const { serve, open } = useLockd();

  it('a reset, with 1,000 locks and replies that nobody has read, is a disconnect', async () => {
    const server = await serve();
    const other = await open(server);
    const talker = await open(server);
    await talker.say(lines(1000, (n) => `g ${n}`) + lines(1000, (n) => `sg ${n}`));
    talker.wire.send(lines(500, () => 'd'));
    talker.wire.reset();
    await left(server, 1);
    expect(await other.say(lines(1000, (n) => `g ${n}`))).toBe(lines(1000, (n) => `1 Lock Get Success: ${n}`));
    const counters = await other.say('sd\nq\n');
    expect(counters).toContain('\nlocks: 1000\norphans: 1000\nshared_locks: 0\nshared_orphans: 1000\n');
  });

  it('the locks of one that has gone are free at once, even if it had very many', async () => {
    const server = await serve();
    const other = await open(server);
    const talker = await open(server);
    await talker.say(lines(20_000, (n) => `g ${n}`) + lines(20_000, (n) => `sg ${n}`));
    await other.say('sg 19999\n');
    talker.wire.reset();
    await left(server, 1);
    // Asked from the end, which is reached last.
    expect(await other.say('d\nsi 19999\nsd 19999\ni 19999\ng 19998\nd 19998\n')).toBe(
      `1 Shared Lock Is Locked: 19999\n19999: ${other.address}\n0 Lock Not Locked: 19999\n` +
        `1 Lock Get Success: 19998\n19998: ${other.address}\n`,
    );
    expect(await other.say('q\n')).toContain('\nlocks: 1\norphans: 20000\nshared_locks: 1\nshared_orphans: 20000\n');
    expect(await other.say('d\n')).toBe(`19998: ${other.address}\n`);
  });

  it('one that does not read its lists is not executed further, and others are served', async () => {
    const server = await serve();
    const other = await open(server);
    await other.say(lines(5000, (n) => `g ${'n'.repeat(100)}${n}`));
    const deaf = await open(server);
    deaf.wire.pause();
    // 19 MB of lists, more than the kernel takes.
    deaf.wire.send(`${lines(30, () => 'd')}g deaf\n`);
    for (let n = 0; n < 600; n++) expect(await other.say('i deaf\n')).toBe('0 Lock Not Locked: deaf\n');
    deaf.wire.reset();
    await left(server, 1);
  });

  it('one that does not read is cut off after a while, and the kernel keeps nothing for it', async () => {
    const clock = new FakeClock();
    const server = await serve({}, { clock });
    const other = await open(server);
    await other.say(lines(5000, (n) => `g ${'n'.repeat(100)}${n}`));
    const deaf = await open(server);
    deaf.wire.stream.pause();
    deaf.wire.send(lines(30, () => 'd'));
    await until(async () => {
      clock.advance(1_000);
      return (await other.say('')) === '' && server.connections === 1;
    });
    expect(keptByTheKernel(server.address!.port)).toBe(0);
    deaf.wire.stream.resume();
    await deaf.wire.whenClosed();
    expect(deaf.wire.received.startsWith('n'.repeat(100))).toBe(true);
  });

  it('connections have keepalive, after a minute of silence', async () => {
    if (!canReadTimers) return;
    const server = await serve();
    const talker = await open(server);
    await talker.say('');
    expect(await keepAliveMs(server.address!.port, Number(talker.address.split(':')[1]))).toBeLessThanOrEqual(60_000);
  });

  it('a long list is complete, in order, and the next line is answered after it', async () => {
    const server = await serve();
    const other = await open(server);
    await other.say(lines(5000, (n) => `g ${n}`));
    await other.say(lines(5000, (n) => `sg ${n}`));
    const talker = await open(server);
    const answer = await talker.say('d\nsd\ndump\ndump shared\nme\n');
    const list = lines(5000, (n) => `${n}: ${other.address}`);
    const names = Array.from({ length: 5000 }, (_, n) => n);
    expect(answer).toBe(
      `${list}${list}{${names.map((n) => `"${n}":"${other.address}"`).join()}}\n` +
        `{${names.map((n) => `"${n}":["${other.address}"]`).join()}}\n1 ${talker.address} ${talker.address}\n`,
    );
  });

  it('one that floods does not stall another', async () => {
    const server = await serve();
    const flood = await open(server);
    const other = await open(server);
    const much = lines(4000, (n) => `g ${n % 100}`);
    let flooding = true;
    const socket = flood.wire.stream as Socket;
    const pump = (): void => {
      while (flooding && socket.write(much));
      if (flooding) socket.once('drain', pump);
    };
    pump();
    socket.resume();
    const waits: number[] = [];
    for (let n = 0; n < 100; n++) {
      const began = performance.now();
      await other.say(`i ${n}\n`);
      waits.push(performance.now() - began);
    }
    flooding = false;
    flood.wire.reset();
    expect(waits.sort((a, b) => a - b)[50]).toBeLessThan(25);
    await left(server, 1);
  }, 60_000);
});

describe('beside dflockd', () => {
  const ends: (() => unknown)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });

  async function serve(options: DflockdServerOptions = {}) {
    const server = new DflockdServer({ port: 0, lockdPort: 0, ...options });
    ends.push(() => server.close());
    const address = await server.listen();
    const wire = async (): Promise<Wire> => {
      const made = await Wire.tcp(address);
      ends.push(() => made.destroy());
      return made;
    };
    const talk = async (): Promise<Talker> => {
      const made = await Talker.open(server.lockdAddress()!);
      ends.push(() => made.wire.destroy());
      return made;
    };
    const client = async (): Promise<LockClient> => {
      const made = await LockClient.connect({ servers: [`127.0.0.1:${address.port}`] });
      ends.push(() => made.close());
      return made;
    };
    return { server, wire, talk, client };
  }

  it.each(['order:1', '\u20ac', 'x'.repeat(256), 'y'.repeat(300), '\u20ac'.repeat(150)])(
    'a lock of one keeps the other out, and what is released is free for the other: %s',
    async (name) => {
      const { talk, client } = await serve();
      const [talker, locks] = [await talk(), await client()];
      const bytes = Buffer.from(name).toString('latin1');
      expect(await talker.say(`g ${bytes}\n`)).toBe(`1 Lock Get Success: ${bytes}\n`);
      expect(await locks.tryAcquire(name)).toBeNull();
      expect(await talker.say(`r ${bytes}\n`)).toBe(`1 Lock Release Success: ${bytes}\n`);
      const held = await locks.tryAcquire(name);
      expect(held).not.toBeNull();
      expect(await talker.say(`g ${bytes}\ni ${bytes}\nr ${bytes}\nd ${bytes}\nd\ndump\n`)).toBe(
        `0 Lock Get Failure: ${bytes}\n1 Lock Is Locked: ${bytes}\n0 Lock Release Failure: ${bytes}\n` +
          `${bytes}: 127.0.0.1\n{}\n`,
      );
      await held!.release();
      expect(await talker.say(`g ${bytes}\n`)).toBe(`1 Lock Get Success: ${bytes}\n`);
    },
  );

  it('a name that looks like the key of a longer one is not held instead of it', async () => {
    const { talk } = await serve();
    const talker = await talk();
    const long = 'z'.repeat(300);
    const key = hashLongKey(long, 256);
    expect(await talker.say(`g ${long}\ng ${key}\nr ${key}\ni ${long}\nd\n`)).toBe(
      `1 Lock Get Success: ${long}\n0 Lock Get Failure: ${key}\n0 Lock Release Failure: ${key}\n` +
        `1 Lock Is Locked: ${long}\n${long}: ${talker.address}\n`,
    );
    expect(await talker.say(`g ${long}z\n`)).toBe(`1 Lock Get Success: ${long}z\n`);
  });

  it('a lock passes to the first that waits on dflockd, whom g does not overtake', async () => {
    const { talk, wire, server } = await serve();
    const [holder, other] = [await talk(), await talk()];
    const [first, second] = [await wire(), await wire()];
    await holder.say('g k\n');
    first.send(acquire('k', 10));
    await until(async () => (await statsOf(second))['locks'][0].waiters === 1);
    second.send(acquire('k', 10));
    const watch = await wire();
    await until(async () => (await statsOf(watch))['locks'][0].waiters === 2);
    expect(await other.say('g k\n')).toBe('0 Lock Get Failure: k\n');
    expect(await holder.say('r k\ng k\n')).toBe('1 Lock Release Success: k\n0 Lock Get Failure: k\n');
    const token = tokenOf((await first.read()).trim());
    expect(second.unread).toBe('');
    expect(await other.say('g k\ni k\n')).toBe('0 Lock Get Failure: k\n1 Lock Is Locked: k\n');
    first.send(`r\nk\n${token}\n`);
    expect(await second.read()).toMatch(/^ok /);
    expect(server.lockdAddress()).toBeDefined();
  });

  it('a reset hands 1,000 locks over to those that wait on dflockd', async () => {
    const { talk, client } = await serve({ maxLocks: 5000 });
    const holder = await talk();
    await holder.say(lines(1000, (n) => `g ${n}`));
    const locks = await client();
    const waiting = Array.from({ length: 1000 }, (_, n) => locks.acquire(`${n}`, { acquireTimeoutS: 20 }));
    const watch = await client();
    await until(async () => (await watch.stats())[0]!.locks.filter(({ waiters }) => waiters === 1).length === 1000);
    holder.wire.reset();
    const held = await Promise.all(waiting);
    await Promise.all(held.map((lock) => lock.release()));
  });

  it('exclusive locks are listed by stats as locks without end; shared ones are not', async () => {
    const { talk, wire } = await serve();
    const [talker, watch] = [await talk(), await wire()];
    await talker.say('g a b\nsg s\n');
    expect(await statsOf(watch)).toMatchObject({
      locks: [{ key: 'a b', lease_expires_in_s: 9_223_372_036, waiters: 0 }],
      semaphores: [],
      idle_semaphores: [],
    });
  });

  it('the tokens of locks cannot be had, and no one else can release them', async () => {
    const { talk, wire } = await serve();
    const [talker, other] = [await talk(), await wire()];
    await talker.say('g k\n');
    expect(await other.ask('r\nk\n0\n')).toBe('error');
    expect(await other.ask('n\nk\n0 5\n')).toBe('error');
    expect(await talker.say('i k\n')).toBe('1 Lock Is Locked: k\n');
  });

  it('at max-locks, g and sg are answered 0, and nothing is held', async () => {
    const { talk } = await serve({ maxLocks: 3 });
    const talker = await talk();
    expect(await talker.say('g 1\ng 2\ng 3\ng 4\ng 3\nsg 1\nsg 2\nsg 3\nsg 4\nsg 1\n')).toBe(
      '1 Lock Get Success: 1\n1 Lock Get Success: 2\n1 Lock Get Success: 3\n0 Lock Get Failure: 4\n' +
        '1 Lock Get Success: 3\n1 Shared Lock Get Success: 1\n1 Shared Lock Get Success: 2\n' +
        '1 Shared Lock Get Success: 3\n0 Shared Lock Get Failure: 4\n1 Shared Lock Get Success: 1\n',
    );
    expect(await talker.say('i 4\nsi 4\nsr 3\nsg 4\n')).toBe(
      '0 Lock Not Locked: 4\n0 Shared Lock Not Locked: 4\n1 Shared Lock Release Success: 3\n1 Shared Lock Get Success: 4\n',
    );
  });

  it('a drain closes who holds nothing; holders may release, take nothing, and leave when they hold nothing', async () => {
    const { server, talk } = await serve();
    const [idle, holder, sharer] = [await talk(), await talk(), await talk()];
    await holder.say('g a\ng b\n');
    await sharer.say('sg s\n');
    let isClosed = false;
    const closed = server.close().then(() => (isClosed = true));
    await idle.wire.whenClosed();
    expect(server.lockdAddress()).toBeUndefined();
    expect(await holder.say('g a\ng c\nsg s\nr a\ni b\n')).toBe(
      '1 Lock Get Success: a\n0 Lock Get Failure: c\n0 Shared Lock Get Failure: s\n1 Lock Release Success: a\n' +
        '1 Lock Is Locked: b\n',
    );
    expect(isClosed).toBe(false);
    sharer.wire.send('sg s\nsr s\n');
    await sharer.wire.whenClosed();
    expect(sharer.wire.unread).toBe('1 Shared Lock Get Success: s\n1 Shared Lock Release Success: s\n');
    holder.wire.send('r b\n');
    await holder.wire.whenClosed();
    expect(holder.wire.unread).toBe('1 Lock Release Success: b\n');
    await closed;
  });

  it('a drain cuts holders off after shutdownTimeout', async () => {
    const { server, talk } = await serve({ shutdownTimeout: 0.05 });
    const holder = await talk();
    await holder.say('g a\n');
    await server.close();
    await holder.wire.whenClosed();
  });

  it('connections over the limits are closed, those of lockd counted by themselves', async () => {
    const { server, talk, wire } = await serve({ maxConnections: 1 });
    await (await wire()).ask('ping\n_\n\n');
    const talker = await talk();
    expect(await talker.say('q\n')).toContain('connections: 1\n');
    const refused = connect(server.lockdAddress()!.port, '127.0.0.1');
    refused.on('error', () => undefined);
    refused.resume();
    await once(refused, 'close');
  });

  it('a port that is in use fails the start, and leaves neither open', async () => {
    const { server } = await serve();
    const { port } = server.lockdAddress()!;
    const other = new DflockdServer({ port: 0, lockdPort: port });
    await expect(other.listen()).rejects.toMatchObject({ code: 'CONFIG', message: expect.stringContaining(`${port}`) });
    expect(other.address()).toBeUndefined();
  });

  it.each<[DflockdServerOptions | Record<string, unknown>, string]>([
    [{ lockdPort: -1 }, 'lockdPort.*-1'],
    [{ lockdPort: 65_536 }, 'lockdPort.*65536'],
    [{ lockdPort: '9999' }, 'lockdPort.*"9999"'],
    [{ lockdPort: 1.5 }, 'lockdPort.*1\\.5'],
    [{ lockdPort: 1, lockdHost: '' }, 'lockdHost.*""'],
    [{ lockdPort: 1, lockdHost: 7 }, 'lockdHost.*7'],
    [{ lockdPort: 1, lockdDump: 'no' }, 'lockdDump.*"no"'],
    [{ lockdPort: 1, lockdRegistry: 0 }, 'lockdRegistry.*0'],
  ])('the options %j are refused', (options, message) => {
    let error: unknown;
    try {
      new DflockdServer(options);
    } catch (e) {
      error = e;
    }
    expect(error).toMatchObject({ code: 'CONFIG', message: expect.stringMatching(new RegExp(message)) });
  });

  it('embedded has the port too, with listen and without', async () => {
    const free = new DflockdServer({ port: 0 });
    const { port } = await free.listen();
    await free.close();
    for (const listen of [undefined, '127.0.0.1:0']) {
      const locks = await LockClient.connect({ embedded: { listen, lockdPort: port, lockdDump: false } });
      const talker = await Talker.open({ host: '127.0.0.1', port });
      expect(await talker.say('g k\nd\n')).toBe('1 Lock Get Success: k\n0 disabled\n');
      expect(await locks.tryAcquire('k')).toBeNull();
      const waiting = locks.acquire('k', { acquireTimeoutS: 10 });
      talker.wire.destroy();
      await (await waiting).release();
      const other = await Talker.open({ host: '127.0.0.1', port });
      await other.say('g k\n');
      await locks.close();
      await other.wire.whenClosed();
    }
  });
});
