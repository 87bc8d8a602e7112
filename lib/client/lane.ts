import type { Socket } from 'node:net';
import type { Alarm, Alarms } from '../common/alarms.js';
import {
  AuthError,
  LockError,
  LockUnavailableError,
  ProtocolError,
  ServerDrainingError,
  type LossReason,
} from '../common/errors.js';
import { guardOf } from '../common/guard.js';
import type { Clock, Ms } from '../common/system.js';
import type { Reply, Request } from '../protocol/messages.js';
import { LineDecoder, parseReply } from '../protocol/reply-decoder.js';
import { encodeRequest } from '../protocol/request-encoder.js';
import { Connector, type Target } from './connector.js';
import { type Done, Exchange, ExchangeQueue } from './exchange.js';
import { type LaneEvent, type LaneState, nextState } from './lane-state.js';

/**
 * command: shared, pipelined, never blocks. wait: one blocking acquire, then what belongs to the lock it got. control:
 * stats; owns nothing, because a long answer may cost it.
 */
export type Role = 'command' | 'wait' | 'control';

export interface LaneContext {
  readonly target: Target;
  readonly requestTimeoutMs: Ms;
  readonly readTimeoutMs: Ms;
  readonly clock: Clock;
  /** Alarms that do not keep the process alive. */
  readonly alarms: Alarms;
  /** A lane has ended; after its own hooks. */
  readonly laneEnded: () => void;
}

/** Called by the lane in the turn in which it happens. */
export interface LaneHooks {
  connected?(lane: Lane): void;
  /** Nothing is outstanding and nothing is owned. */
  freed?(lane: Lane): void;
  /** It has become suspect. */
  doubted?(lane: Lane): void;
  ended(lane: Lane, error: LockError): void;
}

type LostCallback = (reason: LossReason, error?: Error) => void;

/** Parts of the server's read timeout after which a lane that is to stay says something. */
const BEATS_PER_READ_TIMEOUT = 3;

const isBlocking = (r: Request): boolean => (r.t === 'acquire' || r.t === 'wait') && r.waitMs > 0;

let lastId = 0;

/**
 * One connection. Requests may be sent at any time; those of one turn of the event loop leave in one write. It owns the
 * grants that its requests brought (spec 4.1): when it ends, whatever the reason, their holders are told in that turn.
 */
export class Lane implements Alarm {
  due: Ms = Infinity;
  slot = -1;
  state: LaneState = 'connecting';
  /** Grants that live as long as this connection. */
  grants = 0;
  /** Send time of the newest request that was answered. */
  lastAckedSend: Ms = -Infinity;
  readonly id: string;
  readonly server: string;
  private readonly connector: Connector;
  private socket: Socket | undefined;
  private readonly flight = new ExchangeQueue();
  private firstUnsent: Exchange | undefined;
  private out = '';
  private lastSend: Ms = 0;
  private overdue = 0;
  private doubtedAt: Ms = Infinity;
  private referenced = false;
  private ending: { readonly reason: LossReason; readonly error: LockError } | undefined;
  private readonly owners = new Set<LostCallback>();
  private readonly decoder = new LineDecoder((line) => this.onLine(line));

  /** @throws ConfigError for TLS options that Node refuses */
  constructor(
    readonly role: Role,
    private readonly context: LaneContext,
    private readonly hooks: LaneHooks,
  ) {
    this.server = context.target.endpoint.label;
    this.id = `${role}#${++lastId}@${this.server}`;
    this.connector = new Connector(context.target, context.clock, context.alarms, {
      connected: (socket) => this.onConnected(socket),
      failed: (error) => this.end(error),
    });
  }

  /** Whether new work may be given to it. */
  get isUsable(): boolean {
    return this.state === 'free' || this.state === 'holding';
  }

  get isEnded(): boolean {
    return this.ending !== undefined;
  }

  get inFlight(): number {
    return this.flight.size;
  }

  /** Until when the server surely keeps this connection, less a guard. */
  provenUntil(): Ms {
    const { readTimeoutMs } = this.context;
    return this.lastAckedSend + readTimeoutMs - guardOf(readTimeoutMs);
  }

  /** Calls back in the turn in which the lane ends; in a microtask if it has ended already. */
  onLost(callback: LostCallback): () => void {
    if (this.ending) {
      const { reason, error } = this.ending;
      let wanted = true;
      queueMicrotask(() => wanted && callback(reason, error));
      return () => (wanted = false);
    }
    this.owners.add(callback);
    return () => this.owners.delete(callback);
  }

