import {
  closeSync,
  linkSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { ConfigError } from '../../../lib/common/errors.js';
import type { Clock } from '../../../lib/common/system.js';
import { systemClock } from '../../../lib/common/system.js';
import { readJournal, type FoundRecord } from '../../../lib/daemon/fences/fence-journal.js';
import { LOCK_COMMANDS, lockFile } from '../../../lib/daemon/fences/file-lock.js';
import { DflockdServer } from '../../../lib/daemon/server.js';
import { LockClient } from '../../../lib/locks/lock-client.js';
import { fenceOf } from '../../../lib/protocol/fence-of-token.js';
import { CompiledLib } from '../../support/compiled-lib.js';
import { FakeClock } from '../../support/fake-clock.js';
import { Wire } from '../../support/wire.js';
import { GRANT, PING, acquire, release, tokenOf, useDaemons } from './harness.js';

describe('a fence state file (spec 10.1)', () => {
  const start = useDaemons();
  let folder: string;
  let fenceStateFile: string;
  const ends: (() => unknown)[] = [];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'nestjs-dflockd-'));
    fenceStateFile = join(folder, 'fences');
  });
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
    rmSync(folder, { recursive: true });
  });

  const behind: Clock = { ...systemClock, wall: () => Date.now() - 1e9 };
  const fenceFrom = async (wire: Wire): Promise<bigint> => {
    const token = tokenOf(await wire.ask(acquire('k')));
    expect(await wire.ask(release('k', token))).toBe('ok');
    return fenceOf(token)!;
  };

  it('keeps fences rising across restarts, although the wall clock was set back', async () => {
    let last = 0n;
    for (const clock of [systemClock, behind, { ...behind, wall: () => 0 }]) {
      const daemon = await start({ fenceStateFile }, { clock });
      const wire = await daemon.open();
      for (let i = 0; i < 3; i++) {
        const fence = await fenceFrom(wire);
        expect(fence).toBeGreaterThan(last);
        last = fence;
      }
      const { ceiling } = readJournal(readFileSync(fenceStateFile)) as FoundRecord;
      expect(ceiling).toBeGreaterThan(last);
      await daemon.stop();
    }
  });

  it('has one daemon at a time, whatever name each gives it, and is free after a shutdown and a failed start', async () => {
    const [hard, soft] = [join(folder, 'hard'), join(folder, 'soft')];
    const first = await start({ fenceStateFile });
    linkSync(fenceStateFile, hard);
    symlinkSync(fenceStateFile, soft);
    for (const name of [fenceStateFile, hard, soft]) {
      await expect(start({ fenceStateFile: name })).rejects.toThrow(ConfigError);
      await expect(start({ fenceStateFile: name })).rejects.toThrow(/another daemon uses it\. Give each daemon a file/);
      await expect(LockClient.connect({ embedded: { fenceStateFile: name }, startup: 'require' })).rejects.toThrow(
        /another daemon uses it/,
      );
    }
    const { port } = first.address;
    const other = join(folder, 'other');
    await expect(start({ port, fenceStateFile: other })).rejects.toThrow('in use');
    await (await start({ fenceStateFile: other })).stop();
    await first.stop();
    await start({ fenceStateFile: soft });
  });

  it('is taken by an engine in the process, which shares it with its own listener and with nobody else', async () => {
    const locks = await LockClient.connect({ embedded: { fenceStateFile, listen: '127.0.0.1:0' }, startup: 'require' });
    ends.push(() => locks.close());
    const fences = [];
    for (let i = 0; i < 2; i++) {
      const lock = await locks.acquire('k');
      fences.push(lock.fence!);
      await lock.release();
    }
    expect(fences[1]).toBe(fences[0]! + 1n);
    await expect(start({ fenceStateFile })).rejects.toThrow(/another daemon uses it/);
    await locks.close();
    const daemon = await start({ fenceStateFile }, { clock: behind });
    expect(await fenceFrom(await daemon.open())).toBeGreaterThan(fences[1]!);
  });

  it('refuses grants over TCP while it cannot be used, and nothing else', async () => {
    writeFileSync(fenceStateFile, 'something else');
    const log: string[] = [];
    const clock = new FakeClock();
    const logger = (level: string, message: string) => log.push(`${level} ${message}`);
    const server = new DflockdServer({ fenceStateFile }, { clock, logger });
    ends.push(() => server.close());
    // Without `listen` the first grant opens the file.
    const wire = Wire.pair(server);
    ends.push(() => wire.destroy());
    for (let i = 0; i < 10; i++) expect(await wire.ask(acquire(`k${i}`, 5))).toBe('error');
    expect(await wire.ask(PING)).toBe('ok');
    expect(log).toHaveLength(2);
    renameSync(fenceStateFile, join(folder, 'away'));
    expect(await wire.ask(acquire('k', 5))).toBe('error');
    clock.advance(1000);
    expect(await wire.ask(acquire('k', 5))).toMatch(GRANT);
  });

  it('fails a start with what is wrong and what to do', async () => {
    writeFileSync(fenceStateFile, 'x'.repeat(64));
    await expect(start({ fenceStateFile })).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringMatching(/fences.*: it contains no valid record.*Restore it from a backup/),
    });
  });

  it.each(LOCK_COMMANDS)('is locked by $command until its descriptor is closed', (command) => {
    const [one, other] = [openSync(fenceStateFile, 'w+'), openSync(fenceStateFile, 'r+')];
    expect(lockFile(one, [command])).toBe('locked');
    for (const each of LOCK_COMMANDS) expect(lockFile(other, [each])).toBe('busy');
    closeSync(one);
    expect(lockFile(other, [command])).toBe('locked');
    closeSync(other);
  });

  it('cannot be locked where there is no command for it', () => {
    const descriptor = openSync(fenceStateFile, 'w+');
    const none = [
      { command: 'no-such-command', args: [] },
      { command: 'sh', args: ['-c', 'exit 3'] },
    ];
    expect(lockFile(descriptor, none)).toEqual({ impossible: 'no-such-command: ENOENT; sh: exit code 3' });
    closeSync(descriptor);
  });

  describe('of a daemon in a process of its own', () => {
    let lib: CompiledLib;
    beforeAll(async () => {
      lib = await CompiledLib.make();
    }, 60_000);
    afterAll(() => lib.remove());

    it('is free as soon as the daemon is killed, and not before', async () => {
      const { port, conversation } = await lib.talkingDaemon({ fenceStateFile });
      const wire = await Wire.tcp({ host: '127.0.0.1', port });
      const before = await fenceFrom(wire);
      await expect(start({ fenceStateFile })).rejects.toThrow(/another daemon uses it/);
      await conversation.kill();
      wire.destroy();
      const daemon = await start({ fenceStateFile }, { clock: behind });
      expect(await fenceFrom(await daemon.open())).toBeGreaterThan(before);
    }, 60_000);
  });
});
