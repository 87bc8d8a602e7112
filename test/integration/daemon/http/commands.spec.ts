import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { error, HttpDaemon, inSession, request } from './harness.js';

let daemon: HttpDaemon;
let sid: string;
beforeAll(async () => {
  daemon = await HttpDaemon.start({ maxLocks: 100_000, readTimeout: 3600, httpSessionIdleTimeout: 0 });
  sid = await daemon.session();
});
afterAll(() => daemon.stop());

let keys = 0;
const fresh = (): string => `k${++keys}`;
const post = (path: string, body?: string, id = sid) => daemon.ask('POST', path, body, inSession(id));
const tokenIn = (body: string): string => (JSON.parse(body) as { token: string }).token;
const GRANT = (lease: number) => new RegExp(`^\\{"status":"ok","token":"[0-9a-f]{32}","lease_ttl_s":${lease}\\}\n$`);
const MAX = 9_223_372_036;

describe('bodies (spec http 3.3)', () => {
  const detail = async (body: string, path = `/v1/locks/${fresh()}`): Promise<string> => {
    const answer = await post(path, body);
    expect(answer.status).toBe(400);
    expect(answer.headers['x-content-type-options']).toBe('nosniff');
    const parsed = JSON.parse(answer.body) as { error: string; detail: string };
    expect(parsed).toEqual({ error: 'bad_request', detail: expect.any(String) });
    return parsed.detail;
  };

  it.each([
    ['', 'empty'],
    [' \n\t ', 'empty'],
    ['{"x":1}', 'unknown field'],
    ['[]', 'object'],
    ['1', 'object'],
    ['"x"', 'object'],
    ['{} x', 'goes on'],
    ['{}{}', 'goes on'],
    ['{/**/}', 'JSON'],
    ['{"lease_ttl_s":1,}', 'JSON'],
    ['\xef\xbb\xbf{}', ''],
    ['\xff\xfe{\0}\0', ''],
    ['{"acquire_timeout_s":10.0}', 'integer'],
    ['{"acquire_timeout_s":1e1}', 'integer'],
    ['{"acquire_timeout_s":"1"}', 'integer'],
    ['{"acquire_timeout_s":true}', 'integer'],
    ['{"acquire_timeout_s":9223372036854775808}', '64 bits'],
    ['{"acquire_timeout_s":-1}', 'negative'],
    [`{"acquire_timeout_s":${MAX + 1}}`, 'too large'],
    [`{"lease_ttl_s":${MAX + 1}}`, 'too large'],
    ['{"acquire_timeout_s":-1,"lease_ttl_s":-1}', 'acquire_timeout_s'],
  ])('%j: 400', async (body, word) => {
    expect(await detail(body)).toContain(word);
  });

  it.each([
    ['null', 33],
    ['{}', 33],
    ['{"lease_ttl_s":0}', 33],
    ['{"LEASE_TTL_S":7}', 7],
    ['{"lea\xc5\xbfe_ttl_s":8}', 8],
    ['{"lease_ttl_s":7,"lease_ttl_s":9}', 9],
    ['{"lease_ttl_s":9,"lease_ttl_s":null}', 9],
    ['{"acquire_timeout_s":-0}', 33],
    ['{"acquire_timeout_s":0,"lease_ttl_s":60}  \r\n', 60],
    [`{"lease_ttl_s":${MAX}}`, MAX],
  ])('%j grants with a lease of %i s', async (body, lease) => {
    const answer = await post(`/v1/locks/${fresh()}`, body);
    expect([answer.status, answer.body]).toEqual([200, expect.stringMatching(GRANT(lease))]);
  });

  it('the type of the body does not matter: the form type of curl, a false encoding', async () => {
    const headers = {
      ...inSession(sid),
      'Content-Type': 'application/x-www-form-urlencoded',
      'Content-Encoding': 'gzip',
    };
    expect((await daemon.ask('POST', `/v1/locks/${fresh()}`, '{}', headers)).status).toBe(200);
  });

  it('a body of 1 MiB with its white space passes, one byte more is refused and the connection closed', async () => {
    const padded = (size: number): string => '{}'.padEnd(size, ' ');
    expect((await post(`/v1/locks/${fresh()}`, padded(1_048_576))).status).toBe(200);
    const answer = await post(`/v1/locks/${fresh()}`, padded(1_048_577));
    expect([answer.status, answer.headers['connection']]).toEqual([400, 'close']);
  });

  it('a body without end is refused too', async () => {
    const wire = await daemon.open();
    wire.send(request('POST', '/v1/locks/endless', undefined, { ...inSession(sid), 'Transfer-Encoding': 'chunked' }));
    const chunk = `10000\r\n${' '.repeat(0x10000)}\r\n`;
    for (let i = 0; i < 70; i++) wire.send(chunk);
    expect((await wire.answer()).status).toBe(400);
  });

  it('a chunked body is a body', async () => {
    const wire = await daemon.open();
    wire.send(request('POST', '/v1/locks/chunked', undefined, { ...inSession(sid), 'Transfer-Encoding': 'chunked' }));
    expect((await wire.ask('1\r\n{\r\n1\r\n}\r\n0\r\n\r\n')).status).toBe(200);
  });

  it('only the enqueue of a lock may have an empty body', async () => {
    expect((await post(`/v1/locks/${fresh()}/enqueue`)).status).toBe(200);
    expect((await post(`/v1/locks/${fresh()}/enqueue`, ' ')).status).toBe(200);
    for (const rest of ['release', 'renew', 'wait']) expect(await detail('', `/v1/locks/x/${rest}`)).toContain('empty');
    expect(await detail('', '/v1/semaphores/x/enqueue')).toContain('empty');
  });

  it.each([
    ['/v1/sessions', '{"x'],
    ['/v1/sessions', ''],
  ])('%s ignores the body %j', async (path, body) => {
    expect((await daemon.ask('POST', path, body)).status).toBe(200);
  });

  it('GET ignores a body, and the connection goes on', async () => {
    const wire = await daemon.open();
    expect((await wire.ask(request('GET', '/health', 'x'.repeat(100_000)))).status).toBe(200);
    expect((await wire.ask(request('GET', '/health'))).status).toBe(200);
  });

  const TOKEN = 'a'.repeat(32);
  it.each([
    ['locks/k/release', '{}', 'token is missing or empty'],
    ['locks/k/release', '{"token":""}', 'token is missing or empty'],
    ['locks/k/release', 'null', 'token'],
    ['locks/k/release', '{"token":1}', 'string'],
    ['locks/k/release', '{"token":"a b"}', 'space'],
    ['locks/k/release', '{"token":"a\\nb"}', 'line break'],
    ['locks/k/release', `{"token":"${'t'.repeat(257)}"}`, 'too long'],
    ['locks/k/renew', '{}', 'token'],
    ['locks/k/renew', `{"token":"${TOKEN}","lease_ttl_s":-1}`, 'lease_ttl_s'],
    ['locks/k/renew', `{"token":"${'t'.repeat(255)}","lease_ttl_s":1}`, 'too long'],
    ['locks/k/wait', '{"timeout_s":-1}', 'negative'],
    ['locks/k/wait', `{"timeout_s":${MAX + 1}}`, 'too large'],
    ['semaphores/k', '{}', 'limit'],
    ['semaphores/k', '{"limit":0}', 'limit'],
    ['semaphores/k', '{"limit":-5}', 'limit'],
    ['semaphores/k', '{"acquire_timeout_s":-1,"limit":0}', 'acquire_timeout_s'],
    ['semaphores/k', '{"limit":0,"lease_ttl_s":-1}', 'limit'],
    ['semaphores/k/enqueue', '{}', 'limit'],
    ['semaphores/k/enqueue', '{"limit":1,"lease_ttl_s":-1}', 'lease_ttl_s'],
  ])('%s with %s: 400 %s', async (path, body, word) => {
    const said = await detail(body, `/v1/${path}`);
    expect(said).toContain(word);
    for (const secret of [TOKEN, 't'.repeat(20)]) expect(said).not.toContain(secret);
  });

  it('a limit has no upper bound but its 64 bits', async () => {
    expect((await post('/v1/semaphores/huge', '{"limit":9223372036854775807}')).status).toBe(200);
  });

  it('a token of 254 bytes with a lease of one digit is just not held', async () => {
    const answer = await post('/v1/locks/k/renew', `{"token":"${'t'.repeat(254)}","lease_ttl_s":1}`);
    expect([answer.status, answer.body]).toEqual([404, error('not_held', 'renew')]);
  });
});

