import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import parse from 'parse-prometheus-text-format';
import { EngineMetrics } from '../../../../lib/daemon/http/metrics/engine-metrics.js';
import { Exposition, Histogram } from '../../../../lib/daemon/http/metrics/exposition.js';
import { metricsPage, type ServerLevels } from '../../../../lib/daemon/http/metrics/metrics-page.js';
import { RequestMetrics, UNMATCHED } from '../../../../lib/daemon/http/metrics/request-metrics.js';
import { CountingObserver } from '../../../support/counting-observer.js';
import { type Asked, EngineHarness, lock, type Peer, sem, tokenOf } from '../../../support/engine-harness.js';

const LEVELS: ServerLevels = {
  ready: true,
  uptimeSeconds: 12.3456789012,
  connections: 3,
  sessions: 2,
  signalListeners: 4,
  keys: 5,
  keysLimit: 1024,
  loopDelaySeconds: 0.0123456789012,
};

const lines = (page: string, name: string): string[] =>
  page.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));

describe('the text format', () => {
  it('writes HELP and TYPE of a series without samples', () => {
    expect(new Exposition().add('a_total', 'counter', 'Some.', []).text).toBe(
      '# HELP a_total Some.\n# TYPE a_total counter\n',
    );
  });

  it('escapes backslashes, quotes and line breaks of a label', () => {
    const { text } = new Exposition().add('a', 'gauge', 'Some.', [{ labels: { x: '\\ " \n', y: 2 }, value: 1 }]);
    expect(text).toContain(String.raw`a{x="\\ \" \n",y="2"} 1`);
    expect(parse(text)[0]!.metrics).toEqual([{ value: '1', labels: { x: '\\ " \n', y: '2' } }]);
  });

  it.each([
    [0, '0'],
    [1, '1'],
    [9_007_199_254_740_991, '9007199254740991'],
    [0.1 + 0.2, '0.3'],
    [1234.567890123, '1234.56789'],
    [123_456_789.123, '123456789'],
    [0.000000123456789012, '1.23456789e-7'],
    [Infinity, '+Inf'],
  ])('writes %d with nine significant digits at most, a count in full', (value, text) => {
    expect(new Exposition().add('a', 'gauge', 'Some.', value).text).toContain(`\na ${text}\n`);
  });

  it('writes the buckets of a histogram as sums', () => {
    const histogram = new Histogram([0, 1, 2.5]);
    for (const value of [0, 0, 1, 2, 3]) histogram.add(value);
    const { text } = new Exposition().histogram('h', 'Some.', [[{ kind: 'lock' }, histogram]]);
    expect(text.split('\n').slice(2)).toEqual([
      'h_bucket{kind="lock",le="0"} 2',
      'h_bucket{kind="lock",le="1"} 3',
      'h_bucket{kind="lock",le="2.5"} 4',
      'h_bucket{kind="lock",le="+Inf"} 5',
      'h_sum{kind="lock"} 6',
      'h_count{kind="lock"} 5',
      '',
    ]);
  });
});

