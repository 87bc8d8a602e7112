import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';
import parse from 'parse-prometheus-text-format';
import { until } from '../../../support/until.js';
import { type Answer, error, HttpDaemon, inSession, request } from './harness.js';

let daemon: HttpDaemon;
beforeAll(async () => {
  daemon = await HttpDaemon.start({ maxLocks: 2_000 });
});
afterAll(() => daemon.stop());

const get = (path: string): Promise<Answer> => daemon.ask('GET', path);
/** All samples of a series. */
const rows = (page: string, name: string): string[] =>
  page.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));

/** Facts of the HTTP specification, 3.11. */
describe('/metrics', () => {
  it('is a page that a parser of Prometheus reads, with its content type', async () => {
    const { status, headers, body } = await get('/metrics');
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'content-type': 'text/plain; version=0.0.4; charset=utf-8',
      'x-content-type-options': 'nosniff',
      'content-length': String(body.length),
    });
    expect(parse(body).length).toBeGreaterThanOrEqual(20);
  });

  it('shows the delay of the event loop since the last page', async () => {
    const delay = async (): Promise<number> =>
      Number(rows((await get('/metrics')).body, 'dflockd_event_loop_delay_seconds')[0]!.split(' ')[1]);
    await delay();
    await new Promise((resolve) => setTimeout(resolve, 15));
    for (const end = performance.now() + 80; performance.now() < end;);
    await new Promise((resolve) => setTimeout(resolve, 15));
    expect(await delay()).toBeGreaterThan(0.05);
  });

  it('counts requests under their templates, whatever clients send, and does not see itself', async () => {
    const id = await daemon.session();
    for (const key of ['a%22%0A', 'b', 'c']) await daemon.in(id, `/v1/locks/${key}`);
    await daemon.ask('GET', '/v1/locks/x');
    await daemon.ask('GET', '/nowhere/%22');
    await daemon.ask('PROPFIND', '/nowhere');
    await daemon.ask('GET', '/v1//stats');
    const { body } = await get('/metrics');
    const name = 'dflockd_http_requests_total';
    for (const row of [
      `${name}{method="POST",path="/v1/locks/{key}",status="200"} 2`,
      // The key has a line break.
      `${name}{method="POST",path="/v1/locks/{key}",status="400"} 1`,
      `${name}{method="GET",path="unmatched",status="404"} 1`,
      `${name}{method="GET",path="unmatched",status="405"} 1`,
      `${name}{method="OTHER",path="unmatched",status="404"} 1`,
      `${name}{method="GET",path="/v1/stats",status="307"} 1`,
    ]) {
      expect(rows(body, name)).toContain(row);
    }
    const before = rows(body, name).find((row) => row.includes('path="/metrics"'));
    const after = rows((await get('/metrics')).body, name).find((row) => row.includes('path="/metrics"'));
    const count = (row: string | undefined): number => Number(row?.split(' ')[1] ?? 0);
    expect(count(after)).toBe(count(before) + 1);
    await daemon.ask('DELETE', `/v1/sessions/${id}`);
  });

  it('counts a wait when it ends, with the time that it took', async () => {
    const [a, b] = [await daemon.session(), await daemon.session()];
    await daemon.in(a, '/v1/locks/w');
    const waits = daemon.in(b, '/v1/locks/w', { acquire_timeout_s: 30 });
    await until(async () => rows((await get('/metrics')).body, 'dflockd_lock_waiters')[0] === 'dflockd_lock_waiters 1');
    const sum = async (): Promise<number> => {
      const { body } = await get('/metrics');
      const row = rows(body, 'dflockd_http_request_duration_seconds_sum').find((each) =>
        each.includes('method="POST",path="/v1/locks/{key}",status="200"'),
      );
      return Number(row!.split(' ')[1]);
    };
    const before = await sum();
    await new Promise((resolve) => setTimeout(resolve, 120));
    await daemon.ask('DELETE', `/v1/sessions/${a}`);
    expect((await waits).status).toBe(200);
    expect((await sum()) - before).toBeGreaterThanOrEqual(0.1);
    await daemon.ask('DELETE', `/v1/sessions/${b}`);
  });

  it('has what sessions and TCP connections hold and wait for', async () => {
    const [a, b] = [await daemon.session(), await daemon.session()];
    const tcp = await daemon.tcp();
    await tcp.ask('l\nm1\n0\n');
    await daemon.in(a, '/v1/semaphores/m2', { limit: 3 });
    await daemon.in(b, '/v1/semaphores/m2', { limit: 3 });
    await daemon.in(a, '/v1/semaphores/m3', { limit: 1 });
    await daemon.in(b, '/v1/locks/m1/enqueue');
    await tcp.ask('listen\nx.>\n\n');
    const { body } = await get('/metrics');
    const values = Object.fromEntries(
      ['locks_held', 'lock_waiters', 'semaphore_holders', 'semaphore_waiters', 'signal_listeners', 'ready'].map(
        (name) => [name, rows(body, `dflockd_${name}`)[0]!.split(' ')[1]],
      ),
    );
    expect(values).toEqual({
      locks_held: '2',
      lock_waiters: '1',
      semaphore_holders: '2',
      semaphore_waiters: '0',
      signal_listeners: '1',
      ready: '1',
    });
    expect(rows(body, 'dflockd_connections')).toEqual(['dflockd_connections 3']);
    expect(rows(body, 'dflockd_http_sessions')).toEqual(['dflockd_http_sessions 2']);
    tcp.destroy();
    await Promise.all([a, b].map((id) => daemon.ask('DELETE', `/v1/sessions/${id}`)));
  });
});

