import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { LockClient } from '../../../lib/locks/lock-client.js';
import type { RemoteOptions } from '../../../lib/locks/options.js';
import { selfSigned } from '../../support/certificates.js';
import { CompiledLib, type Conversation } from '../../support/compiled-lib.js';
import { OlderDaemon } from '../../support/older-daemon.js';
import { stopwatch } from '../../support/stopwatch.js';
import { inTime, until } from '../../support/until.js';
import { World } from './support/world.js';

/** `npm run test:stopped` waits as long as the defaults make it. */
const AS_DEFAULT = process.env.STOPPED === 'default';
const REMOTE: RemoteOptions = AS_DEFAULT ? {} : { placeLeaseS: 1 };
const SWEEP = AS_DEFAULT ? {} : { leaseSweepInterval: 0.1 };
const PLACES = 2;
/** One lease for each place, and the sweep. */
const MOST_MS = AS_DEFAULT ? 10_000 : PLACES * 1100 + 1500;
const BLOCK_MS = AS_DEFAULT ? 8000 : 2500;

let lib: CompiledLib;
let world: World;

beforeAll(async () => {
  lib = await CompiledLib.make();
}, 30_000);

afterAll(() => lib.remove());

beforeEach(async () => {
  world = await World.open(SWEEP);
});

afterEach(() => world.close());

const waitersOf = async (observer: LockClient): Promise<number> => {
  const { locks, semaphores } = (await observer.stats())[0]!;
  return [...locks, ...semaphores].find(({ key }) => key === 'key')?.waiters ?? 0;
};

/** A process that takes `key` when it is told to, in the way of `take`, and says what it has seen. */
function processOf(port: number, remote: object, take: string): Conversation {
  return lib.start(`
    const remote = ${JSON.stringify(remote)};
    const locks = await LockClient.connect({ servers: ['127.0.0.1:${port}'], remote });
    const block = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
    const turn = () => new Promise((resolve) => setImmediate(resolve));
    const lost = [];
    locks.lockLost$.subscribe(({ reason }) => lost.push(reason));
    process.stdin.on('data', async (chunk) => {
      const said = chunk.toString().trim();
      if (said.startsWith('block')) {
        console.log('"blocking"');
        block(Number(said.split(' ')[1]));
      } else {
        const outcome = await (${take})().catch((error) => error.message);
        console.log(JSON.stringify({ outcome, lost }));
      }
    });
    console.log('"ready"');
  `);
}

/** Twenty callers, one after the other as they are served. */
const TWENTY = `async () => {
  const served = [];
  await Promise.all(Array.from({ length: 20 }, async (_, i) => {
    const lock = await locks.acquire('key', { acquireTimeoutS: 60 });
    served.push(i);
    await lock.release();
  }));
  return served.join(' ');
}`;

/** A method that blocks its loop from its first line on. */
const blocking = (ms: number): string => `() => locks.withLock('key', { leaseTtlS: 33 }, async (lock) => {
  block(${ms});
  await turn();
  await turn();
  return { isHeld: lock.isHeld, doneAt: Date.now() };
})`;

describe('a process that is stopped while twenty of its callers wait', () => {
  const daemons: [name: string, older: boolean, autoRelease: boolean][] = [
    ['this daemon', false, true],
    ['this daemon, without auto-release', false, false],
    ['dflockd 1.10', true, true],
    ['dflockd 1.10, without auto-release', true, false],
  ];

  it('costs the next one a short lease for each place, and loses neither callers nor their order', async () => {
    const stopped = async ([name, older, autoRelease]: (typeof daemons)[number]): Promise<void> => {
      const options = { port: 0, shutdownTimeout: 0.2, autoReleaseOnDisconnect: autoRelease, ...SWEEP };
      const daemon = older ? new OlderDaemon(options) : await world.server(options);
      if (daemon instanceof OlderDaemon) {
        await daemon.listen();
        world.later(() => daemon.close());
      }
      const { port } = daemon.address()!;
      const remote = { ...REMOTE, autoRelease };
      const child = processOf(port, remote, TWENTY);
      expect(await child.line()).toBe('"ready"');
      const servers = [`127.0.0.1:${port}`];
      const holder = await world.client(servers, remote);
      const next = await world.client(servers, remote);
      const held = await holder.acquire('key');
      child.say('take');
      await until(async () => (await waitersOf(holder)) === PLACES, `${name}: the places`);
      const waiting = next.acquire('key', { acquireTimeoutS: 60 });
      await until(async () => (await waitersOf(holder)) === PLACES + 1, `${name}: the next one`);
      child.signal('SIGSTOP');
      await held.release();
      const took = stopwatch();
      const lock = await inTime(waiting, `${name}: the lock`, 60_000);
      expect({ name, inTime: took() < MOST_MS }).toEqual({ name, inTime: true });
      child.signal('SIGCONT');
      await lock.release();
      const inOrder = Array.from({ length: 20 }, (_, i) => i).join(' ');
      expect([name, JSON.parse(await child.line())]).toEqual([name, { outcome: inOrder, lost: [] }]);
    };
    await Promise.all(daemons.map(stopped));
  }, 90_000);
});

describe('a process whose loop is blocked', () => {
  /** Has the process take the key before a rival, whom it must not let in before it is done. */
  async function beside(child: Conversation, port: number, more: RemoteOptions, blockedMs = 0): Promise<void> {
    const client = await world.client([`127.0.0.1:${port}`], { ...REMOTE, ...more });
    const held = await client.acquire('key');
    child.say('take');
    await until(async () => (await waitersOf(client)) === 1, 'the place');
    const rival = client.acquire('key', { acquireTimeoutS: 60 }).then(async (lock) => {
      const at = Date.now();
      await lock.release();
      return at;
    });
    await until(async () => (await waitersOf(client)) === 2, 'the rival');
    if (blockedMs > 0) expect(await child.ask(`block ${blockedMs}`)).toBe('blocking');
    await held.release();
    const { outcome, lost } = JSON.parse(await child.line(60_000)) as { outcome: { doneAt: number }; lost: string[] };
    expect({ outcome, lost }).toMatchObject({ outcome: { isHeld: true }, lost: [] });
    expect(await inTime(rival, 'the rival')).toBeGreaterThanOrEqual(outcome.doneAt);
  }

  it('from the first line of its method on keeps its lock: the renewal has left before', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'nestjs-dflockd-'));
    const { cert, key } = await selfSigned();
    const [tlsCert, tlsKey] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    await writeFile(tlsCert, cert);
    await writeFile(tlsKey, key);
    const ways: [daemon: object, remote: RemoteOptions][] = [
      [{}, {}],
      [{ autoReleaseOnDisconnect: false }, { autoRelease: false }],
      [{ tlsCert, tlsKey }, { tls: { ca: cert } }],
    ];
    await Promise.all(
      ways.map(async ([daemon, more]) => {
        const { port } = (await world.server({ ...SWEEP, ...daemon })).address()!;
        const child = processOf(port, { ...REMOTE, ...more }, blocking(BLOCK_MS));
        expect(await child.line()).toBe('"ready"');
        await beside(child, port, more);
      }),
    );
    await rm(folder, { recursive: true });
  }, 60_000);

  it('for two seconds at the moment of the grant keeps its turn', async () => {
    const remote = AS_DEFAULT ? {} : { placeLeaseS: 5 };
    const child = processOf(world.port, remote, blocking(1));
    expect(await child.line()).toBe('"ready"');
    await beside(child, world.port, remote, 2000);
  }, 30_000);
});
