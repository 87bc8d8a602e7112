import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectPlain, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { DflockdServer } from '../../../../lib/daemon/server.js';
import { selfSigned } from '../../../support/certificates.js';
import { FakeClock } from '../../../support/fake-clock.js';
import { freePort } from '../../../support/free-port.mjs';
import { until } from '../../../support/until.js';
import { turns } from '../harness.js';
import { error, HttpDaemon, HttpWire, inSession, request, useHttpDaemons } from './harness.js';

const HEALTHY = '{"status":"ok"}\n';
const BAD =
  'HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request';

describe('the transport (spec http 3.1)', () => {
  let daemon: HttpDaemon;
  beforeAll(async () => {
    daemon = await HttpDaemon.start();
  });
  afterAll(() => daemon.stop());

  it('an answer has the headers of the original, and no others', async () => {
    const answer = await daemon.ask('GET', '/health');
    expect(Object.keys(answer.headers).sort()).toEqual([
      'content-length',
      'content-type',
      'date',
      'x-content-type-options',
    ]);
    expect(answer.head).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  });

  it('204 has no body, no length and no type', async () => {
    const id = await daemon.session();
    const { status, headers } = await daemon.ask('POST', `/v1/sessions/${id}/ping`);
    expect([status, Object.keys(headers)]).toEqual([204, ['date']]);
  });

  it('HTTP/1.0 is answered and closed; with keep-alive it stays open', async () => {
    const once10 = await daemon.open();
    const answer = await once10.ask('GET /health HTTP/1.0\r\n\r\n');
    expect([answer.status, answer.body, answer.headers['connection']]).toEqual([200, HEALTHY, 'close']);
    expect(await once10.rest()).toBe('');
    const kept = await daemon.open();
    for (let i = 0; i < 2; i++) {
      const { status, headers } = await kept.ask('GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
      expect([status, headers['connection']]).toEqual([200, 'keep-alive']);
    }
  });

  it('Connection: close ends the connection after the answer', async () => {
    const wire = await daemon.open();
    const { headers } = await wire.ask(request('GET', '/health', undefined, { Connection: 'close' }));
    expect(headers['connection']).toBe('close');
    expect(await wire.rest()).toBe('');
  });

  it('requests of a connection are answered one after another', async () => {
    const id = await daemon.session();
    const wire = await daemon.open();
    const acquire = (wait: number) =>
      request('POST', '/v1/locks/pipelined', JSON.stringify({ acquire_timeout_s: wait }), inSession(id));
    wire.send(acquire(0) + acquire(30) + request('GET', '/health') + request('DELETE', `/v1/sessions/${id}`));
    expect((await wire.answer()).body).toContain('"ok"');
    await turns(20);
    // The second waits, and what follows it waits for its answer.
    expect(wire.received).toBe('');
    await daemon.ask('DELETE', `/v1/sessions/${id}`);
    expect([(await wire.answer()).status, (await wire.answer()).body]).toEqual([410, HEALTHY]);
    expect((await wire.answer()).status).toBe(410);
  });

  it('300 requests in one packet are all answered, in order', async () => {
    const wire = await daemon.open();
    wire.send(Array.from({ length: 300 }, (_, i) => request('GET', i % 3 === 0 ? '/health' : `/x${i}`)).join(''));
    for (let i = 0; i < 300; i++) expect((await wire.answer()).status).toBe(i % 3 === 0 ? 200 : 404);
  });

  it('500 long answers to requests in one packet all arrive, although the client reads late', async () => {
    const wire = await daemon.open();
    const { body } = await wire.ask(request('GET', '/v1/openapi.json'));
    wire.socket.pause();
    wire.send(request('GET', '/v1/openapi.json').repeat(500));
    wire.send(request('GET', '/health'));
    // Until nothing more is sent to it.
    await until(async () => (await daemon.ask('GET', '/health')).status === 200);
    await turns(50);
    wire.socket.resume();
    for (let i = 0; i < 500; i++) expect((await wire.answer()).body.length).toBe(body.length);
    expect((await wire.answer()).body).toBe(HEALTHY);
    wire.destroy();
  });

  it('a body of a megabyte with a hundred requests behind it, in one packet: all are answered', async () => {
    const wire = await daemon.open();
    const padding = ' '.repeat(1024 * 1024 - '{"payload":"x"}'.length);
    wire.send(request('POST', '/v1/signals/x', `{"payload":"x"}${padding}`) + request('GET', '/health').repeat(100));
    expect(JSON.parse((await wire.answer()).body)).toEqual({ delivered: 0 });
    for (let i = 0; i < 100; i++) expect((await wire.answer()).body).toBe(HEALTHY);
    wire.destroy();
  });

  it('a client with many requests behind a wait is cut off, and its wait ends', async () => {
    const id = await daemon.session();
    const other = await daemon.session();
    await daemon.in(other, '/v1/locks/flooded');
    const wire = await daemon.open();
    wire.send(request('POST', '/v1/locks/flooded', '{"acquire_timeout_s":1000}', inSession(id)));
    wire.send(request('GET', '/health').repeat(2000));
    await wire.have(() => (wire.ended ? true : undefined), 'the end');
    await until(async () => {
      const { body } = await daemon.in(id, '/v1/locks/flooded', {});
      return body.includes('timeout');
    });
  });

  it.each([
    ['GET /health', 'garbage\r\n\r\n'],
    ['a bad version', 'GET /health HTTP/9.9\r\nHost: x\r\n\r\n'],
    ['two lengths', 'POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n'],
    ['a bad header', 'GET /health HTTP/1.1\r\nHost: x\r\nbad header: 1\r\n\r\n'],
    ['a length that is none', 'POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n'],
    ['binary', '\x16\x03\x01\x02\x00\x01\x00\r\n\r\n'],
  ])('%s: a plain 400, and the connection is closed', async (_, bytes) => {
    const wire = await daemon.open();
    expect(await wire.send(bytes).rest()).toBe(BAD);
  });

  it.each([
    ['a bad escape', 'GET /v1/%zz HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a cut escape', 'GET /v1/% HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['no version', 'GET /health\r\n\r\n'],
    ['no Host', 'GET /health HTTP/1.1\r\n\r\n'],
    ['no path', 'GET health HTTP/1.1\r\nHost: x\r\n\r\n'],
  ])('%s: a plain 400, and the connection is closed', async (_, bytes) => {
    const wire = await daemon.open();
    const rest = await wire.send(bytes).rest();
    expect(rest).toMatch(/^HTTP\/1\.1 400 Bad Request\r\nContent-Type: text\/plain; charset=utf-8\r\n/);
    expect(rest).toContain('Connection: close');
    expect(rest).not.toContain('nosniff');
  });

  it.each([
    ['two, even of the same value', 'Host: x\r\nhost: x\r\n'],
    ['one with user information', 'Host: user@x\r\n'],
    ['one with a path', 'Host: x/y\r\n'],
    ['one with a space', 'Host: x y\r\n'],
    ['one that is not ASCII', 'Host: \xe9\r\n'],
  ])('a request has one Host: %s, a plain 400, closed', async (_, host) => {
    for (const version of ['1.0', '1.1']) {
      const wire = await daemon.open();
      const rest = await wire.send(`GET /health HTTP/${version}\r\n${host}\r\n`).rest();
      expect(rest).toMatch(/^HTTP\/1\.1 400 Bad Request\r\nContent-Type: text\/plain/);
    }
  });

  it.each(['x', 'x:80', '', '[::1]:80', "a.b,c;d=(e)*+'!$&%_~-"])('the Host %j is fine', async (host) => {
    expect((await daemon.ask('GET', '/health', undefined, { Host: host })).status).toBe(200);
  });

  it.each([
    ['compressed', 'gzip, chunked'],
    ['encoded twice', 'x,chunked'],
    ['of an unknown coding', 'x'],
    ['of no coding', ''],
  ])('a body that is %s: 501, closed, and nothing is locked', async (_, coding) => {
    const id = await daemon.session();
    const wire = await daemon.open();
    const key = `/v1/locks/coded:${coding.length}`;
    const headers = { ...inSession(id), 'Transfer-Encoding': coding };
    const rest = await wire.send(`${request('POST', key, undefined, headers)}2\r\n{}\r\n0\r\n\r\n`).rest();
    expect(rest).toMatch(/^HTTP\/1\.1 501 Not Implemented\r\n.*\r\n\r\nUnsupported transfer encoding$/s);
    expect((await daemon.in(await daemon.session(), key)).body).toContain('"ok"');
  });

  it('what a client of the line protocol sends is refused with its first line', async () => {
    const wire = await daemon.open();
    expect(await wire.send('l\nmy-job\n').rest()).toBe(BAD);
  });

  it('what was asked before the garbage is answered first', async () => {
    const wire = await daemon.open();
    wire.send(`${request('GET', '/health')}${request('POST', '/v1/sessions')}nonsense\r\n\r\n`);
    expect((await wire.answer()).body).toBe(HEALTHY);
    expect((await wire.answer()).status).toBe(200);
    await wire.rest();
  });

  it.each([
    ['a bad header', 'POST /v1/locks/\xff HTTP/1.1\r\nHost: x\r\nno header\r\n\r\n', 400],
    ['another version', 'POST /v1/locks/\xff HTTP/2.7\r\nHost: x\r\n\r\n', 400],
    ['two lengths', 'POST /v1/locks/\xff HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}', 400],
    ['a head that is too long', `POST /v1/locks/\xff HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(70_000)}\r\n\r\n`, 431],
  ])('a raw target with %s is refused at once', async (_, text, status) => {
    const wire = await daemon.open();
    expect((await wire.ask(text)).status).toBe(status);
    await wire.rest();
  });

  it.each(['', '1\r\n{\r\n'])('a body whose chunks are malformed is a 400 at once, closed: %j', async (begun) => {
    const wire = await daemon.open();
    const head = 'POST /v1/signals/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n';
    const { status, headers, body } = await wire.ask(`${head}${begun}zz\r\n`);
    expect([status, headers['connection']]).toEqual([400, 'close']);
    expect(JSON.parse(body)).toMatchObject({ error: 'bad_request' });
    await wire.rest();
  });

  it('a malformed body behind a request that waits for its answer ends the connection with its 400', async () => {
    const wire = await daemon.open();
    const head = 'POST /v1/signals/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n';
    const many = request('GET', '/health').repeat(40);
    wire.send(`${many}${head}zz\r\n`);
    for (let i = 0; i < 40; i++) expect((await wire.answer()).status).toBe(200);
    expect((await wire.answer()).status).toBe(400);
    await wire.rest();
  });

  it('an endpoint that ignores bodies has answered before the body is malformed: closed without a second answer', async () => {
    const id = await daemon.session();
    const wire = await daemon.open();
    const head = `POST /v1/sessions/${id}/ping HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`;
    expect((await wire.ask(head)).status).toBe(204);
    const ends = jest.spyOn(Socket.prototype, 'destroySoon');
    // Refused in many pieces.
    expect(await wire.send('zz\r\n'.repeat(10_000)).rest()).toBe('');
    await turns(2);
    expect(ends.mock.calls.length).toBeLessThan(3);
    ends.mockRestore();
  });

  it('headers of more than 64 KiB: 431; of 60 KiB: fine', async () => {
    const wire = await daemon.open();
    const rest = await wire.send(request('GET', '/health', undefined, { X: 'x'.repeat(70_000) })).rest();
    expect(rest).toMatch(/^HTTP\/1\.1 431 /);
    expect((await daemon.ask('GET', '/health', undefined, { X: 'x'.repeat(60_000) })).status).toBe(200);
  });

  it('an absolute target is its path', async () => {
    expect((await daemon.ask('GET', 'http://elsewhere:1/health')).body).toBe(HEALTHY);
  });

  it('OPTIONS *: 200 and empty', async () => {
    const { status, body, headers } = await daemon.ask('OPTIONS', '*');
    expect([status, body, headers['content-length']]).toEqual([200, '', '0']);
  });

  it('Expect: 100-continue is continued where a body is read', async () => {
    const id = await daemon.session();
    const wire = await daemon.open();
    const headers = { ...inSession(id), Expect: '100-continue', 'Content-Length': '2' };
    expect((await wire.ask(request('POST', '/v1/locks/expected', undefined, headers))).status).toBe(100);
    expect((await wire.ask('{}')).status).toBe(200);
    expect((await wire.ask(request('GET', '/health'))).status).toBe(200);
  });

  it('elsewhere it is answered at once, and the connection closed', async () => {
    for (const [method, path, headers] of [
      ['GET', '/health', {}],
      ['POST', '/v1/locks/x', inSession('0'.repeat(32))],
    ] as const) {
      const wire = await daemon.open();
      const answer = await wire.ask(
        request(method, path, undefined, { ...headers, Expect: '100-continue', 'Content-Length': '2' }),
      );
      expect([answer.status, answer.headers['connection']]).toEqual([method === 'GET' ? 200 : 410, 'close']);
    }
  });

  it('nobody is told to send a body that no endpoint will read, even behind other requests', async () => {
    const wire = await daemon.open();
    const expected = { Expect: '100-continue', 'Content-Length': '2' };
    // More than begin in one turn.
    wire.send(request('GET', '/health').repeat(40) + request('PUT', '/v1/locks/x', undefined, expected));
    for (let i = 0; i < 40; i++) expect((await wire.answer()).status).toBe(200);
    const { status, headers } = await wire.answer();
    expect([status, headers['connection']]).toEqual([405, 'close']);
  });

  it.each<Record<string, string>>([{}, { 'Content-Length': '0' }])(
    'nor is one who has none to send: %j',
    async (length) => {
      const wire = await daemon.open();
      const expected = { ...inSession(await daemon.session()), Expect: '100-continue', ...length };
      const { status, headers } = await wire.ask(request('POST', '/v1/locks/bodiless/release', undefined, expected));
      expect([status, headers['connection']]).toEqual([400, 'close']);
    },
  );

  it.each<Record<string, string>>([{ Expect: '100-continue' }, {}])(
    'a client with bodies behind a wait is heard when it leaves: %j',
    async (headers) => {
      const [id, other] = [await daemon.session(), await daemon.session()];
      await daemon.in(other, '/v1/locks/unasked');
      const wire = await daemon.open();
      wire.send(request('POST', '/v1/locks/unasked', '{"acquire_timeout_s":1000}', inSession(id)));
      // More than Node buffers for a body that nobody reads.
      wire.send(request('POST', '/v1/signals/x', 'x'.repeat(60_000), headers).repeat(2));
      const waits = async () => {
        const { locks } = JSON.parse((await daemon.ask('GET', '/v1/stats')).body) as {
          locks: { key: string; waiters: number }[];
        };
        return locks.find(({ key }) => key === 'unasked')!.waiters === 1;
      };
      await until(waits);
      wire.destroy();
      await until(async () => !(await waits()));
      await daemon.ask('DELETE', `/v1/sessions/${other}`);
    },
  );

  it('a request behind others is told to send its body when its turn has come', async () => {
    const wire = await daemon.open();
    const expected = { Expect: '100-continue', 'Content-Length': '15' };
    wire.send(request('GET', '/health').repeat(40) + request('POST', '/v1/signals/x', undefined, expected));
    for (let i = 0; i < 40; i++) expect((await wire.answer()).status).toBe(200);
    expect((await wire.answer()).status).toBe(100);
    expect((await wire.ask('{"payload":"x"}')).body).toBe('{"delivered":0}\n');
    expect((await wire.ask(request('GET', '/health'))).status).toBe(200);
  });

  it('other expectations: 417, closed', async () => {
    const wire = await daemon.open();
    expect(await wire.send(request('GET', '/health', undefined, { Expect: 'tea' })).rest()).toMatch(/^HTTP\/1\.1 417 /);
  });

  it('cleartext HTTP/2 is not spoken', async () => {
    const wire = await daemon.open();
    expect(await wire.send('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n').rest()).toBe(BAD);
  });
});

describe('deadlines of connections', () => {
  const start = useHttpDaemons();

  const daemonOn = async (clock: FakeClock, readTimeout = 3600) =>
    start({ readTimeout, httpSessionIdleTimeout: 0 }, { clock });
  /** Lets time pass in small steps, with the sockets read in between. */
  const pass = async (clock: FakeClock, seconds: number): Promise<void> => {
    for (let i = 0; i < seconds * 4; i++) {
      clock.advance(250);
      await turns(2);
    }
    await turns();
  };

  it('a silent connection, and half a head, are closed without bytes after 10 s', async () => {
    const clock = new FakeClock();
    const daemon = await daemonOn(clock);
    const silent = await daemon.open();
    const half = await daemon.open();
    half.send('GET /health HT');
    await turns();
    await pass(clock, 9);
    expect([silent.ended, half.ended]).toEqual([false, false]);
    await pass(clock, 3);
    expect([await silent.rest(), await half.rest()]).toEqual(['', '']);
  });

  it('half a head of a later request is a plain 400 after 10 s', async () => {
    const clock = new FakeClock();
    const daemon = await daemonOn(clock);
    const wire = await daemon.open();
    expect((await wire.ask(request('GET', '/health'))).status).toBe(200);
    await pass(clock, 60);
    wire.send('GET /hea');
    await turns();
    await pass(clock, 9);
    expect(wire.ended).toBe(false);
    await pass(clock, 3);
    expect(await wire.rest()).toBe(BAD);
    await pass(clock, 2);
    await until(() => daemon.server.toJSON());
  });

  it('an idle connection is closed after 120 s', async () => {
    const clock = new FakeClock();
    const daemon = await daemonOn(clock);
    const wire = await daemon.open();
    for (let i = 0; i < 2; i++) {
      expect((await wire.ask(request('GET', '/health'))).status).toBe(200);
      await pass(clock, 118);
      expect(wire.ended).toBe(false);
    }
    await pass(clock, 4);
    expect(await wire.rest()).toBe('');
  });

  it('a body that does not arrive within the read timeout is a 400, closed', async () => {
    const clock = new FakeClock();
    const daemon = await daemonOn(clock, 30);
    const id = await daemon.session();
    const wire = await daemon.open();
    wire.send(request('POST', '/v1/locks/slow', undefined, { ...inSession(id), 'Content-Length': '10' }));
    for (let i = 0; i < 4; i++) {
      wire.send('{');
      await pass(clock, 7);
      expect(wire.ended).toBe(false);
    }
    await pass(clock, 4);
    const answer = await wire.answer();
    expect([answer.status, answer.headers['connection']]).toEqual([400, 'close']);
    await wire.rest();
  });

  it('a body that an endpoint ignores may not stall either', async () => {
    const clock = new FakeClock();
    const daemon = await daemonOn(clock, 30);
    const wire = await daemon.open();
    wire.send(request('GET', '/health', undefined, { 'Content-Length': '10' }));
    expect((await wire.answer()).status).toBe(200);
    await pass(clock, 32);
    expect(await wire.rest()).toBe('');
  });

  it('a stream of signals whose request has a body that does not arrive is closed, and its session goes', async () => {
    const clock = new FakeClock();
    const daemon = await daemonOn(clock, 30);
    const [late, whole] = [await daemon.open(), await daemon.open()];
    late.send(request('GET', '/v1/signals?pattern=a', undefined, { 'Content-Length': '10' }));
    whole.send(request('GET', '/v1/signals?pattern=a', 'x'.repeat(10)));
    for (const wire of [late, whole]) {
      await wire.have(() => (wire.received.includes(':ok') ? true : undefined), 'the stream');
    }
    await pass(clock, 28);
    expect((await daemon.ask('POST', '/v1/signals/a', '{"payload":"1"}')).body).toBe('{"delivered":2}\n');
    await pass(clock, 4);
    expect(await late.rest()).toMatch(/"payload":"1"}\n\n\r\n$/);
    expect((await daemon.ask('POST', '/v1/signals/a', '{"payload":"2"}')).body).toBe('{"delivered":1}\n');
    await whole.have(() => (whole.received.includes('"2"') ? true : undefined), 'the signal');
  });

  it('a request that waits is not idle', async () => {
    const clock = new FakeClock();
    const daemon = await daemonOn(clock);
    const [holder, waiter] = [await daemon.session(), await daemon.session()];
    await daemon.in(holder, '/v1/locks/k', { lease_ttl_s: 100_000 });
    const wire = await daemon.open();
    wire.send(request('POST', '/v1/locks/k', '{"acquire_timeout_s":200}', inSession(waiter)));
    await turns();
    await pass(clock, 190);
    expect(wire.ended).toBe(false);
    await pass(clock, 11);
    expect((await wire.answer()).body).toBe('{"status":"timeout"}\n');
  });
});

describe('TLS', () => {
  let folder: string;
  let cert: string;
  let daemon: HttpDaemon;
  beforeAll(async () => {
    const certificate = await selfSigned();
    ({ cert } = certificate);
    folder = mkdtempSync(join(tmpdir(), 'http-tls-'));
    writeFileSync(join(folder, 'cert.pem'), cert);
    writeFileSync(join(folder, 'key.pem'), certificate.key);
    daemon = await HttpDaemon.start({ tlsCert: join(folder, 'cert.pem'), tlsKey: join(folder, 'key.pem') });
  });
  afterAll(async () => {
    await daemon.stop();
    rmSync(folder, { recursive: true });
  });

  const open = async (options: object = {}) => {
    const socket = connectTls({
      port: daemon.port,
      host: '127.0.0.1',
      ca: cert,
      checkServerIdentity: () => undefined,
      ...options,
    });
    await once(socket, 'secureConnect');
    return { socket, wire: new HttpWire(socket) };
  };

  it('serves the same, without ALPN', async () => {
    const { socket, wire } = await open({ ALPNProtocols: ['h2', 'http/1.1'] });
    expect(socket.alpnProtocol).toBe(false);
    for (let i = 0; i < 2; i++) expect((await wire.ask(request('GET', '/health'))).body).toBe(HEALTHY);
    wire.destroy();
  });

  it('refuses TLS 1.1', async () => {
    await expect(open({ minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'ALL@SECLEVEL=0' })).rejects.toThrow();
  });

  it('streams signals, also to a client that reads late, and notices one that leaves', async () => {
    const [reads, leaves] = [(await open()).wire, (await open()).wire];
    for (const wire of [reads, leaves]) {
      wire.send(request('GET', '/v1/signals?pattern=tls.%3E'));
      await wire.have(() => (wire.received.includes(':ok\n\n') ? true : undefined), 'the stream');
    }
    reads.socket.pause();
    const publisher = (await open()).wire;
    const publish = async (payload: string): Promise<string> =>
      (await publisher.ask(request('POST', '/v1/signals/tls.x', JSON.stringify({ payload })))).body;
    const long = 'y'.repeat(60_000);
    for (let i = 0; i < 20; i++) expect(await publish(long)).toBe('{"delivered":2}\n');
    leaves.destroy();
    await until(async () => (await publish('z')) === '{"delivered":1}\n');
    reads.socket.resume();
    const frame = (payload: string): string => `event: sig\ndata: ${JSON.stringify({ channel: 'tls.x', payload })}\n\n`;
    await reads.have(() => (reads.received.includes(frame('z')) ? true : undefined), 'the last signal');
    expect(reads.received.split(frame(long))).toHaveLength(21);
    for (const wire of [reads, publisher]) wire.destroy();
  });

  it('a plain request gets a short 400 and is closed', async () => {
    const wire = new HttpWire(connectPlain(daemon.port, '127.0.0.1'));
    expect(await wire.send(request('GET', '/health')).rest()).toMatch(/^HTTP\/1\.0 400 Bad Request\r\n\r\n/);
  });

  it('a client that leaves in the handshake, or sends other bytes, leaves nothing behind', async () => {
    for (const bytes of ['', '\x16', '\x16\x03\x01', '\x00\x01']) {
      const wire = new HttpWire(connectPlain(daemon.port, '127.0.0.1'));
      await once(wire.socket, 'connect');
      if (bytes !== '') wire.send(bytes);
      wire.socket.end();
      await wire.have(() => (wire.ended ? true : undefined), 'the end');
    }
  });
});

describe('shutdown (spec http 3.12)', () => {
  const start = useHttpDaemons();

  it('ends sessions first: who waits or waits for a turn gets 410, and locks pass on', async () => {
    const daemon = await start();
    const [holder, waiter] = [await daemon.session(), await daemon.session()];
    await daemon.in(holder, '/v1/locks/k');
    const wires = [await daemon.open(), await daemon.open()];
    for (const wire of wires) {
      wire.send(request('POST', '/v1/locks/k', '{"acquire_timeout_s":60}', inSession(waiter)));
    }
    const idle = await daemon.open();
    await idle.ask(request('GET', '/health'));
    await turns(20);
    const began = performance.now();
    const closing = daemon.server.close();
    for (const wire of wires) {
      const { status, body, headers } = await wire.answer();
      expect([status, headers['connection']]).toEqual([410, 'close']);
      expect(body).toContain('session_gone');
      await wire.rest();
    }
    expect(await idle.rest()).toBe('');
    await expect(daemon.open()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await closing;
    expect(performance.now() - began).toBeLessThan(1000);
  });

  it('requests whose bodies are still being sent: 410 for sessions, 503 draining for signals, then closed', async () => {
    const daemon = await start();
    const id = await daemon.session();
    const [lock, signal] = [await daemon.open(), await daemon.open()];
    lock.send(request('POST', '/v1/locks/x', undefined, { ...inSession(id), 'Content-Length': '2' }));
    signal.send(request('POST', '/v1/signals/x', undefined, { 'Content-Length': '15' }));
    await turns(20);
    const closing = daemon.server.close();
    const answers = [await lock.ask('{}'), await signal.ask('{"payload":"x"}')];
    expect(answers.map(({ status }) => status)).toEqual([410, 503]);
    expect(answers[1]!.body).toBe(error('draining'));
    for (const { headers } of answers) expect(headers['connection']).toBe('close');
    await closing;
  });

  it('with a shutdown timeout of 0, handlers have 30 s', async () => {
    const clock = new FakeClock();
    const daemon = await start({ shutdownTimeout: 0, readTimeout: 3600 }, { clock });
    const wire = await daemon.open();
    wire.send(request('POST', '/v1/signals/x', undefined, { 'Content-Length': '15' }));
    await turns(20);
    const closing = daemon.server.close();
    await turns(20);
    clock.advance(29_900);
    await turns(20);
    expect(wire.ended).toBe(false);
    clock.advance(100);
    await closing;
    expect(await wire.rest()).toBe('');
  });

  it('leaves no timer behind', async () => {
    const clock = new FakeClock();
    const daemon = await start({ authToken: 'secret' }, { clock });
    const wire = await daemon.open();
    const auth = { Authorization: 'Bearer secret' };
    const { body } = await wire.ask(request('POST', '/v1/sessions', undefined, auth));
    const { session_id: id } = JSON.parse(body) as { session_id: string };
    await wire.ask(request('POST', '/v1/locks/k', '{}', { ...auth, ...inSession(id) }));
    wire.destroy();
    await daemon.server.close();
    expect(clock.pendingTimers).toBe(0);
  });

  it('a server whose HTTP port is taken frees its other port, and can be started again', async () => {
    const first = await start();
    const port = await freePort();
    const server = new DflockdServer({ port, httpPort: first.port });
    await expect(server.listen()).rejects.toMatchObject({ code: 'CONFIG', message: expect.stringContaining('in use') });
    expect(server.address()).toBeUndefined();
    const other = new DflockdServer({ port });
    await other.listen();
    await other.close();
    await first.stop();
    await server.listen();
    expect([server.address()!.port, server.httpAddress()!.port]).toEqual([port, first.port]);
    await server.close();
  });
});
