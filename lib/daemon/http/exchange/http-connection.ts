import type { Socket } from 'node:net';
import type { Ms } from '../../../common/system.js';
import type { SharedWork, TurnShare } from '../../fairness/turn-share.js';
import type { Exchange, ExchangeOwner } from './exchange.js';
import { GatheredWrites } from './gathered-writes.js';
import type { Swept } from './sweep.js';

/** From its start, a connection has this long to send its first request; later ones may take as long (spec 9.1). */
const HEAD_MS: Ms = 10_000;
/** A client that has been refused may read the answer for so long; it would be lost if the socket were destroyed at once. */
const LINGER_MS: Ms = 500;
const IDLE_MS: Ms = 120_000;
/** Requests of a connection that begin one after another; others are served in between. */
const AT_ONCE = 8;
/** Requests that may wait behind one that waits for a lock, and bytes of their bodies. */
const BEHIND_A_WAIT = 100;
const BEHIND_BYTES = 64 * 1024;
/** More requests than these are not read while they wait: those that are outlive collections of the young heap. */
const READ_AHEAD = 8;

export const BAD_REQUEST =
  'HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request';

/** What connections need of the service. */
export interface ConnectionHost {
  now(): Ms;
  readonly share: TurnShare;
  readonly isDraining: boolean;
  readonly bodyTimeoutMs: Ms;
  /** Serves a request whose turn it is. */
  serve(exchange: Exchange): void;
  count(exchange: Exchange, status: number, ms: Ms): void;
  /** Has its deadlines looked at from now on. */
  watch(connection: Swept): void;
  unwatch(connection: Swept): void;
}

/**
 * One connection of a client: its requests are served one after the other, and it ends when it is slow or idle. The
 * sockets of an application that the handler is mounted in belong to that application; only the deadline of bodies
 * applies to them.
 */
export class HttpConnection implements ExchangeOwner, Swept, SharedWork {
  private active: Exchange | undefined;
  private last: Exchange | undefined;
  private readonly queue: Exchange[] = [];
  /** Requests that have begun since it was its turn, and the turn. */
  private begun = 0;
  private turn = 0;
  private waitsForTurn = false;
  /** Undefined unless its client pipelines. */
  private writes: GatheredWrites | undefined;
  private hasStreamed = false;
  /** It has sent enough for now. */
  isPaused = false;
  /** Nothing more is served on it. */
  isClosing = false;
  /** The parser has refused what follows the requests that it has handed over. */
  private isBroken = false;
  /** The last request has not been handed over yet. */
  private awaitsLast = false;
  /** When the time for the next request began. */
  private since: Ms;
  private lingerMs: Ms = IDLE_MS;
  /** Bytes received by then, and when more came. */
  private bytes = 0;
  private headSince: Ms = Infinity;

  constructor(
    readonly socket: Socket,
    readonly peer: string,
    private readonly host: ConnectionHost,
    private readonly isOwn: boolean,
  ) {
    this.since = host.now();
    socket.once('close', () => this.close());
    if (!isOwn) return;
    host.watch(this);
    // Node looks only while it can parse what arrives.
    socket.once('end', () => this.isBusy && socket.destroy());
  }

  get isLast(): boolean {
    return (this.isOwn && this.host.isDraining) || (this.isBroken && !this.awaitsLast && this.queue.length === 0);
  }

  /** Whether an answer is awaited. */
  get isBusy(): boolean {
    return this.active !== undefined;
  }

  /** Bytes of the body of the newest request that have not arrived; 0 if that is not known. */
  get missing(): number {
    return (this.queue.at(-1) ?? this.last)?.missing ?? 0;
  }

  receive(exchange: Exchange): void {
    if (this.isClosing) return;
    this.awaitsLast = false;
    // Node has yet to write the answer to the request before.
    if (exchange.res.socket === null) this.gather();
    if (!this.isOwn) this.host.watch(this);
    // What was read from an own socket has had its turn.
    const isFirst = this.isOwn || this.host.share.isFree;
    if (!this.active && this.queue.length === 0 && isFirst && this.mayBegin) return this.begin(exchange);
    this.queue.push(exchange);
    exchange.collect();
    if (!this.active) this.waitForTurn();
    this.limitQueue();
  }

  /** ExchangeOwner */
  ended(exchange: Exchange, status: number): void {
    const now = this.host.now();
    if (exchange.isCounted) this.host.count(exchange, status, now - exchange.since);
    if (exchange !== this.active) return;
    this.active = undefined;
    this.since = now;
    this.bytes = this.socket.bytesRead;
    this.headSince = Infinity;
    if (exchange.res.shouldKeepAlive) return this.queue.length > 0 ? this.pump() : undefined;
    this.isClosing = true;
    this.leaveAll(now);
  }

  /** The next request is the last; nothing is read behind it. */
  takeLast(): void {
    this.isBroken = this.awaitsLast = true;
  }

