import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CompiledLib, type Conversation, type Usage } from '../../support/compiled-lib.js';

// DFLOCKD_TEST_SCALE=full takes 10,000 callers and 100,000 locks and prints what they cost; takes two minutes.
const FULL = process.env['DFLOCKD_TEST_SCALE'] === 'full';
const CALLERS = FULL ? 10_000 : 1000;
const LOCKS = FULL ? 100_000 : 2000;
const LEASE_S = FULL ? 30 : 4;
/** Two renewals of each lock. */
const WATCHED_MS = LEASE_S * 1000;

let lib: CompiledLib;
let daemon: Conversation;
let port: number;

beforeAll(async () => {
  lib = await CompiledLib.make();
  ({ conversation: daemon, port } = await lib.talkingDaemon({ maxLocks: 1_000_000 }));
}, 30_000);

afterAll(() => lib.remove());

/** A program with a client; it answers each line with what the function of that name in `answers` gives. */
const program = (body: string): string => `
  const locks = await LockClient.connect({ servers: ['127.0.0.1:${port}'] });
  /** Those that keep the process alive. */
  const sockets = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
  const usage = () => {
    gc();
    const { user, system } = process.cpuUsage();
    return { cpuMs: (user + system) / 1000, heapBytes: process.memoryUsage().heapUsed };
  };
  ${body}
  process.stdin.on('data', async (what) => console.log(JSON.stringify(await answers[what.toString().trim()]())));
  console.log('ready');
`;

const report = (figures: object): void => {
  if (FULL) console.log(JSON.stringify(figures, null, 2));
};

describe(`${CALLERS} callers that wait for one key`, () => {
  it(
    'have as many connections as the options allow, and all have their turn',
    async () => {
      const client = lib.start(
        program(`
          const held = await locks.acquire('busy');
          let turns = 0;
          let ended;
          const answers = {
            wait() {
              const all = Array.from({ length: ${CALLERS} }, async () => {
                const lock = await locks.acquire('busy', { acquireTimeoutS: 100 });
                turns++;
                await lock.release();
              });
              ended = Promise.all(all);
              return 0;
            },
            async look() {
              const [{ connections, locks: [busy] }] = await locks.stats();
              return { connections, waiters: busy.waiters, sockets: sockets() };
            },
            async release() {
              const began = performance.now();
              await held.release();
              await ended;
              return { turns, ms: Math.round(performance.now() - began), sockets: sockets() };
            },
            async close() {
              await locks.close();
              setTimeout(() => process.stdin.destroy());
              return sockets();
            },
          };
        `),
      );
      await client.line();
      await client.ask('wait');
      let seen = { connections: 0, waiters: 0, sockets: 0 };
      do seen = await client.ask('look');
      while (seen.waiters < 2);
      const released = await client.ask<{ turns: number; ms: number; sockets: number }>('release', 100_000);
      report({ callers: CALLERS, waiting: seen, released });
      // Two command lanes, two that wait, one for stats.
      expect(seen.waiters).toBe(2);
      expect(seen.connections).toBeLessThanOrEqual(5);
      expect(seen.sockets).toBeLessThanOrEqual(5);
      expect(released.turns).toBe(CALLERS);
      expect(await client.ask('close')).toBe(0);
    },
    FULL ? 120_000 : 20_000,
  );
});

describe(`${LOCKS} locks of ${LEASE_S} s that are held`, () => {
  it(
    'are renewed at half of their lease, at little cost',
    async () => {
      const client = lib.start(
        program(`
          const held = [];
          let lost = 0;
          let renewed = 0;
          locks.lockLost$.subscribe(() => lost++);
          const answers = {
            usage,
            async take() {
              for (let i = 0; i < ${LOCKS}; i += 1000) {
                const keys = Array.from({ length: 1000 }, (_, k) => 'held-' + (i + k));
                held.push(...(await Promise.all(keys.map((key) => locks.acquire(key, { leaseTtlS: ${LEASE_S} })))));
              }
              return held.length;
            },
            state: () => ({ lost, held: held.filter((lock) => lock.isHeld).length }),
            async close() {
              await locks.close();
              setTimeout(() => process.stdin.destroy());
              return 0;
            },
          };
        `),
      );
      await client.line();
      const both = async (): Promise<[Usage, Usage]> => [await client.ask('usage'), await daemon.ask('usage')];
      const empty = await both();
      expect(await client.ask('take', 60_000)).toBe(LOCKS);
      const full = await both();
      const began = performance.now();
      await new Promise((resolve) => setTimeout(resolve, WATCHED_MS));
      const took = performance.now() - began;
      const later = await both();
      const [atClient, atDaemon] = [0, 1].map((side) => ({
        bytesPerLock: Math.round((full[side]!.heapBytes - empty[side]!.heapBytes) / LOCKS),
        shareOfOneCore: Number(((later[side]!.cpuMs - full[side]!.cpuMs) / took).toFixed(4)),
      }));
      report({ locks: LOCKS, atClient, atDaemon });
      expect(await client.ask('state')).toEqual({ lost: 0, held: LOCKS });
      expect(atClient!.bytesPerLock).toBeLessThan(FULL ? 1500 : 4000);
      expect(atDaemon!.bytesPerLock).toBeLessThan(FULL ? 1500 : 4000);
      expect(atClient!.shareOfOneCore).toBeLessThan(FULL ? 0.2 : 0.5);
      expect(atDaemon!.shareOfOneCore).toBeLessThan(FULL ? 0.2 : 0.5);
      await client.ask('close', 60_000);
    },
    FULL ? 180_000 : 20_000,
  );
});
