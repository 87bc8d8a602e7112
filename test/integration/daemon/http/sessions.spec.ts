import { describe, expect, it, jest } from '@jest/globals';
import { FakeClock, FakeEntropy } from '../../../support/fake-clock.js';
import { until } from '../../../support/until.js';
import { statsOf, turns } from '../harness.js';
import { error, type HttpDaemon, type HttpWire, inSession, request, useHttpDaemons } from './harness.js';

const GONE = error('session_gone');
const TIMEOUT = '{"status":"timeout"}\n';
const start = useHttpDaemons();

const tokenIn = (body: string): string => (JSON.parse(body) as { token: string }).token;
const ping = (daemon: HttpDaemon, id: string) => daemon.ask('POST', `/v1/sessions/${id}/ping`);
const remove = (daemon: HttpDaemon, id: string) => daemon.ask('DELETE', `/v1/sessions/${id}`);

/** An acquire on a connection of its own, whose answer may come later. */
async function acquire(daemon: HttpDaemon, id: string, key: string, seconds = 1000) {
  const wire = await daemon.open();
  wire.send(request('POST', `/v1/locks/${key}`, JSON.stringify({ acquire_timeout_s: seconds }), inSession(id)));
  await turns(12);
  return wire;
}

/** Lets time pass in steps, with the sockets read in between. */
async function pass(clock: FakeClock, seconds: number): Promise<void> {
  for (let i = 0; i < seconds; i++) {
    clock.advance(1000);
    await turns(3);
  }
}

/** Whether a key can be taken. */
async function isFree(daemon: HttpDaemon, key: string): Promise<boolean> {
  const tcp = await daemon.tcp();
  const free = (await tcp.ask(`l\n${key}\n0\n`)).startsWith('ok');
  tcp.destroy();
  return free;
}