describe('/v1/openapi.json', () => {
  it('is the document as JSON, without the header of other answers', async () => {
    const { status, headers, body } = await get('/v1/openapi.json');
    expect([status, headers['content-type'], headers['x-content-type-options']]).toEqual([
      200,
      'application/json',
      undefined,
    ]);
    expect(JSON.parse(body)).toMatchObject({ openapi: '3.1.0', info: { title: 'dflockd HTTP API' } });
  });

  it('describes the answers that are given', async () => {
    const document = JSON.parse((await get('/v1/openapi.json')).body) as object;
    const ajv = new Ajv2020({ strict: false, validateFormats: false });
    ajv.addSchema(document, 'doc');
    const conforms = (schema: string, { body }: Answer): void => {
      const validate = ajv.getSchema(`doc#/components/schemas/${schema}`)!;
      const answer = JSON.parse(body) as unknown;
      expect([schema, answer, validate(answer), validate.errors]).toEqual([schema, answer, true, null]);
    };
    const created = await daemon.ask('POST', '/v1/sessions');
    conforms('CreateSessionResponse', created);
    const { session_id: id } = JSON.parse(created.body) as { session_id: string };
    const granted = await daemon.in(id, '/v1/locks/o');
    conforms('AcquireResponse', granted);
    conforms('AcquireResponse', await daemon.in(id, '/v1/locks/o'));
    const { token } = JSON.parse(granted.body) as { token: string };
    conforms('RenewResponse', await daemon.in(id, '/v1/locks/o/renew', { token }));
    conforms('EnqueueResponse', await daemon.in(id, '/v1/locks/o/enqueue'));
    conforms('WaitResponse', await daemon.in(id, '/v1/locks/o/wait', { timeout_s: 0 }));
    conforms('EnqueueResponse', await daemon.in(id, '/v1/semaphores/o/enqueue', { limit: 2 }));
    conforms('WaitResponse', await daemon.in(id, '/v1/semaphores/o/wait', { timeout_s: 0 }));
    conforms('SignalResponse', await daemon.ask('POST', '/v1/signals/o', '{"payload":"x"}'));
    conforms('StatsResponse', await get('/v1/stats'));
    conforms('StatusResponse', await get('/ready'));
    conforms('ErrorResponse', await get('/v1/locks/o'));
    await daemon.ask('DELETE', `/v1/sessions/${id}`);
  });
});

describe('/v1/stats', () => {
  it('is written in portions for many keys, and is the object of the line protocol', async () => {
    const id = await daemon.session();
    const many = 1_000;
    const bodies = Array.from({ length: many }, (_, i) =>
      request('POST', `/v1/locks/many-${i}`, '{"lease_ttl_s":77}', inSession(id)),
    );
    // Also that pipelined requests keep their bodies, however many wait for the first.
    const wire = await daemon.open();
    for (let i = 0; i < many; i += 50) {
      wire.send(bodies.slice(i, i + 50).join(''));
      for (let n = 0; n < 50; n++) expect((await wire.answer()).body).toMatch(/"lease_ttl_s":77/);
    }
    const { status, headers, body } = await get('/v1/stats');
    expect([status, headers['content-type'], headers['x-content-type-options'], headers['transfer-encoding']]).toEqual([
      200,
      'application/json',
      'nosniff',
      'chunked',
    ]);
    const { locks } = JSON.parse(body) as { locks: { key: string }[] };
    const keys = locks.map(({ key }) => key).filter((key) => key.startsWith('many-'));
    expect([keys.length, new Set(keys).size]).toEqual([many, many]);
    expect(body.endsWith('}\n')).toBe(true);
    const head = await daemon.ask('HEAD', '/v1/stats');
    expect([head.status, head.body]).toEqual([200, '']);
    // A client that leaves while its answer is made leaves nothing behind.
    const leaver = await daemon.open();
    leaver.send('GET /v1/stats HTTP/1.1\r\nHost: x\r\n\r\n').destroy();
    expect((await get('/v1/stats')).status).toBe(200);
    expect(await daemon.ask('POST', '/v1/locks/x', '{}', inSession('0'.repeat(32)))).toMatchObject({
      status: 410,
      body: error('session_gone'),
    });
  });
});
