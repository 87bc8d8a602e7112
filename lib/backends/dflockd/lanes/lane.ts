import { type LockError, type LossReason, ServerDrainingError } from '../../../common/errors.js';
import { safetyMargin } from '../../../common/safety-margin.js';
import type { Ms } from '../../../common/system.js';
import type { Reply, Request } from '../../../protocol/messages.js';
import { REPLY_LINE_CAP, SHORT_REPLY_CAP } from '../../../protocol/limits.js';
import { LineDecoder, parseReply } from '../../../protocol/reply-decoder.js';
import { Connector } from './connector.js';
import { type Done, Exchange, ExchangeQueue, isAmbiguous, isBlocking, releaseOf, waitOf } from './exchange.js';
import { sendHeartbeat } from './heartbeat.js';
import type { LaneContext, LaneHooks, Role } from './lane-context.js';
import { draining, gone, oversized, unauthorized, violation } from './lane-errors.js';
import { LaneOutbox } from './lane-outbox.js';
import { LossListeners, type LostCallback } from './loss-listeners.js';
import { type LaneEvent, type LaneState, nextState } from './lane-state.js';
import { LaneTimers, type Watched } from './lane-timers.js';
import type { Wire } from './wire.js';

const nothing = (): void => undefined;
let lastId = 0;

/**
 * One connection. Requests may be sent at any time; those of one turn of the event loop leave in one write. The lane
 * owns the grants of its requests (spec 4.1): when it ends, for any reason, their holders are told in that turn.
 */
export class Lane implements Watched {
  state: LaneState = 'connecting';
  /** Number of grants owned by this connection. */
  grants = 0;
  /** Send time of the latest answered request. */
  lastAckedSend: Ms = -Infinity;
  /** The peer or the network has ended the connection. */
  wasCut = false;
  readonly id: string;
  readonly server: string;
  private readonly connector: Connector;
  private readonly watch: LaneTimers;
  private readonly flight = new ExchangeQueue();
  private readonly outbox: LaneOutbox;
  private overdue = 0;
  /** Got a bare `error`; the next line, the probe's at the latest, tells whether that was its reply (rule 7). */
  private suspectedReply: Exchange | undefined;
  private probe: Exchange | undefined;
  private ending: LockError | undefined;
  private readonly owners = new LossListeners();
  private readonly decoder: LineDecoder;
  private isReading = false;

  /** @throws ConfigError for TLS options that Node refuses */
  constructor(
    readonly role: Role,
    private readonly context: LaneContext,
    private readonly hooks: LaneHooks<Lane>,
  ) {
    this.server = context.target.endpoint.label;
    this.id = `${role}#${++lastId}@${this.server}`;
    this.decoder = new LineDecoder((line) => this.onLine(line), role === 'control' ? REPLY_LINE_CAP : SHORT_REPLY_CAP);
    this.watch = new LaneTimers(this, context);
    const awaited = (): void => this.connector.hold();
    this.outbox = new LaneOutbox(context.clock, () => this.watch.arm(), awaited);
    const result = { connected: (wire: Wire) => this.onConnected(wire), failed: (error: LockError) => this.cut(error) };
    const { target, clock, alarms, record } = context;
    this.connector = new Connector(target, clock, alarms, result, role !== 'wait', record);
  }

  /** Whether it takes new work. */
  get isUsable(): boolean {
    return this.state === 'free' || this.state === 'holding';
  }

  get isEnded(): boolean {
    return this.state === 'closed';
  }

  get inFlight(): number {
    return this.flight.size;
  }

  /** Time until which the server certainly keeps this connection, less a safety margin. */
  provenUntil(): Ms {
    const { readTimeoutMs } = this.context;
    return this.lastAckedSend + readTimeoutMs - safetyMargin(readTimeoutMs);
  }

  /** Calls back in the turn in which the lane ends, or in a microtask if it has ended already. */
  onLost(callback: LostCallback): () => void {
    return this.owners.add(callback);
  }