describe('endpoints (spec http 3.4, 3.9)', () => {
  it('locks: acquire, renew, release', async () => {
    const key = fresh();
    const { body } = await post(`/v1/locks/${key}`, '{"acquire_timeout_s":10,"lease_ttl_s":60}');
    expect(body).toMatch(GRANT(60));
    const token = tokenIn(body);
    expect((await post(`/v1/locks/${key}`, '{}')).body).toBe('{"status":"timeout"}\n');
    expect((await post(`/v1/locks/${key}/renew`, JSON.stringify({ token }))).body).toBe('{"remaining_s":33}\n');
    expect((await post(`/v1/locks/${key}/renew`, JSON.stringify({ token, lease_ttl_s: 5 }))).body).toBe(
      '{"remaining_s":5}\n',
    );
    const released = await post(`/v1/locks/${key}/release`, JSON.stringify({ token }));
    expect([released.status, released.body]).toEqual([204, '']);
    const again = await post(`/v1/locks/${key}/release`, JSON.stringify({ token }));
    expect([again.status, again.body]).toEqual([404, error('not_held', 'release')]);
  });

  it('two phases: acquired needs no wait; queued waits; a second enqueue and a wait without one are 409', async () => {
    const key = `/v1/locks/${fresh()}`;
    const other = await daemon.session();
    const acquired = await post(`${key}/enqueue`, '{"lease_ttl_s":40}');
    expect(acquired.body).toMatch(/^\{"status":"acquired","token":"[0-9a-f]{32}","lease_ttl_s":40\}\n$/);
    expect((await post(`${key}/enqueue`)).body).toBe(error('already_enqueued'));
    expect((await post(`${key}/enqueue`, '', other)).body).toBe('{"status":"queued"}\n');
    expect((await post(`${key}/enqueue`, '', other)).status).toBe(409);
    expect((await post(`${key}/wait`, '{"timeout_s":0}', other)).body).toBe('{"status":"timeout"}\n');
    const none = await post(`${key}/wait`, '{"timeout_s":0}', other);
    expect([none.status, none.body]).toEqual([409, error('not_enqueued')]);
    expect((await post(`${key}/enqueue`, '', other)).body).toBe('{"status":"queued"}\n');
    await post(`${key}/release`, JSON.stringify({ token: tokenIn(acquired.body) }));
    expect((await post(`${key}/wait`, '{"timeout_s":10}', other)).body).toMatch(GRANT(33));
  });

  it('semaphores: slots, limits, names of their own', async () => {
    const name = fresh();
    const key = `/v1/semaphores/${name}`;
    await post(`/v1/locks/${name}`, '{}');
    const tokens = [await post(key, '{"limit":2}'), await post(key, '{"limit":2}')].map(({ body }) => tokenIn(body));
    expect((await post(key, '{"limit":2}')).body).toBe('{"status":"timeout"}\n');
    for (const path of [key, `${key}/enqueue`]) {
      const mismatch = await post(path, '{"limit":3}');
      expect([mismatch.status, mismatch.body]).toEqual([409, error('limit_mismatch')]);
    }
    expect((await post(`${key}/renew`, JSON.stringify({ token: tokens[0], lease_ttl_s: 9 }))).body).toBe(
      '{"remaining_s":9}\n',
    );
    const other = await daemon.session();
    expect((await post(`${key}/enqueue`, '{"limit":2}', other)).body).toBe('{"status":"queued"}\n');
    expect((await post(`${key}/release`, JSON.stringify({ token: tokens[0] }))).status).toBe(204);
    expect((await post(`${key}/wait`, '{"timeout_s":1}', other)).body).toMatch(GRANT(33));
    expect((await post(`${key}/release`, '{"token":"none"}')).body).toBe(error('not_held', 'release'));
    expect((await post(`${key}/renew`, '{"token":"none"}')).body).toBe(error('not_held', 'renew'));
  });

  it('health, ready', async () => {
    for (const path of ['/health', '/ready']) {
      const answer = await daemon.ask('GET', path);
      expect([answer.status, answer.body]).toEqual([200, '{"status":"ok"}\n']);
    }
  });

  it('signals: published to TCP listeners, and counted', async () => {
    const tcp = await daemon.tcp();
    expect(await tcp.ask('listen\nnews.>\n\n')).toBe('ok');
    expect((await daemon.ask('POST', '/v1/signals/news.a', '{"payload":"h\\u0001i"}')).body).toBe('{"delivered":1}\n');
    expect(await tcp.read()).toBe('sig news.a h\x01i\n');
    expect((await daemon.ask('POST', '/v1/signals/none', '{"payload":"x"}')).body).toBe('{"delivered":0}\n');
    tcp.destroy();
  });

  const most = 65_531 - 'c'.length;
  it.each([
    ['a%20b', '{"payload":"x"}', 'channel'],
    ['c', '{}', 'empty'],
    ['c', '{"payload":" \\t "}', 'blank'],
    ['c.*', '{"payload":""}', 'empty'],
    ['c.*', '{"payload":"x"}', 'wildcard'],
    ['a>b', '{"payload":"x"}', 'wildcard'],
    ['c', '{"payload":"a\\nb"}', 'line break'],
    ['c', '{"payload":"a\\rb"}', 'line break'],
    ['c', `{"payload":"${'x'.repeat(most + 1)}"}`, 'too large'],
    ['c'.repeat(257), '{"payload":"x"}', 'too long'],
    ['c', '{"payload":1}', 'string'],
  ])('signal %.20s %.40s: 400 %s', async (channel, body, word) => {
    const answer = await daemon.ask('POST', `/v1/signals/${channel}`, body);
    expect([answer.status, answer.body]).toEqual([400, expect.stringContaining(word)]);
  });

  it('the largest payload passes', async () => {
    expect((await daemon.ask('POST', '/v1/signals/c', `{"payload":"${'x'.repeat(most)}"}`)).status).toBe(200);
  });
});

describe('caps of the engine', () => {
  it('max-locks, max-waiters: 503', async () => {
    const small = await HttpDaemon.start({ maxLocks: 1, maxWaiters: 1 });
    try {
      const [holder, waiter, late] = [await small.session(), await small.session(), await small.session()];
      await small.in(holder, '/v1/locks/k');
      expect((await small.in(holder, '/v1/locks/other')).body).toBe(error('max_locks'));
      await small.in(waiter, '/v1/locks/k/enqueue');
      const refused = await small.in(late, '/v1/locks/k', { acquire_timeout_s: 5 });
      expect([refused.status, refused.body]).toEqual([503, error('max_waiters')]);
    } finally {
      await small.stop();
    }
  });
});
