import type { RouteName } from '../routing/routes.js';
import { inSession, publishing } from './command-endpoints.js';
import { COMMANDS } from './commands.js';
import type { Endpoint } from './endpoint.js';
import { getMetrics, getOpenAPI } from './page-endpoints.js';
import { getHealth, getReady } from './probe-endpoints.js';
import { createSession, deleteSession, pingSession } from './session-endpoints.js';
import { getStats } from './stats-endpoint.js';
import { subscribeSignals } from './stream-endpoint.js';

const command = (name: RouteName): Endpoint => inSession(COMMANDS[name]!);

/** What serves each route. */
export const ENDPOINTS: Readonly<Record<RouteName, Endpoint>> = {
  getHealth,
  getReady,
  getOpenAPI,
  getMetrics,
  getStats,
  createSession,
  deleteSession,
  pingSession,
  acquireLock: command('acquireLock'),
  releaseLock: command('releaseLock'),
  renewLock: command('renewLock'),
  enqueueLock: command('enqueueLock'),
  waitLock: command('waitLock'),
  acquireSemaphore: command('acquireSemaphore'),
  releaseSemaphore: command('releaseSemaphore'),
  renewSemaphore: command('renewSemaphore'),
  enqueueSemaphore: command('enqueueSemaphore'),
  waitSemaphore: command('waitSemaphore'),
  publishSignal: publishing(COMMANDS.publishSignal!),
  subscribeSignals,
};
