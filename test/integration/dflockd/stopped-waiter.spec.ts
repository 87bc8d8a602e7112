import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { LockClient } from '../../../lib/locks/lock-client.js';
import type { RemoteOptions } from '../../../lib/locks/options/options.js';
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
const MAX_MS = AS_DEFAULT ? 10_000 : PLACES * 1100 + 1500;
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

/** A process that takes `key`, at each of some daemons, in the way of `take`, and says what it has seen. */
function processOf(ports: readonly number[], remote: readonly object[], take: string): Conversation {
  return lib.start(`
    const block = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
    const turn = () => new Promise((resolve) => setImmediate(resolve));
    const remote = ${JSON.stringify(remote)};
    const lost = [];
    const clients = await Promise.all(${JSON.stringify(ports)}.map(async (port, i) => {
      const locks = await LockClient.connect({ servers: ['127.0.0.1:' + port], remote: remote[i] });
      locks.lockLost$.subscribe(({ reason }) => lost.push(reason));
      return locks;
    }));
    process.stdin.on('data', async (chunk) => {
      const [what, ms] = chunk.toString().trim().split(' ');
      if (what === 'block') {
        console.log('"blocking"');
        block(Number(ms));
      } else {
        const blockMs = Number(ms);
        const outcomes = await Promise.all(clients.map((locks) => (${take})(locks, blockMs).catch((e) => e.message)));
        console.log(JSON.stringify({ outcomes, lost }));
      }
    });
    console.log('"ready"');
  `);
}

/** Twenty callers, one after the other as they are served. */
const TWENTY = `async (locks) => {
  const served = [];
  await Promise.all(Array.from({ length: 20 }, async (_, i) => {
    const lock = await locks.acquire('key', { acquireTimeoutS: 60 });
    served.push(i);
    await lock.release();
  }));
  return served.join(' ');
}`;

/** A method that blocks its loop from its first line on. */
const BLOCKING = `(locks, ms) => locks.withLock('key', { leaseTtlS: 33 }, async (lock) => {
  block(ms);
  await turn();
  await turn();
  return { isHeld: lock.isHeld, doneAt: Date.now() };
})`;

const DAEMONS: readonly (readonly [name: string, older: boolean, autoRelease: boolean])[] = [
  ['this daemon', false, true],
  ['this daemon, without auto-release', false, false],
  ['dflockd 1.10', true, true],
  ['dflockd 1.10, without auto-release', true, false],
];

it('a process that is stopped while 20 callers wait costs the next one a short lease for each place; its callers keep their order', async () => {
  const ports = await Promise.all(
    DAEMONS.map(async ([, older, autoReleaseOnDisconnect]) => {
      const options = { port: 0, shutdownTimeout: 0.2, autoReleaseOnDisconnect, ...SWEEP };
      if (!older) return (await world.server(options)).address()!.port;
      const daemon = new OlderDaemon(options);
      world.later(() => daemon.close());
      return (await daemon.listen()).port;
    }),
  );
  const remotes = DAEMONS.map(([, , autoRelease]) => ({ ...REMOTE, autoRelease }));
  const clients = await Promise.all(ports.map((port, i) => world.client([`127.0.0.1:${port}`], remotes[i])));
  const child = processOf(ports, remotes, TWENTY);
  expect(await child.line()).toBe('"ready"');
  const held = await Promise.all(clients.map((client) => client.acquire('key')));
  child.say('take');
  const queue = (waiters: number) =>
    Promise.all(clients.map((client, i) => until(async () => (await waitersOf(client)) === waiters, DAEMONS[i]![0])));
  await queue(PLACES);
  let took = stopwatch();
  const next = clients.map(async (client) => {
    const lock = await client.acquire('key', { acquireTimeoutS: 60 });
    return { ms: took(), lock };
  });
  await queue(PLACES + 1);
  child.signal('SIGSTOP');
  took = stopwatch();
  await Promise.all(held.map((lock) => lock.release()));
  const taken = await inTime(Promise.all(next), 'the locks', 60_000);
  expect(taken.map(({ ms }, i) => `${DAEMONS[i]![0]}: ${ms < MAX_MS}`)).toEqual(
    DAEMONS.map(([name]) => `${name}: true`),
  );
  child.signal('SIGCONT');
  await Promise.all(taken.map(({ lock }) => lock.release()));
  const inOrder = Array.from({ length: 20 }, (_, i) => i).join(' ');
  const outcomes = DAEMONS.map(() => inOrder);
  expect(JSON.parse(await child.line())).toEqual({ outcomes, lost: [] });
}, 90_000);

describe('a process whose loop is blocked', () => {
  interface Outcome {
    readonly isHeld: boolean;
    readonly doneAt: number;
  }

  /** Has the process take the key before a rival, whom it must not let in before it is done. */
  async function beside(child: Conversation, client: LockClient, ms: number, atGrantMs = 0): Promise<void> {
    const held = await client.acquire('key');
    child.say(`take ${ms}`);
    await until(async () => (await waitersOf(client)) === 1, 'the place');
    const rival = client.acquire('key', { acquireTimeoutS: 60 }).then(async (lock) => {
      const at = Date.now();
      await lock.release();
      return at;
    });
    await until(async () => (await waitersOf(client)) === 2, 'the rival');
    if (atGrantMs > 0) expect(await child.ask(`block ${atGrantMs}`)).toBe('blocking');
    await held.release();
    const { outcomes, lost } = JSON.parse(await child.line(60_000)) as { outcomes: Outcome[]; lost: string[] };
    expect({ outcomes, lost }).toMatchObject({ outcomes: [{ isHeld: true }], lost: [] });
    expect(await inTime(rival, 'the rival')).toBeGreaterThanOrEqual(outcomes[0]!.doneAt);
  }

  async function blocked(daemon: object, remote: RemoteOptions): Promise<void> {
    const { port } = (await world.server({ ...SWEEP, ...daemon })).address()!;
    const child = processOf([port], [remote], BLOCKING);
    expect(await child.line()).toBe('"ready"');
    await beside(child, await world.client([`127.0.0.1:${port}`], remote), BLOCK_MS);
  }

  it('from the first line of its method on keeps its lock: the renewal has left before', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'nestjs-dflockd-'));
    world.later(() => rm(folder, { recursive: true }));
    const { cert, key } = await selfSigned();
    const [tlsCert, tlsKey] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    await writeFile(tlsCert, cert);
    await writeFile(tlsKey, key);
    const tls = { ca: cert };
    await Promise.all([
      blocked({}, REMOTE),
      blocked({ tlsCert, tlsKey, autoReleaseOnDisconnect: false }, { ...REMOTE, tls, autoRelease: false }),
    ]);
  }, 60_000);

  it('for two seconds at the moment of the grant keeps its turn', async () => {
    // Longer than the default, for machines that pause.
    const remote = AS_DEFAULT ? {} : { placeLeaseS: 5 };
    const child = processOf([world.port], [remote], BLOCKING);
    expect(await child.line()).toBe('"ready"');
    await beside(child, await world.client(), 1, 2000);
  }, 30_000);
});
