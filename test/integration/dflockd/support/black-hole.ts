import type { DflockdServerOptions } from '../../../../lib/daemon/shared/options.js';
import type { RemoteOptions } from '../../../../lib/locks/options/options.js';
import { type Direction, Proxy } from '../../../support/proxy.js';
import { inTime } from '../../../support/until.js';
import type { World } from './world.js';

export interface Hole {
  readonly daemon: DflockdServerOptions;
  readonly remote: RemoteOptions;
  readonly leaseTtlS: number;
  readonly directions: readonly Direction[];
}

/**
 * A holder whose connection falls into a black hole while a rival waits: how many milliseconds before the rival got the
 * lock the holder was told, and whether it believed in the lock then.
 */
export async function fallIn(
  world: World,
  { daemon, remote, leaseTtlS, directions }: Hole,
): Promise<[number, boolean]> {
  const { port } = (await world.server(daemon)).address()!;
  const proxy = await Proxy.to(port);
  world.later(() => proxy.close());
  const client = await world.client([proxy.address], remote);
  const rival = await world.client([`127.0.0.1:${port}`], { readTimeoutS: remote.readTimeoutS });
  const lock = await client.acquire('key', { leaseTtlS });
  const told = new Promise<number>((resolve) => client.lockLost$.subscribe(() => resolve(performance.now())));
  proxy.blackHole(directions);
  let believed = true;
  const taken = rival.acquire('key', { acquireTimeoutS: 10 }).then(() => {
    believed = lock.isHeld;
    return performance.now();
  });
  const [toldAt, takenAt] = await inTime(Promise.all([told, taken]), 'the loss and the rival', 10_000);
  // Otherwise the client would try to speak with the hole when it closes.
  proxy.reset();
  return [takenAt - toldAt, believed];
}
