import { afterEach, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { DflockdServer } from '../../lib/daemon/server.js';
import { AcquireTimeoutError, DflockdModule, WithLock } from '../../lib/entries/index.js';
import { connect, type LockdClient } from '../../lib/entries/lockd.js';
import { boot, closeAll } from './support.js';

let server: DflockdServer;
let client: LockdClient;

afterEach(async () => {
  await client.disconnect();
  await closeAll();
  await server.close();
});

/** A daemon with a port for clients of lockd, one of them, and an application that locks by a decorator. */
async function both() {
  server = new DflockdServer({ port: 0, lockdPort: 0 });
  const { host, port } = await server.listen();
  client = connect({ tcp: `127.0.0.1:${server.lockdAddress()!.port}` });

  @Injectable()
  class Orders {
    readonly charged: number[] = [];
    during: () => unknown = () => undefined;

    @WithLock('order:{0}', { acquireTimeoutS: 10 })
    async charge(id: number): Promise<void> {
      await this.during();
      this.charged.push(id);
    }

    @WithLock('order:{0}', { acquireTimeoutS: 0 })
    async chargeNow(id: number): Promise<void> {
      this.charged.push(id);
    }
  }
  const root = DflockdModule.forRoot({ servers: [`${host}:${port}`], logger: false });
  const app = await boot({ imports: [root], providers: [Orders] });
  return app.get(Orders);
}

describe('a lock that a client of lockd has taken', () => {
  it('keeps a method with @WithLock out, until that client disconnects', async () => {
    const orders = await both();
    await client.get('order:7');
    await expect(orders.chargeNow(7)).rejects.toThrow(AcquireTimeoutError);
    await orders.chargeNow(8);
    const waits = orders.charge(7);
    await client.disconnect();
    await waits;
    expect(orders.charged).toEqual([8, 7]);
  });

  it('is refused while a method with @WithLock runs', async () => {
    const orders = await both();
    orders.during = () => expect(client.get('order:7')).rejects.toThrow('Lock Get Failure: order:7');
    await orders.charge(7);
    expect(await client.get('order:7')).toBe(1);
  });
});
