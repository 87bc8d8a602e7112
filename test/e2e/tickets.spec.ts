import { afterEach, describe, expect, it } from '@jest/globals';
import { DflockdModule, DflockdService, NotEnqueuedError, type LockHandle } from '../../lib/entries/index.js';
import { boot, closeAll, daemon, until } from './support.js';

afterEach(closeAll);

describe.each(['embedded', 'a daemon'])('a ticket of the service, on %s', (where) => {
  const begin = async (): Promise<DflockdService> => {
    const options = where === 'embedded' ? { embedded: true as const } : { servers: [await daemon()] };
    const app = await boot({ imports: [DflockdModule.forRoot({ ...options, logger: false })] });
    return app.get(DflockdService);
  };

  it('takes a place now and the lock later', async () => {
    const locks = await begin();
    expect(locks.capabilities.tickets).toBe(true);
    const first = await locks.acquire('job');
    const ticket = locks.enqueue('job', { leaseTtlS: 5 });
    await expect(ticket.placed).resolves.toBe('queued');
    await expect(ticket.wait(0.05)).resolves.toBeNull();
    await first.release();
    const lock = (await ticket.wait()) as LockHandle;
    expect(lock.isHeld).toBe(true);
    await expect(locks.tryAcquire('job')).resolves.toBeNull();
    await expect(lock.release()).resolves.toBe(true);
    await expect(ticket.wait()).rejects.toThrow(NotEnqueuedError);
  });

  it('that is cancelled leaves the queue', async () => {
    const locks = await begin();
    const first = await locks.acquire('job');
    const ticket = locks.enqueue('job');
    await ticket.placed;
    await ticket.cancel();
    await first.release();
    await until(async () => {
      await using lock = await locks.tryAcquire('job');
      return lock !== null;
    });
  });
});
