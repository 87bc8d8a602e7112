import { custom, type Head } from '../answers/answer.js';
import { EXPOSITION_TYPE } from '../metrics/exposition.js';
import { metricsPage } from '../metrics/metrics-page.js';
import { openApiDocument } from '../openapi/document.js';
import { ROUTES } from '../routing/routes.js';
import type { Endpoint } from './endpoint.js';

const METRICS_HEAD: Head = ['Content-Type', EXPOSITION_TYPE, 'X-Content-Type-Options', 'nosniff'];
const DOCUMENT_HEAD: Head = ['Content-Type', 'application/json'];

export const getMetrics: Endpoint = (exchange, host) => {
  const { engine } = host.driver;
  const page = metricsPage(host.requests, host.engineMetrics, {
    ready: !host.isDraining,
    uptimeSeconds: host.uptimeS,
    connections: host.connections,
    sessions: host.sessions.size,
    signalListeners: engine.subscriptions,
    keys: engine.keys,
    keysLimit: host.options.maxLocks,
    loopDelaySeconds: host.loopDelay.p99() / 1000,
  });
  exchange.answer(custom(200, METRICS_HEAD, page));
};

/** Made when it is first asked for. */
let document: string | undefined;

export const getOpenAPI: Endpoint = (exchange) => {
  document ??= `${JSON.stringify(openApiDocument(ROUTES), null, 2)}\n`;
  exchange.answer(custom(200, DOCUMENT_HEAD, document));
};
