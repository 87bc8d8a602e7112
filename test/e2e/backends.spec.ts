import { afterEach, describe, expect, it } from '@jest/globals';
import { Module } from '@nestjs/common';
import type { BackendFactory } from '../../lib/backends/backend.js';
import { EmbeddedBackend } from '../../lib/backends/embedded/embedded.js';
import { systemClock, systemEntropy } from '../../lib/common/system.js';
import { resolveEmbedded } from '../../lib/backends/embedded/options.js';
import { DflockdModule, DflockdService } from '../../lib/entries/index.js';
import { boot, bootError, closeAll, daemon } from './support.js';

afterEach(closeAll);

const inThisProcess: BackendFactory = ({ clock, entropy }) =>
  new EmbeddedBackend(resolveEmbedded(true), clock, entropy);

describe('DflockdService.isLocked', () => {
  it.each<[string, () => Promise<object>]>([
    ['embedded', async () => ({ embedded: true })],
    ['a daemon', async () => ({ servers: [await daemon()] })],
    ['a backend of one’s own', async () => ({ backend: inThisProcess })],
  ])('tells whether a key is held: %s', async (_where, options) => {
    const app = await boot({
      imports: [DflockdModule.forRoot({ ...(await options()), namespace: 'n', logger: false })],
    });
    const locks = app.get(DflockdService);
    expect(await locks.isLocked('k')).toBe(false);
    const lock = await locks.acquire('k');
    const slot = await locks.acquire('s', { limit: 2 });
    expect(await Promise.all([locks.isLocked('k'), locks.isLocked('s', { limit: 2 }), locks.isLocked('x')])).toEqual([
      true,
      true,
      false,
    ]);
    await lock.release();
    await slot.release();
    expect([await locks.isLocked('k'), await locks.isLocked('s', { limit: 2 })]).toEqual([false, false]);
  });
});

describe('one module class with a backend of its own, in two applications', () => {
  it('works in both with a factory, one after the other and side by side', async () => {
    @Module({ imports: [DflockdModule.forRoot({ backend: inThisProcess, logger: false })] })
    class AppModule {}
    const holds = async (app: Awaited<ReturnType<typeof boot>>) => {
      await using lock = await app.get(DflockdService).acquire('k');
      return lock.isHeld;
    };
    const first = await boot({ imports: [AppModule] });
    expect(await holds(first)).toBe(true);
    await first.close();
    const second = await boot({ imports: [AppModule] });
    const third = await boot({ imports: [AppModule] });
    expect([await holds(second), await holds(third)]).toEqual([true, true]);
  });

  it('asks for a factory where the second application gets the same instance', async () => {
    const backend = new EmbeddedBackend(resolveEmbedded(true), systemClock, systemEntropy);
    @Module({ imports: [DflockdModule.forRoot({ backend, logger: false })] })
    class AppModule {}
    const first = await boot({ imports: [AppModule] });
    await first.close();
    const error = await bootError({ imports: [AppModule] });
    expect(error).toMatchObject({ code: 'CONFIG' });
    expect(error.message).toMatch(/"embedded" belongs to another client already; pass a factory/);
  });
});
