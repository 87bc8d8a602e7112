import type { BodyShape } from '../json/json-body.js';

/** The names of the routes: those of the operations in the original's OpenAPI document. */
export type RouteName =
  | 'getHealth'
  | 'getReady'
  | 'getOpenAPI'
  | 'getMetrics'
  | 'getStats'
  | 'createSession'
  | 'deleteSession'
  | 'pingSession'
  | 'acquireLock'
  | 'releaseLock'
  | 'renewLock'
  | 'enqueueLock'
  | 'waitLock'
  | 'acquireSemaphore'
  | 'releaseSemaphore'
  | 'renewSemaphore'
  | 'enqueueSemaphore'
  | 'waitSemaphore'
  | 'publishSignal'
  | 'subscribeSignals';

/** One row of the route table, from which the router, the 405s, the labels of metrics and the OpenAPI paths are made. */
export interface Route {
  readonly name: RouteName;
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** Segments; at most one is a parameter in braces: `{key}`, `{channel}` or `{id}`. */
  readonly path: string;
  /** Whether it needs the header X-Dflockd-Session. */
  readonly hasSession: boolean;
  /** The fields of its body; undefined if it ignores any body. */
  readonly body: BodyShape | undefined;
  /** Whether an empty body counts as `{}`. */
  readonly allowsEmptyBody: boolean;
}

const LEASE = { lease_ttl_s: 'integer' } as const;
const ACQUIRE = { acquire_timeout_s: 'integer', ...LEASE } as const;
const SEM_ACQUIRE = { acquire_timeout_s: 'integer', limit: 'integer', ...LEASE } as const;
const SEM_ENQUEUE = { limit: 'integer', ...LEASE } as const;
const RELEASE = { token: 'text' } as const;
const RENEW = { token: 'text', ...LEASE } as const;
const WAIT = { timeout_s: 'integer' } as const;
const SIGNAL = { payload: 'text' } as const;

/** The bodies by their routes, for the code that reads them. */
export const BODIES = { ACQUIRE, SEM_ACQUIRE, LEASE, SEM_ENQUEUE, RELEASE, RENEW, WAIT, SIGNAL } as const;

const get = (name: RouteName, path: string): Route => ({
  name,
  method: 'GET',
  path,
  hasSession: false,
  body: undefined,
  allowsEmptyBody: false,
});

const change = (name: RouteName, path: string, method: 'POST' | 'DELETE' = 'POST'): Route => ({
  ...get(name, path),
  method,
});

const command = (name: RouteName, path: string, body: BodyShape, allowsEmptyBody = false): Route => ({
  ...change(name, path),
  hasSession: true,
  body,
  allowsEmptyBody,
});

/** All routes, in the order of the OpenAPI document. */
export const ROUTES: readonly Route[] = [
  get('getHealth', '/health'),
  get('getReady', '/ready'),
  get('getMetrics', '/metrics'),
  change('createSession', '/v1/sessions'),
  change('deleteSession', '/v1/sessions/{id}', 'DELETE'),
  change('pingSession', '/v1/sessions/{id}/ping'),
  get('getStats', '/v1/stats'),
  command('acquireLock', '/v1/locks/{key}', ACQUIRE),
  command('releaseLock', '/v1/locks/{key}/release', RELEASE),
  command('renewLock', '/v1/locks/{key}/renew', RENEW),
  command('enqueueLock', '/v1/locks/{key}/enqueue', LEASE, true),
  command('waitLock', '/v1/locks/{key}/wait', WAIT),
  command('acquireSemaphore', '/v1/semaphores/{key}', SEM_ACQUIRE),
  command('releaseSemaphore', '/v1/semaphores/{key}/release', RELEASE),
  command('renewSemaphore', '/v1/semaphores/{key}/renew', RENEW),
  command('enqueueSemaphore', '/v1/semaphores/{key}/enqueue', SEM_ENQUEUE),
  command('waitSemaphore', '/v1/semaphores/{key}/wait', WAIT),
  { ...change('publishSignal', '/v1/signals/{channel}'), body: SIGNAL },
  get('subscribeSignals', '/v1/signals'),
  get('getOpenAPI', '/v1/openapi.json'),
];

/** The paths that need no token, whatever the method. */
export const PATHS_WITHOUT_TOKEN: ReadonlySet<string> = new Set(['/health', '/ready', '/v1/openapi.json']);
/** The paths that count against no rate. */
export const PATHS_WITHOUT_RATE: ReadonlySet<string> = new Set(['/health', '/ready']);
