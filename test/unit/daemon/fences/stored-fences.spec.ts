import { mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ConfigError } from '../../../../lib/common/errors.js';
import { FencedTokens } from '../../../../lib/core/tokens.js';
import { FENCE_FILE_HOST, type FenceFileHost } from '../../../../lib/daemon/fences/fence-file.js';
import { encodeRecord, type FoundRecord, readJournal } from '../../../../lib/daemon/fences/fence-journal.js';
import { StoredFences } from '../../../../lib/daemon/fences/stored-fences.js';
import { fenceOf } from '../../../../lib/protocol/fence-of-token.js';
import { FakeClock } from '../../../support/fake-clock.js';
import { until } from '../../../support/until.js';

const BLOCK = 2n ** 20n;
const HALF = BLOCK / 2n;
const WALL = Date.UTC(2026, 0, 1);
const SEED = BigInt(WALL) * 1_000_000n;

/** No command is started: what locks exclude is tested with the real ones. */
const withoutLocks = (): FenceFileHost['lock'] => {
  let calls = 0;
  return () => (calls++ % 2 === 0 ? 'locked' : 'busy');
};

describe('fences that a file keeps rising (spec 10.1)', () => {
  let folder: string;
  let path: string;
  let log: string[];
  const open: StoredFences[] = [];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'nestjs-dflockd-'));
    path = join(folder, 'fences');
    log = [];
  });
  afterEach(async () => {
    await Promise.all(open.splice(0).map((fences) => fences.close()));
    rmSync(folder, { recursive: true });
  });

  const make = (clock: FakeClock, host: Partial<FenceFileHost> = {}): StoredFences => {
    const fences = new StoredFences(path, clock, (level, message) => log.push(`${level} ${message}`), {
      ...FENCE_FILE_HOST,
      lock: withoutLocks(),
      ...host,
    });
    open.push(fences);
    return fences;
  };
  const stored = (): FoundRecord => readJournal(readFileSync(path)) as FoundRecord;
  const start = (wall = WALL, host?: Partial<FenceFileHost>) => {
    const clock = new FakeClock({ wall });
    const fences = make(clock, host);
    fences.open();
    return { clock, fences };
  };
  /** The last fence of a range is issued. */
  const use = (fences: StoredFences, last: bigint): bigint => {
    const range = fences.take(last)!;
    return range.after + BigInt(range.count);
  };

  it('creates the file for its owner only, and reserves 2^20 fences before any is issued', () => {
    const { fences } = start();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readFileSync(path)).toEqual(encodeRecord({ sequence: 1n, ceiling: SEED + BLOCK }));
    expect(fences.take(0n)).toEqual({ after: SEED, count: Number(HALF) });
  });

  it('goes on above the recorded ceiling when the wall clock stands behind it', () => {
    writeFileSync(path, encodeRecord({ sequence: 7n, ceiling: SEED + 12345n }));
    const { fences } = start(WALL - 1e9);
    expect(fences.take(0n)!.after).toBe(SEED + 12345n);
    expect(stored()).toMatchObject({ sequence: 8n, ceiling: SEED + 12345n + BLOCK, slot: 1 });
  });

  it('takes over a file of the older form, and keeps it until the first record is on the disk', () => {
    const older = Buffer.alloc(8);
    older.writeBigUInt64BE(SEED + 99n);
    writeFileSync(path, older);
    const { fences } = start();
    expect(fences.take(0n)!.after).toBe(SEED + 99n);
    expect(readFileSync(path)).toHaveLength(64);
    expect(readFileSync(path).subarray(0, 8)).toEqual(older);
    expect(stored()).toMatchObject({ ceiling: SEED + 99n + BLOCK, slot: 1 });
  });

  it('reserves the next fences in the background when half of them are left', async () => {
    const { fences } = start();
    const half = use(fences, SEED);
    expect(stored().sequence).toBe(1n);
    const end = use(fences, half);
    expect(end).toBe(SEED + BLOCK);
    await until(() => stored().sequence === 2n);
    expect(stored().ceiling).toBe(SEED + BLOCK + HALF);
    expect((await until(() => fences.take(end))).after).toBe(end);
  });

  it('issues every fence once, and none above what is on the disk, in a program that never ends its turn', () => {
    const { fences } = start();
    const tokens = new FencedTokens({ unit: () => 0, fill: () => undefined }, 0n, fences);
    let last = SEED;
    for (let i = 0; i < 3 * 2 ** 20; i++) {
      const token = tokens.next()!;
      if (i % 4096 !== 0) continue;
      const fence = fenceOf(token)!;
      expect(fence).toBe(SEED + BigInt(i) + 1n);
      last = fence;
      if (i % 2 ** 18 === 0) expect(stored().ceiling).toBeGreaterThanOrEqual(fence);
    }
    expect(last).toBeGreaterThan(SEED + 2n * BLOCK);
    expect(log).toEqual([]);
  });

  it.each([
    ['the disk is full', { write: 'ENOSPC' }],
    ['a write is torn', { write: 5 }],
    ['the disk fails', { fsync: 'EIO' }],
  ] as const)(
    'issues what it has reserved and then nothing while %s, says so once, and goes on afterwards',
    async (_, how) => {
      let isBroken = true;
      const broken = (code: string): NodeJS.ErrnoException => Object.assign(new Error(code), { code });
      const host: Partial<FenceFileHost> = {
        write: ((...args: Parameters<typeof FENCE_FILE_HOST.write>) => {
          const [descriptor, bytes, , , at, done] = args as unknown as [
            number,
            Buffer,
            0,
            32,
            number,
            (...a: unknown[]) => void,
          ];
          if (!isBroken || !('write' in how)) return FENCE_FILE_HOST.write(descriptor, bytes, 0, 32, at, done as never);
          if (typeof how.write === 'string') return done(broken(how.write), 0);
          FENCE_FILE_HOST.write(descriptor, bytes, 0, how.write, at, done as never);
        }) as never,
        fsync: ((descriptor: number, done: (error: Error | null) => void) => {
          if (isBroken && 'fsync' in how) done(broken(how.fsync));
          else FENCE_FILE_HOST.fsync(descriptor, done);
        }) as never,
      };
      const { clock, fences } = start(WALL, host);
      const end = use(fences, use(fences, SEED));
      await until(() => log.length > 0);
      for (let i = 0; i < 5; i++) {
        expect(fences.take(end)).toBeUndefined();
        await clock.advanceAsync(1000);
      }
      // Where the write itself failed, the record before it is the one that counts.
      if ('write' in how) expect(stored()).toMatchObject({ sequence: 1n, ceiling: SEED + BLOCK });
      expect(log).toEqual([
        'error cannot write the fence state file',
        'error no fences left: nothing is granted until the fence state file can be written',
      ]);
      isBroken = false;
      await until(() => {
        clock.advance(1000);
        return log.length === 3;
      });
      expect(log[2]).toBe('info the fence state file is written again');
      expect(fences.take(end)!.after).toBe(end);
      expect(stored()).toMatchObject({ sequence: 2n, slot: 1 });
    },
  );

  it('issues nothing above what it has reserved while a write hangs', async () => {
    let finish: (() => void) | undefined;
    const fsync = ((descriptor: number, done: (error: Error | null) => void) => {
      finish = () => FENCE_FILE_HOST.fsync(descriptor, done);
    }) as never;
    const { fences } = start(WALL, { fsync });
    const end = use(fences, use(fences, SEED));
    await until(() => finish);
    expect(fences.take(end)).toBeUndefined();
    finish!();
    expect((await until(() => fences.take(end))).after).toBe(end);
    expect(log).toEqual([
      'error no fences left: nothing is granted until the fence state file can be written',
      'info the fence state file is written again',
    ]);
  });

  it('does not go on writing to a file that was moved away, which the next start would not find', async () => {
    const { clock, fences } = start();
    const end = use(fences, use(fences, SEED));
    renameSync(path, `${path}.away`);
    await until(() => log.length > 0);
    expect(fences.take(end)).toBeUndefined();
    writeFileSync(path, '');
    clock.advance(1000);
    await until(() => clock.pendingTimers === 1);
    expect(fences.take(end)).toBeUndefined();
    renameSync(`${path}.away`, path);
    clock.advance(1000);
    await until(() => fences.take(end));
  });

  it('refuses to start when the numbers are used up, and never begins again at 0', () => {
    writeFileSync(path, encodeRecord({ sequence: 1n, ceiling: 2n ** 64n - 1000n }));
    expect(() => start()).toThrow(/used up/);
  });

  it.each([
    ['no file', undefined, 7],
    ['an empty file', Buffer.alloc(0), 7],
    ['a file of the older form', Buffer.from('18f0123456789abc', 'hex'), 7],
    ['a file with one record', encodeRecord({ sequence: 1n, ceiling: SEED }), 7],
    ['a file with one record', encodeRecord({ sequence: 1n, ceiling: SEED }), 'ENOSPC'],
  ])('can be started again after the first write into %s has failed', (_, content, how) => {
    if (content) writeFileSync(path, content);
    const writeSync = ((descriptor: number, bytes: Buffer, _from: number, _length: number, at: number) => {
      if (typeof how === 'string') throw Object.assign(new Error(how), { code: how });
      return FENCE_FILE_HOST.writeSync(descriptor, bytes, 0, how, at);
    }) as never;
    expect(() => start(WALL, { writeSync })).toThrow(ConfigError);
    const before = content ? (readJournal(content) as FoundRecord).ceiling : 0n;
    expect(start().fences.take(0n)!.after).toBe(before > SEED ? before : SEED);
  });

  it.each([
    ['has another size', 'not a fence file\n', /: it has 17 bytes, .*Restore it from a backup/],
    ['has no valid record', '\0'.repeat(64), /no valid record.*Restore it from a backup/],
  ])('refuses to start with a file that %s, and leaves it as it is', (_, content, why) => {
    writeFileSync(path, content);
    expect(() => start()).toThrow(ConfigError);
    expect(() => start()).toThrow(why);
    expect(() => start()).toThrow(JSON.stringify(path).slice(1, -1));
    expect(readFileSync(path, 'latin1')).toBe(content);
  });

  it.each([
    ['a folder', () => path, /EISDIR/],
    ['a device', () => '/dev/null', /not a regular file/],
    ['in a folder that does not exist', () => join(path, '..', 'none', 'fences'), /ENOENT.*directory that exists/],
  ])('refuses to start with a path that is %s', (_, name, why) => {
    rmSync(path, { force: true });
    if (why.source === 'EISDIR') path = folder;
    path = name();
    expect(() => start()).toThrow(ConfigError);
    expect(() => start()).toThrow(why);
  });

  it.each([
    [
      'nothing on the system can lock it',
      () => ({ impossible: 'flock: ENOENT; perl: ENOENT' }) as const,
      /perl: ENOENT/,
    ],
    ['the file system does not keep locks', () => 'locked' as const, /grants the lock twice/],
  ])('refuses to start if %s', (_, lock, why) => {
    expect(() => start(WALL, { lock })).toThrow(why);
    expect(() => start(WALL, { lock })).toThrow(/two daemons could issue the same fences.*Install flock/);
  });

  it('opens the file with the first grant, if nothing has opened it, and tries again a second after it could not', async () => {
    const clock = new FakeClock({ wall: WALL });
    writeFileSync(path, 'foreign');
    const fences = make(clock);
    for (let i = 0; i < 3; i++) expect(fences.take(SEED)).toBeUndefined();
    expect(log).toHaveLength(2);
    rmSync(path);
    expect(fences.take(SEED)).toBeUndefined();
    clock.advance(1000);
    expect(fences.take(2n * SEED)!.after).toBe(2n * SEED);
  });

  it('issues higher fences after it was released and opened again, although the file was deleted', async () => {
    const { fences } = start();
    const last = use(fences, SEED);
    await fences.release();
    rmSync(path);
    fences.open();
    expect(fences.take(last)!.after).toBeGreaterThanOrEqual(last);
  });

  it('issues nothing once it is closed', async () => {
    const { clock, fences } = start();
    await fences.close();
    expect(fences.take(SEED)).toBeUndefined();
    expect(clock.pendingTimers).toBe(0);
    expect(log).toEqual([]);
  });
});