  /** A grant hangs on this connection from now on. */
  adopt(): void {
    this.grants++;
    this.to('count');
    if (this.grants === 1) this.arm();
  }

  /** A grant is released, or nobody cares for it any more. */
  disown(): void {
    this.grants--;
    this.to('count');
    this.rest();
  }

  /** `done` gets the answer, or the error that it will never come. At most one blocking request, and nothing behind it. */
  send(request: Request, done: Done): Exchange {
    const blocking = isBlocking(request);
    const { requestTimeoutMs } = this.context;
    const patience = blocking
      ? Math.ceil((request as { waitMs: Ms }).waitMs / 1000) * 1000 + requestTimeoutMs
      : requestTimeoutMs;
    const exchange = new Exchange(request, done, patience);
    if (this.ending) {
      done(this.ending.error, 0);
      return exchange;
    }
    if (blocking) this.to('block');
    this.flight.push(exchange);
    this.out += encodeRequest(request);
    if (!this.firstUnsent) {
      this.firstUnsent = exchange;
      // After the microtasks of this turn: they send too.
      process.nextTick(this.flush);
    }
    return exchange;
  }

  /** Nobody waits for this answer any more; a grant in it is released. */
  giveUp(exchange: Exchange): void {
    exchange.done = undefined;
  }

  /** No new work; ends when the last answer has come. */
  retire(error: LockError): void {
    if (this.state === 'connecting') return this.end(error);
    this.to('retire');
    this.rest();
  }

  /** Ends now: owners, the pool and all that wait for an answer are told, in this order. */
  end(error: LockError, reason: LossReason = 'disconnected'): void {
    if (this.ending) return;
    this.ending = { reason, error };
    this.to('end');
    this.context.alarms.cancel(this);
    this.connector.abort();
    // Never half-closed (spec 14.3).
    this.socket?.destroy();
    const owners = [...this.owners];
    this.owners.clear();
    for (const lost of owners) lost(reason, error);
    this.hooks.ended(this, error);
    for (let x = this.flight.shift(); x; x = this.flight.shift()) x.done?.(error, x.sentAt);
    this.context.laneEnded();
  }

  /** Alarm: an answer is overdue, or it is time to say something. */
  ring(now: Ms): void {
    const { head } = this.flight;
    if ((head && head.dueAt <= now) || this.hopelessAt <= now) {
      // After a stall timers run before input: the answer may have arrived.
      this.context.clock.afterPoll(() => this.judge(now));
    } else {
      this.beat(now);
      this.arm();
    }
  }

  private to(event: LaneEvent): void {
    this.state = nextState(this.state, event, this.grants);
  }

  private onConnected(socket: Socket): void {
    this.socket = socket;
    this.lastSend = this.context.clock.now();
    socket.on('data', (chunk: Buffer) => this.onData(chunk));
    socket.on('end', () => this.end(this.gone('the server closed the connection')));
    socket.on('error', (error) => this.end(this.gone(error.message, error)));
    socket.on('close', () => this.end(this.gone('the connection closed')));
    this.to('connected');
    this.flush();
    this.arm();
    this.hooks.connected?.(this);
  }

  private readonly flush = (): void => {
    const { socket, firstUnsent } = this;
    if (!socket || !firstUnsent || this.ending) return;
    const now = this.context.clock.now();
    for (let x: Exchange | undefined = firstUnsent; x; x = x.next) {
      x.sentAt = now;
      x.dueAt = now + x.patience;
    }
    this.firstUnsent = undefined;
    this.lastSend = now;
    const text = this.out;
    this.out = '';
    if (!this.referenced) {
      this.referenced = true;
      socket.ref();
    }
    socket.write(text, 'latin1');
    this.arm();
  };

  private onData(chunk: Buffer): void {
    if (!this.decoder.push(chunk)) this.end(this.violation('a line that is too long'));
    if (this.ending || this.flight.size > 0) return;
    this.referenced = false;
    this.socket!.unref();
    // The alarm was set for the answer, which may be later than the next heartbeat.
    this.arm();
    this.rest();
  }