describe('the page', () => {
  const FIXED = [
    ['dflockd_http_requests_total', 'COUNTER'],
    ['dflockd_http_request_duration_seconds_sum', 'COUNTER'],
    ['dflockd_http_request_duration_seconds_count', 'COUNTER'],
    ['dflockd_ready', 'GAUGE'],
    ['dflockd_uptime_seconds', 'GAUGE'],
    ['dflockd_connections', 'GAUGE'],
    ['dflockd_http_sessions', 'GAUGE'],
    ['dflockd_locks_held', 'GAUGE'],
    ['dflockd_lock_waiters', 'GAUGE'],
    ['dflockd_semaphore_holders', 'GAUGE'],
    ['dflockd_semaphore_waiters', 'GAUGE'],
    ['dflockd_signal_listeners', 'GAUGE'],
  ];
  const OURS = [
    ['dflockd_acquire_wait_seconds', 'HISTOGRAM'],
    ['dflockd_hold_seconds', 'HISTOGRAM'],
    ['dflockd_grants_total', 'COUNTER'],
    ['dflockd_freed_total', 'COUNTER'],
    ['dflockd_waits_ended_total', 'COUNTER'],
    ['dflockd_refusals_total', 'COUNTER'],
    ['dflockd_renewals_total', 'COUNTER'],
    ['dflockd_revoked_total', 'COUNTER'],
    ['dflockd_queue_length_max', 'GAUGE'],
    ['dflockd_keys', 'GAUGE'],
    ['dflockd_keys_limit', 'GAUGE'],
    ['dflockd_event_loop_delay_seconds', 'GAUGE'],
  ];

  it('has the series of dflockd in its order, and after them its own, even before anything has happened', () => {
    const page = metricsPage(new RequestMetrics(), new EngineMetrics(), LEVELS);
    const types = [...page.matchAll(/^# HELP (\S+) \S.*\n# TYPE (\S+) (\S+)$/gm)];
    expect(types.every(([, helped, typed]) => helped === typed)).toBe(true);
    expect(types.map(([, , name, type]) => [name, type!.toUpperCase()])).toEqual([...FIXED, ...OURS]);
    expect(parse(page).map(({ name, type }) => [name, type])).toEqual(
      expect.arrayContaining([...FIXED.slice(3), ...OURS]),
    );
    expect(lines(page, 'dflockd_http_requests_total')).toEqual([]);
    expect(lines(page, 'dflockd_uptime_seconds')).toEqual(['dflockd_uptime_seconds 12.3456789']);
    expect(lines(page, 'dflockd_revoked_total')).toEqual(['dflockd_revoked_total 0']);
    expect(lines(page, 'dflockd_event_loop_delay_seconds')).toEqual(['dflockd_event_loop_delay_seconds 0.0123456789']);
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
  });

  it('counts requests by path, method and status, in this order', () => {
    const requests = new RequestMetrics();
    requests.count('POST', '/v1/locks/{key}', 409, 1);
    requests.count('POST', '/v1/locks/{key}', 200, 1500);
    requests.count('POST', '/v1/locks/{key}', 200, 250);
    requests.count('GET', UNMATCHED, 404, 1);
    requests.count('HEAD', '/health', 200, 0);
    requests.count('GET', '/health', 200, 0);
    const page = metricsPage(requests, new EngineMetrics(), LEVELS);
    const labels = [
      'method="GET",path="/health",status="200"',
      'method="HEAD",path="/health",status="200"',
      'method="POST",path="/v1/locks/{key}",status="200"',
      'method="POST",path="/v1/locks/{key}",status="409"',
      'method="GET",path="unmatched",status="404"',
    ];
    const rows = (name: string, values: number[]): string[] =>
      values.map((value, i) => `${name}{${labels[i]}} ${value}`);
    const [total, sum, count] = FIXED.map(([name]) => name!);
    expect(lines(page, total!)).toEqual(rows(total!, [1, 1, 2, 1, 1]));
    expect(lines(page, sum!)).toEqual(rows(sum!, [0, 0, 1.75, 0.001, 0.001]));
    expect(lines(page, count!)).toEqual(rows(count!, [1, 1, 2, 1, 1]));
  });

  it('gives all methods that clients make up one label', () => {
    const requests = new RequestMetrics();
    for (let i = 0; i < 1000; i++) requests.count(`M${i}"\n`, UNMATCHED, 404, 0);
    for (const lower of ['get', 'post']) requests.count(lower, '/health', 405, 0);
    const page = metricsPage(requests, new EngineMetrics(), LEVELS);
    expect(lines(page, 'dflockd_http_requests_total')).toEqual([
      'dflockd_http_requests_total{method="OTHER",path="/health",status="405"} 2',
      'dflockd_http_requests_total{method="OTHER",path="unmatched",status="404"} 1000',
    ]);
  });
});

describe('what the engine does', () => {
  const page = (metrics: EngineMetrics): string => metricsPage(new RequestMetrics(), metrics, LEVELS);
  const value = (metrics: EngineMetrics, series: string): number =>
    Number(lines(page(metrics), series)[0]!.split(' ').at(-1));

  it('is counted by kind and cause', () => {
    const metrics = new EngineMetrics();
    const h = new EngineHarness({ maxWaiters: 1, observer: metrics });
    const [a, b] = [h.peer(), h.peer()];
    const token = tokenOf(a.acquire(lock('k')));
    b.acquire(lock('k'), { waitMs: 60_000 });
    a.acquire(lock('k'), { waitMs: 60_000 });
    h.advance(2_000);
    a.renew(lock('k'), token);
    a.release(lock('k'), token);
    a.acquire(sem('s', 2));
    h.advance(500);
    b.close();
    for (const line of [
      'dflockd_grants_total{kind="lock"} 2',
      'dflockd_grants_total{kind="semaphore"} 1',
      'dflockd_freed_total{by="release"} 1',
      'dflockd_freed_total{by="expiry"} 0',
      'dflockd_freed_total{by="disconnect"} 1',
      'dflockd_waits_ended_total{by="timeout"} 0',
      'dflockd_refusals_total{status="max_waiters"} 1',
      'dflockd_refusals_total{status="already_enqueued"} 0',
      'dflockd_renewals_total 1',
      'dflockd_acquire_wait_seconds_bucket{kind="lock",le="0"} 1',
      'dflockd_acquire_wait_seconds_bucket{kind="lock",le="5"} 2',
      'dflockd_acquire_wait_seconds_sum{kind="lock"} 2',
      'dflockd_hold_seconds_sum{kind="lock"} 2.5',
      'dflockd_hold_seconds_count{kind="semaphore"} 0',
      'dflockd_locks_held 0',
      'dflockd_semaphore_holders 1',
    ]) {
      expect(page(metrics).split('\n')).toContain(line);
    }
  });

  it('counts a semaphore of limit 1 as a lock', () => {
    const metrics = new EngineMetrics();
    const h = new EngineHarness({ observer: metrics });
    const [a, b] = [h.peer(), h.peer()];
    a.acquire(sem('k', 1));
    b.acquire(sem('k', 1), { waitMs: 1_000 });
    expect([metrics.single, metrics.multiple]).toEqual([
      { holders: 1, waiters: 1 },
      { holders: 0, waiters: 0 },
    ]);
  });

  it('takes over what an engine has that had no observer, and beside another observer', () => {
    const other = new CountingObserver();
    for (const observer of [undefined, other]) {
      const metrics = new EngineMetrics();
      const h = new EngineHarness({ observer });
      const [a, b, c] = [h.peer(), h.peer(), h.peer()];
      const token = tokenOf(a.acquire(lock('k')));
      b.acquire(lock('k'), { waitMs: 60_000 });
      c.acquire(lock('k'), { waitMs: 1_000 });
      a.acquire(sem('s', 3));
      h.engine.observe(metrics, (res) => metrics.existing(res));
      expect([metrics.single, metrics.multiple, metrics.longestQueue]).toEqual([
        { holders: 1, waiters: 2 },
        { holders: 1, waiters: 0 },
        2,
      ]);
      h.advance(1_000);
      expect(value(metrics, 'dflockd_queue_length_max')).toBe(1);
      a.release(lock('k'), token);
      expect(metrics.single).toEqual({ holders: 1, waiters: 0 });
      expect(page(metrics)).not.toContain('NaN');
    }
    expect(other.held).toBe(2);
  });

  it('agrees with the engine after any sequence of requests', () => {
    const targets = [lock('a'), lock('b'), sem('a', 1), sem('b', 2), sem('c', 3)];
    const step = fc.record({
      what: fc.constantFrom('acquire', 'acquire', 'enqueue', 'wait', 'release', 'close', 'time', 'cancel'),
      peer: fc.nat(3),
      target: fc.constantFrom(...targets),
    });
    // Of all lengths alike: by default, fast-check makes short ones, of which little comes.
    const some = fc.noBias(fc.array(step, { maxLength: 60, size: 'max' }));
    fc.assert(
      fc.property(some, (steps) => {
        const metrics = new EngineMetrics();
        const h = new EngineHarness({ observer: metrics, maxLocks: 4, maxWaiters: 3 });
        const peers = Array.from({ length: 4 }, () => h.peer());
        const open: [Peer, Asked][] = [];
        for (const { what, peer, target } of steps) {
          const by = peers[peer]!;
          const busy = by.asked.some(({ answer }) => !answer);
          if (what === 'time') h.advance(1_500);
          else if (what === 'close') {
            by.close();
            peers[peer] = h.peer();
          } else if (what === 'cancel') {
            const waiting = by.asked.find(({ answer }) => !answer);
            if (waiting) by.cancel(waiting);
          } else if (busy) continue;
          else if (what === 'acquire') open.push([by, by.acquire(target, { waitMs: 4_000, leaseMs: 3_000 })]);
          else if (what === 'enqueue') by.enqueue(target, 2_000);
          else if (what === 'wait') by.wait(target, 2_000);
          else {
            const granted = open.find(([, { answer }]) => answer?.s === 'granted');
            if (granted) by.release(target, tokenOf(granted[1]));
          }
          const { locks, semaphores } = h.stats();
          const sum = (numbers: number[]): number => numbers.reduce((total, each) => total + each, 0);
          expect([metrics.single, metrics.multiple, metrics.longestQueue]).toEqual([
            {
              holders: locks.filter((each) => each.owner_conn_id > 0).length,
              waiters: sum(locks.map((each) => each.waiters)),
            },
            {
              holders: sum(semaphores.map((each) => each.holders)),
              waiters: sum(semaphores.map((each) => each.waiters)),
            },
            Math.max(0, ...locks.map((each) => each.waiters), ...semaphores.map((each) => each.waiters)),
          ]);
        }
      }),
      { numRuns: 40 },
    );
  });
});