  /** What the client sent is no request: the answer is the last, unless others are still to be given. */
  refuse(text: string): void {
    if (this.isClosing) return;
    const newest = this.queue.at(-1) ?? this.active;
    if (newest) {
      this.isBroken = true;
      this.awaitsLast = false;
      return newest.breakBody();
    }
    if (this.isBroken && !this.awaitsLast) return;
    // An endpoint that ignores bodies has answered before its end.
    if (this.last && !this.last.req.complete) {
      this.isClosing = true;
      return this.socket.destroySoon();
    }
    // Of pipelined requests, the parser may hold back answers.
    if (this.last && !this.last.res.writableFinished) {
      this.isBroken = true;
      this.last.res.once('finish', () => this.end(text));
    } else {
      this.end(text);
    }
  }

  /** ExchangeOwner */
  waits(): void {
    if (this.queue.length > 0) this.limitQueue();
  }

  /** ExchangeOwner */
  streams(): void {
    this.hasStreamed = true;
    this.writes?.stop();
  }

  /** Swept */
  isDue(seen: Ms): boolean {
    const { active, last } = this;
    const hasLateBody = last !== undefined && !last.req.complete && seen - last.since >= this.host.bodyTimeoutMs;
    if (hasLateBody || active || this.queue.length > 0 || !this.isOwn) {
      if (!this.isOwn && !active && this.queue.length === 0 && !hasLateBody) this.host.unwatch(this);
      return (
        hasLateBody || this.queue.some(({ req, since }) => !req.complete && seen - since >= this.host.bodyTimeoutMs)
      );
    }
    if (this.isClosing) return seen - this.since >= this.lingerMs;
    if (!last) return seen - this.since >= HEAD_MS;
    if (this.headSince === Infinity && this.socket.bytesRead !== this.bytes) this.headSince = seen;
    return seen - this.headSince >= HEAD_MS || seen - this.since >= IDLE_MS;
  }

  /** Swept */
  expire(): void {
    const { last, socket } = this;
    if (last && !last.req.complete) {
      if (this.active && this.active === last) last.refuseLateBody();
      else socket.destroy();
    } else if (this.headSince < Infinity && !this.isClosing) {
      this.refuse(BAD_REQUEST);
    } else {
      socket.destroy();
    }
  }

  /** The server shuts down: a connection without a request ends now, others with their answers. */
  drain(): void {
    if (this.isBusy || this.queue.length > 0) return;
    this.isClosing = true;
    if (this.last && !this.last.res.writableFinished) this.last.res.once('finish', () => this.socket.destroySoon());
    else this.socket.destroySoon();
  }

  private end(text: string): void {
    this.isClosing = true;
    this.since = this.host.now();
    this.lingerMs = LINGER_MS;
    this.socket.end(text, 'latin1');
  }

  /** SharedWork */
  proceed(): void {
    this.waitsForTurn = false;
    this.begun = 0;
    this.pump();
  }

  private get mayBegin(): boolean {
    const { share } = this.host;
    if (this.turn !== share.turn) this.begun = 0;
    this.turn = share.turn;
    return this.begun < AT_ONCE && share.hasTime;
  }

  private begin(exchange: Exchange): void {
    this.begun++;
    this.active = this.last = exchange;
    const { host } = this;
    host.share.do(() => host.serve(exchange));
  }

  private pump(): void {
    while (!this.active && !this.isClosing && this.queue.length > 0) {
      if (!this.mayBegin) return this.waitForTurn();
      this.begin(this.queue.shift()!);
    }
    if (this.queue.length < READ_AHEAD / 2) this.readOn();
  }

  private gather(): void {
    if (this.isOwn && !this.hasStreamed) this.writes ??= new GatheredWrites(this.socket);
  }

  private readOn(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    this.socket.resume();
  }

  private waitForTurn(): void {
    if (this.waitsForTurn) return;
    this.waitsForTurn = true;
    this.host.share.wait(this, !this.isOwn && this.queue.length === 1);
  }

  /** A client whose request waits must be heard when it leaves, so reading goes on; but it may not send much more. */
  private limitQueue(): void {
    const { queue } = this;
    if (this.active?.isWaiting) {
      const kept = queue.reduce((sum, one) => sum + one.kept, 0);
      if (queue.length > BEHIND_A_WAIT || kept > BEHIND_BYTES) this.socket.destroy();
      else this.readOn();
    } else if (queue.length >= READ_AHEAD && !this.isPaused) {
      this.isPaused = true;
      this.socket.pause();
    }
  }

  private close(): void {
    this.host.unwatch(this);
    this.isClosing = true;
    const now = this.host.now();
    this.active?.leave(now);
    this.active = undefined;
    this.leaveAll(now);
  }

  private leaveAll(now: Ms): void {
    for (const waiting of this.queue.splice(0)) waiting.leave(now);
  }
}
