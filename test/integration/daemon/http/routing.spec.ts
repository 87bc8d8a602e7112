import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { turns } from '../harness.js';
import { error, HttpDaemon, inSession, request } from './harness.js';

let daemon: HttpDaemon;
let sid: string;
beforeAll(async () => {
  daemon = await HttpDaemon.start();
  sid = await daemon.session();
});
afterAll(() => daemon.stop());

const NOT_FOUND = error('not_found');
const NOT_ALLOWED = error('method_not_allowed');

describe('routing (spec http 3.2)', () => {
  it.each([
    ['GET', '/nothing'],
    ['GET', '/'],
    ['GET', '/v1'],
    ['GET', '/health/'],
    ['GET', '/Health'],
    ['GET', '/health#x'],
    ['POST', '/v1/locks/'],
    ['POST', '/v1/locks'],
    ['POST', '/V1/locks/k'],
    ['POST', '/v1/locks/a/b'],
    ['POST', '/v1/locks/a/release/'],
    ['POST', '/v1/locks/a/Release'],
    ['POST', '/v1/sessions/'],
    ['GET', '/v1%2Fstats'],
    ['DELETE', '/v1/sessions/0/ping/x'],
  ])('%s %s: 404', async (method, path) => {
    const answer = await daemon.ask(method, path);
    expect([answer.status, answer.body]).toEqual([404, NOT_FOUND]);
  });

  it.each([
    ['GET', '/v1/locks/k', 'POST'],
    ['PUT', '/v1/locks/k', 'POST'],
    ['HEAD', '/v1/locks/k', 'POST'],
    ['OPTIONS', '/v1/locks/k', 'POST'],
    ['DELETE', '/v1/sessions', 'POST'],
    ['GET', '/v1/sessions/x', 'DELETE'],
    ['POST', '/health', 'GET, HEAD'],
    ['DELETE', '/v1/stats', 'GET, HEAD'],
    ['POST', '/v1/signals', 'GET, HEAD'],
    ['GET', '/v1/signals/x', 'POST'],
    ['FOO', '/v1/locks/k', 'POST'],
    ['post', '/v1/locks/k', 'POST'],
    ['GETX', '/health', 'GET, HEAD'],
    ['QUERY', '/v1/stats', 'GET, HEAD'],
    ['PROPFIND', '/v1/stats', 'GET, HEAD'],
  ])('%s %s: 405, Allow: %s', async (method, path, allow) => {
    const answer = await daemon.ask(method, path);
    expect([answer.status, answer.headers['allow'], answer.body]).toEqual([
      405,
      allow,
      method === 'HEAD' ? '' : NOT_ALLOWED,
    ]);
    expect(answer.headers).toMatchObject({ 'content-type': 'application/json', 'x-content-type-options': 'nosniff' });
  });

  it('CONNECT to a path is 405 too', async () => {
    const answer = await daemon.ask('CONNECT', '/v1/locks/k');
    expect([answer.status, answer.headers['allow']]).toEqual([405, 'POST']);
  });

  it('an unknown verb that arrives byte by byte is 405', async () => {
    const wire = await daemon.open();
    wire.socket.setNoDelay(true);
    for (const byte of request('BREW', '/health')) {
      wire.send(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await wire.answer()).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD', connection: 'close' } });
  });

  it('HEAD has the headers of GET and no body', async () => {
    const [get, head] = [await daemon.ask('GET', '/health'), await daemon.ask('HEAD', '/health')];
    expect(head.body).toBe('');
    const { date: _a, ...ofGet } = get.headers;
    const { date: _b, ...ofHead } = head.headers;
    expect(ofHead).toEqual(ofGet);
    expect(get.headers['content-length']).toBe(String(get.body.length));
  });

  it.each([
    ['GET', '//health', '/health'],
    ['GET', '/./health?x=1&y', '/health?x=1&y'],
    ['HEAD', '/v1/../ready', '/ready'],
    ['POST', '/v1/locks//k', '/v1/locks/k'],
    ['POST', '/v1//locks/a%2Fb/release', '/v1/locks/a%2Fb/release'],
    ['POST', '/v1/locks//release', '/v1/locks/release'],
  ])('%s %s: 307 to %s', async (method, path, location) => {
    const answer = await daemon.ask(method, path, method === 'POST' ? '{}' : undefined);
    expect([answer.status, answer.headers['location']]).toEqual([307, location]);
    if (method === 'GET') expect(answer.body).toContain('<a href="');
    if (method === 'POST') expect(answer.body).toBe('');
  });

  it.each([
    ['GET', '//v1/locks/k', 405],
    ['GET', '/v1//nothing', 404],
    ['GET', '//health/', 404],
  ])('%s %s: %i', async (method, path, status) => {
    expect((await daemon.ask(method, path)).status).toBe(status);
  });

  it.each([
    ['a%2Fb', 'a/b'],
    ['%2e%2e', '..'],
    ['%2E', '.'],
    ['x%2Frelease', 'x/release'],
    ['release', 'release'],
    ['wait', 'wait'],
    ['a+b;c\\d~', 'a+b;c\\d~'],
    ['\xff\x80', '\xff\x80'],
    ['a\xc3\xa4+', 'a\xc3\xa4+'],
    ['%FF', '\xff'],
    ['%00', '\0'],
    ['a#b', 'a#b'],
    ['{k}', '{k}'],
  ])('the key of /v1/locks/%s is its bytes', async (segment, key) => {
    const answer = await daemon.in(sid, `/v1/locks/${segment}`);
    expect(answer.status).toBe(200);
    const { token } = JSON.parse(answer.body) as { token: string };
    const tcp = await daemon.tcp();
    expect(await tcp.ask(`r\n${key}\n${token}\n`)).toBe('ok');
    tcp.destroy();
  });

  it('raw bytes in a target that arrives in pieces, and a client that leaves while such a request waits', async () => {
    const wire = await daemon.open();
    wire.socket.setNoDelay(true);
    const body = '{"acquire_timeout_s":1000}';
    const [first, ...parts] = request('POST', '/v1/locks/\xe4\xf6', body, inSession(sid)).split(/(?<=\xe4)|(?<=t: .)/);
    for (const part of [first!, ...parts]) {
      wire.send(part);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const answer = await wire.answer();
    expect([answer.status, answer.headers['connection']]).toEqual([200, 'close']);
    await wire.rest();
    const other = await daemon.session();
    const waiting = await daemon.open();
    waiting.send(request('POST', '/v1/locks/%E4\xf6', body, inSession(other)));
    await turns(20);
    waiting.destroy();
    const stream = await daemon.open();
    stream.send(request('GET', '/v1/signals?pattern=\xff.>'));
    await stream.have(() => (stream.received.includes(':ok') ? true : undefined), 'the stream');
    expect((await daemon.ask('POST', '/v1/signals/%FF.a', '{"payload":"x"}')).body).toBe('{"delivered":1}\n');
    await stream.have(() => (stream.received.includes('event: sig') ? true : undefined), 'the signal');
    stream.destroy();
    // A request of the session would wait for its turn.
    expect((await daemon.in(other, '/v1/locks/free')).status).toBe(200);
  });

  it.each([
    ['whose first comes in a packet of its own', '', /(?=\xe4)/],
    ['byte by byte', '', /(?=[^])/],
    ['behind another request', request('GET', '/health'), /(?=POST)|(?=\xe4)/],
    ['in one packet with another request', request('GET', '/health'), /(?=\xe4)/],
    [
      'behind a body, in one packet with it',
      request('POST', '/v1/signals/x', '{"payload":"no line, GET /"}'),
      /(?=no line)/,
    ],
    ['behind a body', request('POST', '/v1/signals/x', '{"payload":"x"}'), /(?=ST \/v1\/locks)|(?=\xf6)/],
  ])('raw bytes in a target, %s', async (_, before, cuts) => {
    const id = await daemon.session();
    const wire = await daemon.open();
    wire.socket.setNoDelay(true);
    const body = '{"lease_ttl_s":77}';
    for (const part of (before + request('POST', '/v1/locks/k\xe4\xf6', body, inSession(id))).split(cuts)) {
      wire.send(part);
      await turns(2);
    }
    if (before !== '') expect((await wire.answer()).status).toBe(200);
    const { status, body: answer } = await wire.answer();
    expect([status, answer]).toEqual([200, expect.stringContaining('"lease_ttl_s":77')]);
    const tcp = await daemon.tcp();
    const { token } = JSON.parse(answer) as { token: string };
    expect(await tcp.ask(`r\nk\xe4\xf6\n${token}\n`)).toBe('ok');
    tcp.destroy();
  });

  it.each([
    ['in two packets', '', /(?=UNCH)/],
    ['behind a body', request('POST', '/v1/signals/x', '{"payload":"x"}'), /(?=UNCH)/],
  ])('a verb that begins as another: %s', async (_, before, cuts) => {
    const wire = await daemon.open();
    wire.socket.setNoDelay(true);
    // Node knows MOVE and others of these letters, and no MUNCH.
    for (const part of (before + request('MUNCH', '/health')).split(cuts)) {
      wire.send(part);
      await turns(2);
    }
    if (before !== '') expect((await wire.answer()).status).toBe(200);
    expect(await wire.answer()).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' } });
  });

  it('a key named release is released by release/release', async () => {
    const { token } = JSON.parse((await daemon.in(sid, '/v1/locks/release')).body) as { token: string };
    expect((await daemon.in(sid, '/v1/locks/release/release', { token })).status).toBe(204);
  });

  it('escaped letters of fixed segments are the same route', async () => {
    expect((await daemon.in(sid, '/v1/%6Cocks/%78')).status).toBe(200);
    expect((await daemon.ask('GET', '/%68ealth')).status).toBe(200);
  });

  it.each([
    ['%20', 'space'],
    ['%09', 'tab'],
    ['%0A', 'line break'],
    ['a%0D', 'line break'],
    ['k'.repeat(257), 'too long'],
    ['%61'.repeat(257), 'too long'],
  ])('key %s: 400', async (segment, word) => {
    const answer = await daemon.in(sid, `/v1/locks/${segment}`);
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.body)).toEqual({ error: 'bad_request', detail: expect.stringContaining(word) });
  });

  it('a key of 256 bytes passes', async () => {
    expect((await daemon.in(sid, `/v1/locks/${'%61'.repeat(256)}`)).status).toBe(200);
  });

  it('the path comes before the session, the session before the body', async () => {
    expect((await daemon.ask('POST', '/v1/locks/%20', '{')).body).toContain('key');
    expect((await daemon.ask('POST', '/v1/locks/k', '{')).body).toContain('X-Dflockd-Session');
    expect((await daemon.ask('POST', '/v1/locks/k', '{', inSession('0'.repeat(32)))).status).toBe(410);
  });
});