  private onLine(line: string): void {
    if (this.ending) return;
    const { head } = this.flight;
    if (!head || head === this.firstUnsent) {
      // Said before the server closes an idle connection (spec 1.1); anything else is a violation.
      return this.end(line === 'error' ? this.gone('the server closed the idle connection') : this.violation(line));
    }
    const reply = parseReply(line, head.request.t);
    if (!reply) return this.end(this.violation(line));
    if (reply.s === 'draining') return this.end(new ServerDrainingError({ server: this.server }), 'draining');
    if (reply.s === 'auth') return this.end(new AuthError({ server: this.server }));
    this.answered(this.flight.shift()!, reply);
  }

  private answered(exchange: Exchange, reply: Reply): void {
    this.lastAckedSend = exchange.sentAt;
    if (isBlocking(exchange.request)) this.to('unblock');
    if (exchange.late && --this.overdue === 0) this.trust();
    if (exchange.done) exchange.done(reply, exchange.sentAt);
    else this.bury(exchange.request, reply);
  }

  /** What an answer gives that nobody waits for is given back. */
  private bury(request: Request, reply: Reply): void {
    if (reply.s !== 'granted' || request.t !== 'acquire') return;
    this.send({ t: 'release', kind: request.kind, key: request.key, token: reply.token }, () => undefined);
  }

  /** Nothing is outstanding: a lane that is to end ends, a free one may be used for something else. */
  private rest(): void {
    if (this.flight.size > 0) return;
    if (this.state === 'closing') this.end(this.gone('closed'));
    else if (this.state === 'free') this.hooks.freed?.(this);
  }

  private trust(): void {
    this.doubtedAt = Infinity;
    this.to('trust');
  }

  /** When nothing good is to be expected of a suspect lane any more. */
  private get hopelessAt(): Ms {
    if (this.state !== 'suspect') return Infinity;
    const { readTimeoutMs, requestTimeoutMs } = this.context;
    const patient = this.doubtedAt + requestTimeoutMs;
    return this.grants > 0 ? Math.max(this.lastAckedSend + readTimeoutMs, patient) : patient;
  }

  /**
   * What is overdue is given up, not the lane.
   * @param seen all input that had arrived by then has been read; what became due later has not had its look yet
   */
  private judge(seen: Ms): void {
    if (this.ending) return;
    const late: Exchange[] = [];
    for (let x = this.flight.head; x && x.dueAt <= seen; x = x.next) {
      if (x.late) continue;
      x.late = true;
      late.push(x);
    }
    if (late.length > 0) this.doubt(late, seen);
    if (this.ending) return;
    if (this.hopelessAt <= seen) return this.end(this.gone('the server does not answer'));
    this.beat(this.context.clock.now());
    this.arm();
  }

  private doubt(late: readonly Exchange[], now: Ms): void {
    this.overdue += late.length;
    this.doubtedAt = Math.min(this.doubtedAt, now);
    this.to('doubt');
    this.hooks.doubted?.(this);
    for (const exchange of late) {
      const { done } = exchange;
      exchange.done = undefined;
      done?.(this.gone(`no answer within ${exchange.patience} ms`), exchange.sentAt);
    }
  }

  /** Lanes that are to stay say something before the server takes them for dead (spec 1.5). 1.10 answers `error`: fine. */
  private beat(now: Ms): void {
    if (this.beatAt <= now) this.send({ t: 'ping' }, () => undefined);
  }

  private get beatAt(): Ms {
    const stays = this.isUsable && (this.role === 'command' || this.grants > 0);
    if (!stays || this.flight.size > 0) return Infinity;
    return this.lastSend + this.context.readTimeoutMs / BEATS_PER_READ_TIMEOUT;
  }

  /** One alarm for everything: it is moved only to be earlier, and looks again when it rings too early. */
  private arm(): void {
    if (!this.socket || this.ending) return;
    // Late exchanges have been dealt with; only the end of all hope is left for them.
    let next = this.flight.head;
    while (next?.late) next = next.next;
    const due = Math.min(next?.dueAt ?? Infinity, this.beatAt, this.hopelessAt);
    if (this.slot < 0 || due < this.due) this.context.alarms.set(this, due);
  }

  private gone(what: string, cause?: Error): LockUnavailableError {
    return new LockUnavailableError(`${this.server}: ${what}`, { server: this.server, cause });
  }

  private violation(line: string): ProtocolError {
    return new ProtocolError(`${this.server}: unexpected line ${JSON.stringify(line.slice(0, 80))}`, {
      server: this.server,
    });
  }
}