describe('sessions (spec http 3.7)', () => {
  it('are created, pinged and deleted once; ids are 32 lower-case hex digits', async () => {
    const daemon = await start({ httpSessionIdleTimeout: 25 });
    const { status, body } = await daemon.ask('POST', '/v1/sessions');
    expect([status, body]).toEqual([
      200,
      expect.stringMatching(/^\{"session_id":"[0-9a-f]{32}","idle_timeout_s":25\}\n$/),
    ]);
    const { session_id: id } = JSON.parse(body) as { session_id: string };
    expect((await ping(daemon, id)).status).toBe(204);
    expect([(await remove(daemon, id)).status, (await remove(daemon, id)).body]).toEqual([204, GONE]);
    expect((await ping(daemon, id)).body).toBe(GONE);
    for (const bad of ['x', id.toUpperCase(), `${id}0`, id.slice(1)]) {
      if (bad === id) continue;
      expect([(await ping(daemon, bad)).status, (await remove(daemon, bad)).status]).toEqual([400, 400]);
    }
  });

  it('that cannot be created are answered 500, without a word about the cause, and leave nothing behind', async () => {
    const entropy = new FakeEntropy();
    const daemon = await start({ httpMaxSessionsPerIp: 1 }, { entropy });
    const fill = jest.spyOn(entropy, 'fill').mockImplementation(() => {
      throw new Error('no entropy');
    });
    for (let i = 0; i < 2; i++) {
      const { status, body } = await daemon.ask('POST', '/v1/sessions');
      expect([status, body]).toEqual([500, error('session_create_failed')]);
    }
    fill.mockRestore();
    expect((await daemon.ask('POST', '/v1/sessions')).status).toBe(200);
  });

  it('the header may be in any case; the first of two counts; a malformed one is unknown, an empty one missing', async () => {
    const daemon = await start();
    const id = await daemon.session();
    const ask = (fields: string) =>
      daemon
        .open()
        .then((wire) => wire.ask(`POST /v1/locks/k HTTP/1.1\r\nHost: x\r\n${fields}Content-Length: 2\r\n\r\n{}`));
    expect((await ask(`x-DFLOCKD-session: ${id}\r\n`)).status).toBe(200);
    expect((await ask(`X-Dflockd-Session: ${id}\r\nX-Dflockd-Session: x\r\n`)).body).toBe(TIMEOUT);
    expect((await ask(`X-Dflockd-Session: x\r\nX-Dflockd-Session: ${id}\r\n`)).body).toBe(GONE);
    expect((await ask('X-Dflockd-Session: nonsense\r\n')).body).toBe(GONE);
    expect((await ask(`X-Dflockd-Session:\r\nX-Dflockd-Session: ${id}\r\n`)).status).toBe(400);
    expect((await ask('')).status).toBe(400);
  });

  it('delete frees locks, waiters and two-phase state before it is answered, of hundreds too', async () => {
    const daemon = await start();
    const [one, two] = [await daemon.session(), await daemon.session()];
    const wire = await daemon.open();
    for (let i = 0; i < 300; i++) {
      wire.send(request('POST', `/v1/locks/k${i}`, '{}', inSession(one)));
      expect((await wire.answer()).status).toBe(200);
    }
    await daemon.in(two, '/v1/locks/k0/enqueue');
    const waiting = await acquire(daemon, two, 'k1');
    const third = await acquire(daemon, two, 'k2');
    expect((await remove(daemon, two)).status).toBe(204);
    for (const gone of [waiting, third]) {
      const { status, body } = await gone.answer();
      expect([status, JSON.parse(body)]).toEqual([410, { error: 'session_gone', detail: expect.any(String) }]);
    }
    expect((await remove(daemon, one)).status).toBe(204);
    const tcp = await daemon.tcp();
    const { locks, idle_locks: idle } = await statsOf(tcp);
    expect([locks, idle.length]).toEqual([[], 300]);
  });

  it('without auto-release, holders stay until they are released by token', async () => {
    const daemon = await start({ autoReleaseOnDisconnect: false });
    const [one, two] = [await daemon.session(), await daemon.session()];
    const { body } = await daemon.in(one, '/v1/locks/k');
    expect((await remove(daemon, one)).status).toBe(204);
    expect((await daemon.in(two, '/v1/locks/k')).body).toBe(TIMEOUT);
    expect((await daemon.in(two, '/v1/locks/k/release', { token: tokenIn(body) })).status).toBe(204);
  });

  it('locks of a session are renewed and released by others, over TCP too', async () => {
    const daemon = await start();
    const [one, two] = [await daemon.session(), await daemon.session()];
    const token = tokenIn((await daemon.in(one, '/v1/locks/k')).body);
    expect((await daemon.in(two, '/v1/locks/k/renew', { token, lease_ttl_s: 50 })).status).toBe(200);
    const tcp = await daemon.tcp();
    expect(await tcp.ask(`n\nk\n${token} 5\n`)).toBe('ok 5');
    expect((await daemon.in(two, '/v1/locks/k/release', { token })).status).toBe(204);
  });

  it('requests of a session take turns, first come, first served; ping and delete do not wait', async () => {
    const daemon = await start();
    const [holder, id] = [await daemon.session(), await daemon.session()];
    const token = tokenIn((await daemon.in(holder, '/v1/locks/k')).body);
    const first = await acquire(daemon, id, 'k');
    const second = await acquire(daemon, id, 'free', 0);
    const third = await acquire(daemon, id, 'free', 0);
    expect((await ping(daemon, id)).status).toBe(204);
    expect([first.received, second.received, third.received]).toEqual(['', '', '']);
    await daemon.in(holder, '/v1/locks/k/release', { token });
    expect((await first.answer()).body).toContain('"ok"');
    expect((await second.answer()).body).toContain('"ok"');
    expect((await third.answer()).body).toBe(TIMEOUT);
  });

  it('the time of an acquire starts with its turn', async () => {
    const clock = new FakeClock();
    const daemon = await start({ readTimeout: 3600, httpSessionIdleTimeout: 0 }, { clock });
    const [holder, id] = [await daemon.session(), await daemon.session()];
    await daemon.in(holder, '/v1/locks/k', { lease_ttl_s: 3600 });
    const first = await acquire(daemon, id, 'k', 20);
    const second = await acquire(daemon, id, 'k', 20);
    await pass(clock, 21);
    expect((await first.answer()).body).toBe(TIMEOUT);
    await pass(clock, 18);
    expect(second.received).toBe('');
    await pass(clock, 3);
    expect((await second.answer()).body).toBe(TIMEOUT);
  });

  it('at most 1,000 requests of a session wait for their turn', async () => {
    const daemon = await start();
    const [holder, id] = [await daemon.session(), await daemon.session()];
    await daemon.in(holder, '/v1/locks/k');
    await acquire(daemon, id, 'k');
    const wires: HttpWire[] = [];
    for (let i = 0; i < 1001; i++) {
      const wire = await daemon.open();
      wires.push(wire.send(request('POST', '/v1/locks/x', '{}', inSession(id))));
    }
    const refused = await until(() => wires.find(({ received }) => received !== ''));
    expect((await refused.answer()).body).toBe(error('max_waiters'));
    expect(wires.filter(({ received }) => received !== '')).toEqual([]);
    await remove(daemon, id);
    await Promise.all(
      wires.filter((wire) => wire !== refused).map(async (wire) => expect((await wire.answer()).status).toBe(410)),
    );
  });

  it('connection ids come from the counter of TCP; sessions are no TCP connections', async () => {
    const daemon = await start({ maxConnections: 1 });
    const id = await daemon.session();
    await daemon.in(id, '/v1/locks/k');
    const tcp = await daemon.tcp();
    const stats = await statsOf(tcp);
    expect(stats).toMatchObject({ connections: 1, locks: [{ key: 'k', owner_conn_id: 1 }] });
  });
});