  /** Adds a grant owned by this connection. */
  adopt(): void {
    this.grants++;
    this.to('count');
    if (this.grants === 1) this.watch.arm();
  }

  /** Removes a grant that was released or is no longer of interest. */
  disown(): void {
    this.grants--;
    this.to('count');
    this.rest();
  }

  /** `done` gets the reply, or an error if none will come. Nothing may be sent behind a blocking request. */
  send(request: Request, done: Done): Exchange {
    const blocking = isBlocking(request);
    const { requestTimeoutMs } = this.context;
    const patience = blocking ? waitOf(request) + requestTimeoutMs : requestTimeoutMs;
    const exchange = new Exchange(request, done, patience);
    if (this.isEnded || this.state === 'draining') {
      done(this.ending ?? draining(this.server), 0);
      return exchange;
    }
    if (blocking) this.to('block');
    this.flight.push(exchange);
    // Sent at once, so that the server can start during this turn. Not while reading: input received already is no
    // reply to it. `e` leaves in one write with the `w` behind it (spec 4.5).
    this.outbox.add(exchange, this.flight.size === 1 && !this.isReading && request.t !== 'enqueue');
    return exchange;
  }

  /** Drops the caller of this request; a grant in the reply is released. */
  forget(exchange: Exchange): void {
    exchange.done = undefined;
  }

  /** Takes no new work and ends after the last reply. */
  retire(error: LockError): void {
    if (this.state === 'connecting') return this.end(error);
    this.to('retire');
    this.rest();
  }

  /** Its server shuts down: the lane sends nothing more and stays for the locks it owns (rule 9). */
  drain(): void {
    if (this.isEnded || this.state === 'connecting') return;
    this.to('drain');
    this.hooks.doubted?.(this);
    this.rest();
  }

  /** Ends the lane now and tells its owners, the pool, and the callers that wait for replies, in this order. */
  end(error: LockError, reason: LossReason = this.state === 'draining' ? 'draining' : 'disconnected'): void {
    if (this.isEnded) return;
    this.ending = error;
    this.to('end');
    this.watch.stop();
    this.connector.abort();
    this.outbox.close();
    this.owners.tell(reason, error);
    this.hooks.ended(this, error);
    this.suspectedReply?.done?.(error, this.suspectedReply.sentAt);
    for (let x = this.flight.shift(); x; x = this.flight.shift()) x.done?.(error, x.sentAt);
    this.context.laneEnded();
  }

  /** The server's read timeout is shorter than assumed. */
  rearm(): void {
    this.watch.arm();
  }

  /** Watched, like the members below. */
  get lastSend(): Ms {
    return this.outbox.lastSend;
  }

  get oldest(): Exchange | undefined {
    return this.flight.head;
  }

  get stays(): boolean {
    return this.isUsable && (this.role !== 'wait' || this.grants > 0);
  }

  get isSuspect(): boolean {
    return this.state === 'suspect';
  }

  /** Watched. Gives up the overdue requests, not the lane. */
  doubt(late: readonly Exchange[]): void {
    this.overdue += late.length;
    this.to('doubt');
    this.hooks.doubted?.(this);
    for (const exchange of late) {
      const { done } = exchange;
      exchange.done = undefined;
      done?.(gone(this.server, `no answer within ${exchange.patience} ms`), exchange.sentAt);
    }
  }

  /** Watched */
  giveUp(): void {
    this.end(gone(this.server, 'the server does not answer'));
  }

  /** Watched */
  beat(): void {
    sendHeartbeat(this, this.context.drainProbe);
  }

  private cut(error: LockError): void {
    this.wasCut ||= !this.isEnded;
    return error instanceof ServerDrainingError ? this.endForDraining() : this.end(error);
  }

  private to(event: LaneEvent): void {
    this.state = nextState(this.state, event, this.grants);
  }

