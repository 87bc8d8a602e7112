import { describe, expect, it } from '@jest/globals';
import { FakeClock } from '../../../support/fake-clock.js';
import { until } from '../../../support/until.js';
import { turns } from '../harness.js';
import { error, HttpDaemon, request, useHttpDaemons } from './harness.js';

const start = useHttpDaemons();
const UNAUTHORIZED = error('unauthorized');

describe('authentication (spec http 3.6)', () => {
  const TOKEN = 's\xfccret-t0ken';
  /** As bytes. */
  const SENT = Buffer.from(TOKEN, 'utf8').toString('latin1');
  const bearer = (value: string) => ({ Authorization: value });

  it.each([
    ['GET', '/metrics'],
    ['GET', '/v1/stats'],
    ['GET', '/v1/signals'],
    ['GET', '/nothing'],
    ['PUT', '/v1/locks/k'],
    ['FOO', '/v1/locks/k'],
    ['POST', '/v1/sessions'],
    ['GET', '/health/'],
    ['GET', '//health'],
  ])('%s %s needs a token', async (method, path) => {
    const daemon = await start({ authToken: TOKEN });
    const answer = await daemon.ask(method, path);
    expect([answer.status, answer.body, answer.headers['www-authenticate']]).toEqual([401, UNAUTHORIZED, undefined]);
  });

  it.each(['x\r\n\r\n', 'x'.repeat(70_000)])('an unknown method with a body gets its 401 once', async (body) => {
    const daemon = await start({ authToken: TOKEN });
    const wire = await daemon.open();
    wire.send(request('FOO', '/v1/stats', undefined, { 'Content-Length': String(body.length) }));
    await turns();
    wire.send(body);
    expect([(await wire.answer()).status, await wire.rest()]).toEqual([401, '']);
    const { body: page } = await daemon.ask('GET', '/metrics', undefined, bearer(`Bearer ${SENT}`));
    expect(page).toContain('dflockd_http_requests_total{method="OTHER",path="unmatched",status="401"} 1\n');
  });

  it.each([
    ['GET', '/health', 200],
    ['GET', '/ready', 200],
    ['GET', '/%68ealth', 200],
    ['POST', '/health', 405],
    ['GET', '/v1%2Fopenapi.json', 404],
  ])('%s %s needs none: %i', async (method, path, status) => {
    const daemon = await start({ authToken: TOKEN });
    expect((await daemon.ask(method, path)).status).toBe(status);
  });

  it('the scheme in any case, the token with white space around it, the first header only', async () => {
    const daemon = await start({ authToken: TOKEN });
    const status = async (fields: string) => {
      const wire = await daemon.open();
      return (await wire.ask(`POST /v1/sessions HTTP/1.1\r\nHost: x\r\n${fields}\r\n`)).status;
    };
    const good = SENT;
    for (const scheme of ['Bearer', 'bearer', 'BEARER']) {
      expect(await status(`Authorization: ${scheme} ${good}\r\n`)).toBe(200);
      expect(await status(`authorization: ${scheme}   ${good}  \r\n`)).toBe(200);
    }
    for (const bad of [
      good,
      `Basic ${good}`,
      `Bearer${good}`,
      `Bearer ${good}x`,
      'Bearer',
      'Bearer ',
      `Bearer x${good}`,
    ]) {
      expect(await status(`Authorization: ${bad}\r\n`)).toBe(401);
    }
    expect(await status(`Authorization: Bearer x\r\nAuthorization: Bearer ${good}\r\n`)).toBe(401);
    expect(await status(`Authorization: Bearer ${good}\r\nAuthorization: Bearer x\r\n`)).toBe(200);
  });

  it('a refusal comes after 100 ms; a thousand wait at most, others end their connection at once', async () => {
    const clock = new FakeClock();
    const daemon = await start({ authToken: TOKEN }, { clock });
    const wires = await Promise.all(Array.from({ length: 1002 }, () => daemon.open()));
    for (const wire of wires) wire.send(request('POST', '/v1/sessions', undefined, bearer('Bearer wrong')));
    await until(() => wires.filter(({ ended }) => ended).length === 2);
    await turns(20);
    clock.advance(99);
    await turns(20);
    expect(wires.filter(({ received }) => received !== '').length).toBe(2);
    clock.advance(1);
    for (const wire of wires) expect((await wire.answer()).status).toBe(401);
  });

  it('who leaves before the refusal leaves nothing behind', async () => {
    const daemon = await start({ authToken: TOKEN });
    const wire = await daemon.open();
    wire.send(request('POST', '/v1/sessions'));
    await turns(10);
    wire.destroy();
    await daemon.server.close();
  });

  it('the log names the peer and not what was sent, and no answer has a token or key', async () => {
    const lines: string[] = [];
    const logger = (...line: unknown[]) => void lines.push(JSON.stringify(line));
    const daemon = await start({ authToken: TOKEN, httpMaxConnectionsPerIp: 5 }, { logger });
    const evil = '\x1b[31mevil';
    const bodies = [
      await daemon.ask('POST', `/v1/locks/${encodeURIComponent(evil)}`, `{"${evil}":1}`, bearer(`Bearer ${evil}`)),
      await daemon.ask('EVIL', `/evil`, undefined, bearer('Bearer evil')),
    ];
    for (const { body } of bodies) expect(body).not.toContain('evil');
    await until(() => lines.some((line) => line.includes('authentication failed')));
    for (const line of lines) expect(line).not.toMatch(/evil|s.cret/);
  });
});

