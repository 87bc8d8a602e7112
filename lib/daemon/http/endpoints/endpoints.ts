import { json } from '../answers/answer.js';
import type { RouteName } from '../routing/routes.js';
import { inSession, publishing } from './command-endpoints.js';
import { COMMANDS } from './commands.js';
import type { Endpoint } from './endpoint.js';
import { getMetrics, getOpenAPI } from './page-endpoints.js';
import { createSession, deleteSession, pingSession } from './session-endpoints.js';
import { getStats } from './stats-endpoint.js';
import { subscribeSignals } from './stream-endpoint.js';

const OK = json('{"status":"ok"}');
const DRAINING = json('{"status":"draining"}', 503);

const getHealth: Endpoint = (exchange) => exchange.answer(OK);

const getReady: Endpoint = (exchange, { isDraining }) => exchange.answer(isDraining ? DRAINING : OK);

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
