import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { LoopDelay, type Ms } from '../../common/system.js';
import { Authentication } from './admission/authentication.js';
import { Cors } from './admission/cors.js';
import { RateLimit } from './admission/rate-limit.js';
import { type Answer, ERRORS, plain } from './answers/answer.js';
import type { EndpointHost } from './endpoints/endpoint.js';
import { ENDPOINTS } from './endpoints/endpoints.js';
import { Exchange } from './exchange/exchange.js';
import { type HeadFault, headFault } from './exchange/headers.js';
import { type ConnectionHost, HttpConnection } from './exchange/http-connection.js';
import { type Swept, Sweep } from './exchange/sweep.js';
import { type Asked, type Layered, Layers } from './layers.js';
import { EngineMetrics } from './metrics/engine-metrics.js';
import { RequestMetrics } from './metrics/request-metrics.js';
import { Router } from './routing/router.js';
import { HttpPublisher } from './sessions/http-publisher.js';
import { SessionTable } from './sessions/session-table.js';
import { EventFrames } from './streams/event-frames.js';
import type { StreamHost } from './streams/signal-stream.js';
import type { HttpDependencies } from './http-dependencies.js';
import { StatsDesk } from '../fairness/stats-desk.js';
import { TurnShare } from '../fairness/turn-share.js';

const NOT_HTTP_1 = plain(400, '400 Bad Request');
/** Of the HTTP layer, in the words of the original's. */
const HEAD_FAULTS: Readonly<Record<HeadFault, Answer>> = {
  'no host': plain(400, '400 Bad Request: missing required Host header'),
  'bad host': plain(400, '400 Bad Request: malformed Host header'),
  'bad coding': plain(501, 'Unsupported transfer encoding'),
};

/** dflockd's HTTP interface: what any listener or mounted handler passes its requests to. */
export class HttpService implements EndpointHost, ConnectionHost {
  readonly driver;
  readonly options;
  readonly log;
  readonly bodyTimeoutMs: Ms;
  readonly requests = new RequestMetrics();
  readonly engineMetrics = new EngineMetrics();
  readonly loopDelay = new LoopDelay();
  readonly sessions: SessionTable;
  readonly publisher: HttpPublisher;
  readonly stats: StatsDesk;
  readonly streams: StreamHost;
  readonly alarms;
  readonly share: TurnShare;
  isDraining = false;
  private readonly layers: Layers;
  private readonly authentication: Authentication;
  private readonly sweep: Sweep;
  private readonly since: Ms;
  private readonly stopObserving: () => void;

  constructor(private readonly deps: HttpDependencies) {
    const { driver, options, log } = deps;
    this.driver = driver;
    this.options = options;
    this.log = log;
    this.alarms = deps.alarms;
    const { clock } = driver;
    this.share = new TurnShare(clock, () => deps.tcpTurns());
    driver.addBacklog(this.share);
    this.since = clock.now();
    this.bodyTimeoutMs = deps.readTimeoutMs;
    this.authentication = new Authentication(clock, deps.authToken);
    this.layers = new Layers(
      new Router(),
      new Cors(options.httpCorsAllowedOrigins),
      new RateLimit(options.httpRateLimitPerIp, options.httpRateLimitBurst),
      this.authentication,
    );
    this.sweep = new Sweep(clock, this.share, deps.endings);
    this.publisher = new HttpPublisher(driver, this.share);
    this.sessions = new SessionTable({
      ...deps,
      share: this.share,
      idleTimeoutMs: options.httpSessionIdleTimeout * 1000,
      maxSessions: options.httpMaxSessions,
      maxSessionsPerIp: options.httpMaxSessionsPerIp,
    });
    this.streams = {
      driver,
      sessions: this.sessions,
      alarms: deps.alarms,
      memory: deps.signalMemory,
      pushes: deps.pushes,
      frames: new EventFrames(),
    };
    this.stopObserving = driver.engine.observe(this.engineMetrics, (res) => this.engineMetrics.existing(res));
    this.stats = new StatsDesk(
      driver.engine,
      clock,
      deps.scheduler,
      () => this.connections,
      (error) => this.tellFailure(error),
    );
  }

  get connections(): number {
    return this.deps.tcpConnections() + this.sessions.size;
  }

  get uptimeS(): number {
    return (this.now() - this.since) / 1000;
  }

  /** @param isOwn false: the socket belongs to an application */
  connect(socket: Socket, peer: string, isOwn: boolean): HttpConnection {
    return new HttpConnection(socket, peer, this, isOwn);
  }

  /** A request that was parsed. @param expectsContinue whether its client waits before it sends the body */
  request(connection: HttpConnection, req: IncomingMessage, res: ServerResponse, expectsContinue: boolean): void {
    const exchange = new Exchange(req, res, connection, this.now(), req.url!, '');
    exchange.expectsContinue = expectsContinue;
    connection.receive(exchange);
  }

  /** A request of an application. @param url the raw target below `base` */
  mounted(connection: HttpConnection, req: IncomingMessage, res: ServerResponse, url: string, base: string): void {
    connection.receive(new Exchange(req, res, connection, this.now(), url, base));
  }

  /** Passes a request through the layers before the endpoints, and counts it if they answer it. */
  pass(asked: Asked): Layered {
    const layered = this.layers.pass(asked, this.now());
    if (layered.answer === ERRORS.unauthorized) this.log.tell('warn', 'authentication failed', { peer: asked.peer });
    return layered;
  }

  /** ConnectionHost */
  serve(exchange: Exchange): void {
    try {
      this.serveLayered(exchange);
    } catch (error) {
      this.tellFailure(error);
      exchange.answer(exchange.route?.name === 'createSession' ? ERRORS.sessionCreateFailed : ERRORS.internal);
    }
  }

  /** ConnectionHost */
  count(exchange: Exchange, status: number, ms: Ms): void {
    this.requests.count(exchange.method, exchange.label, status, ms);
  }

  /** ConnectionHost */
  now(): Ms {
    return this.driver.clock.now();
  }

  /** ConnectionHost */
  watch(connection: Swept): void {
    this.sweep.add(connection);
  }

  /** ConnectionHost */
  unwatch(connection: Swept): void {
    this.sweep.delete(connection);
  }

  /** Ends all sessions and streams; requests that need one are refused from now on. The caller touches the driver. */
  drain(): void {
    if (this.isDraining) return;
    this.isDraining = true;
    this.sessions.drain(this.now());
    this.authentication.close();
  }

  close(): void {
    this.authentication.close();
    this.publisher.close(this.now());
    this.sweep.clear();
    this.loopDelay.stop();
    this.stopObserving();
    this.driver.removeBacklog(this.share);
  }

  private serveLayered(exchange: Exchange): void {
    const { req } = exchange;
    if (req.httpVersionMajor !== 1) return exchange.answer(NOT_HTTP_1);
    const fault = headFault(req.rawHeaders, req.httpVersionMinor);
    if (fault !== undefined) return exchange.answer(HEAD_FAULTS[fault]);
    const layered = this.pass(exchange);
    const { answer, match, query, cors, label } = layered;
    exchange.cors = cors;
    if (label !== undefined) {
      exchange.label = label;
      exchange.isCounted = true;
    }
    if (answer === ERRORS.unauthorized) return this.authentication.refuse(exchange, this.now());
    if (answer) return exchange.answer(answer);
    exchange.route = match.route;
    exchange.param = match.param;
    exchange.query = query;
    ENDPOINTS[match.route!.name](exchange, this);
  }

  private tellFailure(error: unknown): void {
    this.log.tell('error', 'a request over HTTP failed', { err: String((error as Error)?.stack ?? error) });
  }
}
