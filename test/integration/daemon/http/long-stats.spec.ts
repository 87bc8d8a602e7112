import { describe, expect, it, jest } from '@jest/globals';
import { type Clock, systemClock, systemEntropy } from '../../../../lib/common/system.js';
import { StatsDesk } from '../../../../lib/daemon/fairness/stats-desk.js';
import { createEngine } from '../../../../lib/daemon/shared/create-engine.js';
import { silent } from '../../../../lib/daemon/shared/logger.js';
import { resolveServerOptions } from '../../../../lib/daemon/shared/options.js';
import { FakeClock } from '../../../support/fake-clock.js';
import { keptByTheKernel } from '../../../support/unsent.js';
import { until } from '../../../support/until.js';
import { turns } from '../harness.js';
import { error, type HttpDaemon, request, useHttpDaemons } from './harness.js';

describe('/v1/stats that are long', () => {
  const start = useHttpDaemons();

  /** A daemon with so many keys of so many bytes, each of which is six in JSON. */
  async function daemonWith(
    keys: number,
    length: number,
    options = {},
    clock: Clock = systemClock,
  ): Promise<HttpDaemon> {
    const driver = createEngine(resolveServerOptions({ maxLocks: 2_000_000 }), clock, systemEntropy, silent);
    const sink = { reply: () => undefined, push: () => true, evict: () => undefined };
    const session = driver.engine.open(sink, 'holder');
    for (let i = 0; i < keys; i++) {
      const key = `${i}`.padStart(length, '\xff');
      const acquired = { t: 'acquire', kind: 'lock', key, limit: 1, waitMs: 0, leaseMs: 3_600_000 } as const;
      driver.engine.exec(session, i, acquired, clock.now());
    }
    return start(options, { driver });
  }

  it('are refused if they are longer than 64 MiB, and the connection stays open', async () => {
    const daemon = await start();
    // What the desk says of so many keys; the line protocol has a test with that many.
    const asked = jest.spyOn(StatsDesk.prototype, 'ask').mockImplementation((asker) => {
      setImmediate(() => asker.tell(undefined));
      return undefined;
    });
    const wire = await daemon.open();
    const { status, body } = await wire.ask(request('GET', '/v1/stats'));
    asked.mockRestore();
    const detail = 'there are too many keys for one answer';
    expect([status, body]).toEqual([500, error('unexpected_protocol_response', detail)]);
    expect((await wire.ask(request('GET', '/v1/stats'))).status).toBe(200);
  });

  it('end a reader that does not take them within four write timeouts, and nobody who reads', async () => {
    const clock = new FakeClock();
    // 18 MB, more than sockets buffer.
    const daemon = await daemonWith(15_000, 200, { writeTimeout: 5, readTimeout: 3600 }, clock);
    const [deaf, reader] = [await daemon.open(), await daemon.open()];
    deaf.socket.pause();
    for (const wire of [deaf, reader]) wire.send(request('GET', '/v1/stats'));
    await until(() => {
      clock.advance(0);
      return reader.received.endsWith('\r\n0\r\n\r\n');
    });
    expect(await reader.answer()).toMatchObject({ status: 200 });
    clock.advance(19_000);
    await turns(20);
    const connections = (): number => (daemon.server.toJSON() as { connections: number }).connections;
    const before = connections();
    clock.advance(1_100);
    await turns(20);
    // Which would keep what it has not read for minutes.
    expect(keptByTheKernel(daemon.port)).toBe(0);
    deaf.socket.resume();
    const text = await deaf.rest();
    expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(text).not.toMatch(/0\r\n\r\n$/);
    expect(connections()).toBeLessThanOrEqual(before);
    expect((await reader.ask(request('GET', '/health'))).status).toBe(200);
  });
});