describe('CORS (spec http 3.11)', () => {
  const ORIGIN = { Origin: 'https://a.example' };
  const SET = {
    'access-control-allow-methods': 'GET, POST, DELETE, OPTIONS',
    'access-control-allow-headers': 'Authorization, Content-Type, X-Dflockd-Session',
    'access-control-max-age': '300',
  };
  const corsOf = (headers: Readonly<Record<string, string>>) =>
    Object.fromEntries(Object.entries(headers).filter(([name]) => /^(access|vary)/.test(name)));
  const PREFLIGHT = { ...ORIGIN, 'Access-Control-Request-Method': 'POST' };

  it('is off unless origins are given', async () => {
    const daemon = await start({ httpCorsAllowedOrigins: [' ', ''] });
    expect(corsOf((await daemon.ask('GET', '/health', undefined, ORIGIN)).headers)).toEqual({});
    expect((await daemon.ask('OPTIONS', '/health', undefined, PREFLIGHT)).status).toBe(405);
  });

  it('a named origin gets the headers on every answer, others none', async () => {
    const daemon = await start({
      httpCorsAllowedOrigins: [' https://a.example ', 'https://b.example'],
      authToken: 'x',
      httpRateLimitPerIp: 1000,
    });
    const named = { 'access-control-allow-origin': 'https://a.example', vary: 'Origin', ...SET };
    for (const [method, path, status] of [
      ['GET', '/health', 200],
      ['GET', '/v1/stats', 401],
      ['FOO', '/v1/stats', 401],
      ['POST', '/health', 405],
    ] as const) {
      const answer = await daemon.ask(method, path, undefined, ORIGIN);
      expect([answer.status, corsOf(answer.headers)]).toEqual([status, named]);
    }
    for (const other of ['https://A.example', 'https://a.example/', 'null']) {
      expect(corsOf((await daemon.ask('GET', '/health', undefined, { Origin: other })).headers)).toEqual({});
    }
    expect(corsOf((await daemon.ask('GET', '/health')).headers)).toEqual({});
  });

  it('a preflight is 204 for any path and origin, without a token or a rate', async () => {
    const daemon = await start({
      httpCorsAllowedOrigins: ['https://a.example'],
      authToken: 'x',
      httpRateLimitPerIp: 1,
    });
    for (let i = 0; i < 3; i++) {
      const answer = await daemon.ask('OPTIONS', `/any/${i}`, undefined, PREFLIGHT);
      expect([answer.status, answer.headers['access-control-allow-origin']]).toEqual([204, 'https://a.example']);
    }
    const other = await daemon.ask('OPTIONS', '/v1/locks/k', undefined, { ...PREFLIGHT, Origin: 'https://c.example' });
    expect([other.status, corsOf(other.headers)]).toEqual([204, {}]);
    // Without the header of a preflight it is an ordinary request.
    expect((await daemon.ask('OPTIONS', '/health', undefined, ORIGIN)).status).toBe(405);
  });

  it('* among names allows any origin', async () => {
    const daemon = await start({ httpCorsAllowedOrigins: ['https://b.example', '*'] });
    expect(corsOf((await daemon.ask('GET', '/health', undefined, ORIGIN)).headers)).toEqual({
      'access-control-allow-origin': '*',
      ...SET,
    });
  });

  it('OPTIONS * is untouched', async () => {
    const daemon = await start({ httpCorsAllowedOrigins: ['*'], authToken: 'x' });
    const answer = await daemon.ask('OPTIONS', '*', undefined, PREFLIGHT);
    expect([answer.status, corsOf(answer.headers)]).toEqual([200, {}]);
  });
});