  private onConnected(wire: Wire): void {
    const lost = (what: string, cause?: Error): void => this.cut(gone(this.server, what, cause));
    wire.attach((bytes) => this.onBytes(bytes), lost);
    this.to('connected');
    this.outbox.open(wire.socket);
    this.watch.arm();
    this.hooks.connected?.(this);
  }

  private onBytes(bytes: string): void {
    this.isReading = true;
    if (!this.decoder.push(bytes)) this.end(oversized(this.server));
    this.isReading = false;
    if (this.isEnded || this.flight.size > 0) return;
    this.outbox.idle();
    // The alarm was set for the reply, which may be due later than the next heartbeat.
    this.watch.arm();
    this.rest();
  }

  private onLine(line: string): void {
    if (this.isEnded) return;
    // Between replies, at any time (spec 6.2).
    if (this.role === 'listener' && line.startsWith('sig ')) return this.hooks.pushed?.(line);
    const { head } = this.flight;
    if (!head || head === this.outbox.first) {
      // The server sends `error` before it closes an idle connection (spec 1.1); any other line is a violation.
      if (line !== 'error') return this.end(violation(this.server, line));
      this.context.silenced(this.context.clock.now() - this.lastSend);
      return this.end(gone(this.server, 'the server closed the idle connection'));
    }
    const reply = parseReply(line, head.request.t);
    if (!reply) return this.end(violation(this.server, line));
    if (reply.s === 'draining') return this.endForDraining();
    const { target, record } = this.context;
    if (reply.s === 'auth') return this.cut(unauthorized(this.server, target.auth !== undefined, record));
    // After an `error` that announces the end, the server sends nothing more; so the earlier one was a reply.
    if (this.suspectedReply && !this.confirmReply(this.suspectedReply)) return;
    this.answered(this.flight.shift()!, reply);
  }

  private answered(exchange: Exchange, reply: Reply): void {
    const { request } = exchange;
    if (exchange.late && --this.overdue === 0) this.trust();
    if (reply.s === 'error' && isAmbiguous(request)) return this.suspectReply(exchange);
    this.lastAckedSend = exchange.sentAt;
    if (isBlocking(request)) this.to('unblock');
    if (exchange.done) return exchange.done(reply, exchange.sentAt);
    const release = releaseOf(request, reply);
    if (release) this.send(release, nothing);
  }

  /** Takes no new work until the next line or the end of the lane; a request in flight brings one of the two. */
  private suspectReply(exchange: Exchange): void {
    // A ping's reply matters only as proof of life for holders, and a draining server must not be asked.
    const isIdle = exchange.request.t === 'ping' && (this.grants === 0 || exchange === this.probe);
    if (isIdle || this.state === 'draining') return exchange.done?.({ s: 'error' }, exchange.sentAt);
    this.suspectedReply = exchange;
    this.to('doubt');
    if (this.flight.size === 0) this.probe = this.send({ t: 'ping' }, nothing);
  }

  /** Returns false if this has ended the lane. */
  private confirmReply(exchange: Exchange): boolean {
    this.suspectedReply = undefined;
    this.lastAckedSend = exchange.sentAt;
    this.trust();
    exchange.done?.({ s: 'error' }, exchange.sentAt);
    return !this.isEnded;
  }

  private trust(): void {
    if (this.overdue > 0) return;
    this.watch.trust();
    this.to('trust');
    if (this.isUsable) this.hooks.trusted?.(this);
  }

  /** The pool learns of the shutdown before the owners of this lane learn that they have lost. */
  private endForDraining(): void {
    this.context.drained();
    this.end(draining(this.server), 'draining');
  }

  /** Nothing is in flight: a closing lane ends, and a free one may be reused. */
  private rest(): void {
    if (this.flight.size > 0) return;
    if (this.state === 'closing') this.end(gone(this.server, 'closed'));
    else if (this.state === 'draining' && this.grants === 0) this.end(draining(this.server));
    else if (this.state === 'free') this.hooks.freed?.(this);
  }
}
