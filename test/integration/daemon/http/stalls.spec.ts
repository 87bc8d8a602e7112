import { describe, expect, it } from '@jest/globals';
import { systemClock } from '../../../../lib/common/system.js';
import { FakeClock } from '../../../support/fake-clock.js';
import { until } from '../../../support/until.js';
import { acquire, tokenOf } from '../harness.js';
import { type HttpWire, inSession, request, useHttpDaemons } from './harness.js';

/** Sockets are really polled; everything takes time: a hundredth of a millisecond for each look at the clock. */
class StalledClock extends FakeClock {
  override now(): number {
    this.stall(0.01);
    return super.now();
  }

  override afterPoll(fn: () => void): void {
    systemClock.afterPoll(fn);
  }

  /** What has been sent by now waits in the buffers of the kernel when overdue timers run. */
  wakeAfter(seconds: number): void {
    this.stall(seconds * 1000);
    this.advance(1);
  }
}

/** Far more than are served in a turn. */
const CLIENTS = 150;

describe('a daemon that has stalled', () => {
  const start = useHttpDaemons();

  /** Connections with a session each. */
  async function clientsOf(daemon: Awaited<ReturnType<typeof start>>) {
    const clients: { wire: HttpWire; id: string }[] = [];
    for (let i = 0; i < CLIENTS; i++) {
      const wire = await daemon.open();
      const { body } = await wire.ask(request('POST', '/v1/sessions'));
      clients.push({ wire, id: (JSON.parse(body) as { session_id: string }).session_id });
    }
    return clients;
  }

  const statuses = async (wires: readonly HttpWire[]): Promise<Record<string, number>> => {
    const answers = await Promise.all(wires.map((wire) => wire.answer().catch(() => ({ status: 'closed' }))));
    const counts: Record<string, number> = {};
    for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
    return counts;
  };

  it.each([
    ['the read timeout', { readTimeout: 23, httpSessionIdleTimeout: 0 }, 24],
    ['the idle timeout', { readTimeout: 3600, httpSessionIdleTimeout: 10, httpSsePingInterval: 5 }, 31],
  ])('ends no session by %s that was pinged in time, however many were', async (_, options, seconds) => {
    const clock = new StalledClock();
    const daemon = await start(options, { clock });
    const clients = await clientsOf(daemon);
    // Whose deadlines ring first is served last.
    for (const { wire, id } of [...clients].reverse()) wire.send(request('POST', `/v1/sessions/${id}/ping`));
    clock.wakeAfter(seconds);
    expect(await statuses(clients.map(({ wire }) => wire))).toEqual({ 204: CLIENTS });
  });

  it('keeps the leases that were renewed over HTTP in time, however many were', async () => {
    const clock = new StalledClock();
    const daemon = await start({ readTimeout: 3600, httpSessionIdleTimeout: 0 }, { clock });
    const clients = await clientsOf(daemon);
    const tokens: string[] = [];
    for (const [i, { wire, id }] of clients.entries()) {
      const { body } = await wire.ask(request('POST', `/v1/locks/k${i}`, '{"lease_ttl_s":30}', inSession(id)));
      tokens.push((JSON.parse(body) as { token: string }).token);
    }
    for (const [i, { wire, id }] of clients.entries()) {
      const body = JSON.stringify({ token: tokens[i], lease_ttl_s: 30 });
      wire.send(request('POST', `/v1/locks/k${i}/renew`, body, inSession(id)));
    }
    clock.wakeAfter(31);
    expect(await statuses(clients.map(({ wire }) => wire))).toEqual({ 200: CLIENTS });
  });

  it('keeps the leases that were renewed over TCP in time, however many one connection renews', async () => {
    const EACH = 48;
    const clock = new StalledClock();
    const daemon = await start({ readTimeout: 3600, maxLocks: 10_000 }, { clock });
    const wires = await Promise.all(Array.from({ length: 100 }, () => daemon.tcp()));
    const renewals: string[] = [];
    for (const [i, wire] of wires.entries()) {
      const keys = Array.from({ length: EACH }, (_, k) => `k${i}.${k}`);
      wire.send(keys.map((key) => acquire(key)).join(''));
      const grants = (await wire.read(EACH)).trimEnd().split('\n');
      renewals.push(keys.map((key, k) => `n\n${key}\n${tokenOf(grants[k]!)} 30\n`).join(''));
    }
    wires.forEach((wire, i) => wire.send(renewals[i]!));
    clock.wakeAfter(34);
    for (const wire of wires) expect(await wire.read(EACH)).toBe('ok 30\n'.repeat(EACH));
  });

  it('answers the first requests of connections, however many have sent one in time', async () => {
    const clock = new StalledClock();
    const daemon = await start({ readTimeout: 3600 }, { clock });
    const wires = await Promise.all(Array.from({ length: CLIENTS }, () => daemon.open()));
    await until(
      () => process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length >= 2 * CLIENTS,
    );
    for (const wire of wires) wire.send(request('GET', '/health'));
    clock.wakeAfter(11);
    expect(await statuses(wires)).toEqual({ 200: CLIENTS });
  });
});