describe('limits (spec http 3.11)', () => {
  it('the rate: a full bucket at first, a token per request before the token is checked, /health and /ready are free', async () => {
    const clock = new FakeClock();
    const daemon = await start({ httpRateLimitPerIp: 2, httpRateLimitBurst: 3 }, { clock });
    const status = async (path = '/nothing') => (await daemon.ask('GET', path)).status;
    expect([await status(), await status(), await status(), await status()]).toEqual([404, 404, 404, 429]);
    expect([await status('/health'), await status('/ready'), await status('/%72eady')]).toEqual([200, 200, 200]);
    const refused = await daemon.ask('POST', '/v1/sessions');
    expect([refused.status, refused.body, refused.headers['retry-after']]).toEqual([
      429,
      error('rate_limited'),
      undefined,
    ]);
    clock.advance(500);
    expect([await status(), await status()]).toEqual([404, 429]);
    clock.advance(60_000);
    expect([await status(), await status(), await status(), await status()]).toEqual([404, 404, 404, 429]);
  });

  it('a burst of 0 is the rate', async () => {
    const clock = new FakeClock();
    const daemon = await start({ httpRateLimitPerIp: 1 }, { clock });
    expect((await daemon.ask('GET', '/x')).status).toBe(404);
    expect((await daemon.ask('GET', '/x')).status).toBe(429);
  });

  it('connections of an address: idle ones count, the excess one is closed without bytes', async () => {
    const daemon = await start({ httpMaxConnectionsPerIp: 2 });
    const [first, second] = [await daemon.open(), await daemon.open()];
    await first.ask(request('GET', '/health'));
    const third = await daemon.open();
    expect(await third.rest()).toBe('');
    second.destroy();
    await until(async () => {
      const wire = await daemon.open();
      return wire
        .ask(request('GET', '/health'))
        .then(({ status }) => status === 200)
        .catch(() => false);
    });
  });
});

describe('options (spec http 3.13)', () => {
  it.each([
    [{ port: 7000, httpPort: 7000 }, 'httpPort'],
    [{ httpPort: -1 }, 'httpPort'],
    [{ httpPort: 70_000 }, 'httpPort'],
    [{ httpHost: 'a b' }, 'httpHost'],
    [{ httpSessionIdleTimeout: -1 }, 'httpSessionIdleTimeout'],
    [{ httpSessionIdleTimeout: 9_223_372_037 }, 'httpSessionIdleTimeout'],
    [{ httpSessionIdleTimeout: 15 }, 'httpSsePingInterval'],
    [{ httpSsePingInterval: 20 }, 'httpSsePingInterval'],
    [{ httpSseKeepAlive: 'yes' as unknown as boolean }, 'httpSseKeepAlive'],
    [{ httpMaxSessions: -1 }, 'httpMaxSessions'],
    [{ httpRateLimitPerIp: 0.5 }, 'httpRateLimitPerIp'],
    [{ httpCorsAllowedOrigins: 'https://a.example' as unknown as string[] }, 'httpCorsAllowedOrigins'],
    [{ httpCorsAllowedOrigins: ['a\r\nb'] }, 'httpCorsAllowedOrigins'],
  ])('%j is refused and %s named', async (options, name) => {
    await expect(HttpDaemon.start(options)).rejects.toThrow(name);
  });

  it('an idle timeout of 0 allows any ping interval; a ping interval of 0 is 15', async () => {
    const daemon = await start({ httpSessionIdleTimeout: 0, httpSsePingInterval: 300 });
    expect(daemon.server.options).toMatchObject({ httpHost: '127.0.0.1', httpSsePingInterval: 300 });
    const usual = await start({ httpSsePingInterval: 0, httpHost: '127.0.0.1' });
    expect(usual.server.options.httpSsePingInterval).toBe(15);
  });

  it('without an HTTP port nothing listens', async () => {
    const daemon = await start();
    await daemon.stop();
    expect(daemon.server.httpAddress()).toBeUndefined();
  });
});