describe('the ends of sessions', () => {
  const SHORT = { readTimeout: 23, httpSessionIdleTimeout: 20 };

  it('a session that executes nothing for the read timeout is dead, and frees what it has at that moment', async () => {
    const clock = new FakeClock();
    const daemon = await start(SHORT, { clock });
    const id = await daemon.session();
    await daemon.in(id, '/v1/locks/k', { lease_ttl_s: 3600 });
    await pass(clock, 22);
    expect(await isFree(daemon, 'k')).toBe(false);
    await pass(clock, 2);
    expect(await isFree(daemon, 'k')).toBe(true);
    expect((await daemon.in(id, '/v1/locks/k')).body).toBe(GONE);
  });

  it('commands and pings restart the read timeout; requests that execute nothing do not', async () => {
    const clock = new FakeClock();
    const daemon = await start(SHORT, { clock });
    const [pinged, used, refused] = [await daemon.session(), await daemon.session(), await daemon.session()];
    for (let i = 0; i < 3; i++) {
      await pass(clock, 15);
      expect((await ping(daemon, pinged)).status).toBe(204);
      expect((await daemon.in(used, `/v1/locks/k${i}`)).status).toBe(200);
      expect((await daemon.in(refused, '/v1/locks/k', '{')).status).toBe(i === 0 ? 400 : 410);
    }
  });

  it('the read timeout does not run while a command waits', async () => {
    const clock = new FakeClock();
    const daemon = await start({ readTimeout: 23, httpSessionIdleTimeout: 0 }, { clock });
    const tcp = await daemon.tcp();
    const id = await daemon.session();
    expect(await tcp.ask('l\nk\n0 3600\n')).toMatch(/^ok/);
    const wire = await acquire(daemon, id, 'k', 60);
    for (let i = 0; i < 6; i++) {
      await pass(clock, 10);
      expect(await tcp.ask('ping\n_\n\n')).toBe('ok');
    }
    await pass(clock, 1);
    expect((await wire.answer()).body).toBe(TIMEOUT);
    await pass(clock, 20);
    expect((await ping(daemon, id)).status).toBe(204);
  });

  it('the reaper ends sessions that no request has named for twice the idle timeout, but not those that wait', async () => {
    const clock = new FakeClock();
    const daemon = await start({ readTimeout: 3600, httpSessionIdleTimeout: 16 }, { clock });
    const tcp = await daemon.tcp();
    await tcp.ask('l\nheld\n0 3600\n');
    const [idle, named, waiting] = [await daemon.session(), await daemon.session(), await daemon.session()];
    await daemon.in(idle, '/v1/locks/k', { lease_ttl_s: 3600 });
    const wire = await acquire(daemon, waiting, 'held');
    for (let i = 0; i < 5; i++) {
      await pass(clock, 10);
      expect((await daemon.in(named, '/v1/locks/k', '{')).status).toBe(400);
    }
    expect(await isFree(daemon, 'k')).toBe(true);
    expect((await ping(daemon, idle)).body).toBe(GONE);
    expect(wire.received).toBe('');
    expect((await ping(daemon, waiting)).status).toBe(204);
  });

  it('an idle timeout of 0 leaves sessions to the read timeout', async () => {
    const clock = new FakeClock();
    const daemon = await start({ readTimeout: 300, httpSessionIdleTimeout: 0 }, { clock });
    const id = await daemon.session();
    await pass(clock, 290);
    expect((await ping(daemon, id)).status).toBe(204);
  });

  it('caps: all sessions, then those of an address; dead ones make room', async () => {
    const clock = new FakeClock();
    const daemon = await start({ ...SHORT, httpMaxSessions: 3, httpMaxSessionsPerIp: 2 }, { clock });
    const create = async () => {
      const { status, body } = await daemon.ask('POST', '/v1/sessions');
      return [status, status === 200 ? '' : body];
    };
    expect([await create(), await create()]).toEqual([
      [200, ''],
      [200, ''],
    ]);
    expect(await create()).toEqual([503, error('max_sessions_per_ip')]);
    await pass(clock, 24);
    expect(await create()).toEqual([200, '']);
    const small = await start({ httpMaxSessions: 1 });
    const id = await small.session();
    expect((await small.ask('POST', '/v1/sessions')).body).toBe(error('max_sessions'));
    await remove(small, id);
    await small.session();
  });
});
