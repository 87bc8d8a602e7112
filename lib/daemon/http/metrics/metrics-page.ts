import type { EngineMetrics } from './engine-metrics.js';
import { Exposition } from './exposition.js';
import type { RequestMetrics } from './request-metrics.js';

/** What the page shows beside the counters. */
export interface ServerLevels {
  readonly ready: boolean;
  readonly uptimeSeconds: number;
  /** As `/v1/stats` counts them: TCP connections and sessions. */
  readonly connections: number;
  /** Streams and dead ones that are not yet removed included. */
  readonly sessions: number;
  readonly signalListeners: number;
  readonly keys: number;
  readonly keysLimit: number;
  /** The 99th percentile since the last page. */
  readonly loopDelaySeconds: number;
}

/** The answer of `/metrics`: the series of dflockd, in its order, and after them those of this package. */
export function metricsPage(requests: RequestMetrics, engine: EngineMetrics, levels: ServerLevels): string {
  const page = new Exposition();
  page
    .add('dflockd_http_requests_total', 'counter', 'Answered HTTP requests.', requests.requests)
    .add(
      'dflockd_http_request_duration_seconds_sum',
      'counter',
      'Time spent on HTTP requests, waits for locks and streams included.',
      requests.durations,
    )
    .add(
      'dflockd_http_request_duration_seconds_count',
      'counter',
      'HTTP requests whose time is in the sum.',
      requests.requests,
    )
    .add('dflockd_ready', 'gauge', '1 while the server takes requests, 0 while it drains.', levels.ready ? 1 : 0)
    .add('dflockd_uptime_seconds', 'gauge', 'Time since HTTP was started.', levels.uptimeSeconds)
    .add('dflockd_connections', 'gauge', 'TCP connections and HTTP sessions.', levels.connections)
    .add('dflockd_http_sessions', 'gauge', 'HTTP sessions, those of streams included.', levels.sessions)
    .add('dflockd_locks_held', 'gauge', 'Keys of limit 1 that are held.', engine.single.holders)
    .add('dflockd_lock_waiters', 'gauge', 'Waiters for keys of limit 1.', engine.single.waiters)
    .add('dflockd_semaphore_holders', 'gauge', 'Held slots of keys of a greater limit.', engine.multiple.holders)
    .add('dflockd_semaphore_waiters', 'gauge', 'Waiters for keys of a greater limit.', engine.multiple.waiters)
    .add('dflockd_signal_listeners', 'gauge', 'Subscriptions to signals.', levels.signalListeners);
  page
    .histogram('dflockd_acquire_wait_seconds', 'How long grants were waited for.', engine.waitTimes)
    .histogram('dflockd_hold_seconds', 'How long slots were held.', engine.holdTimes)
    .add('dflockd_grants_total', 'counter', 'Grants.', engine.grantCounts)
    .add('dflockd_freed_total', 'counter', 'Ends of grants, by their cause.', engine.freedCounts)
    .add('dflockd_waits_ended_total', 'counter', 'Waits that ended without a grant, by their cause.', engine.leftCounts)
    .add('dflockd_refusals_total', 'counter', 'Requests refused, by their status.', engine.refusalCounts)
    .add(
      'dflockd_renewals_total',
      'counter',
      'Leases started again, by a renewal or by the wait for an enqueued grant.',
      engine.renewals,
    )
    // There is no request for it yet; dashboards need not know that.
    .add('dflockd_revoked_total', 'counter', 'Grants that were asked back.', 0)
    .add('dflockd_queue_length_max', 'gauge', 'Length of the longest queue.', engine.longestQueue)
    .add('dflockd_keys', 'gauge', 'Keys in memory, released ones included until they are removed.', levels.keys)
    .add('dflockd_keys_limit', 'gauge', 'Most keys in memory (max-locks).', levels.keysLimit)
    .add(
      'dflockd_event_loop_delay_seconds',
      'gauge',
      'Delay of the event loop, 99th percentile since the last scrape.',
      levels.loopDelaySeconds,
    );
  return page.text;
}
