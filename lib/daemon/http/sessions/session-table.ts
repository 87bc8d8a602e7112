import type { Ms, Timer } from '../../../common/system.js';
import { type Answer, ERRORS } from '../answers/answer.js';
import { HttpSession } from './http-session.js';
import type { HttpSessionHost } from './session-host.js';

const ID_BYTES = 16;
const MOST_BETWEEN_REAPS: Ms = 30_000;
/** Between two reaps if the idle timeout is 0. */
const USUALLY_BETWEEN_REAPS: Ms = 10_000;
/** Sessions looked at in one turn of the event loop. */
const PORTION = 128;

/** A stream of signals: a session without an id. */
export interface StreamSession {
  readonly peer: string;
  /** The server shuts down. */
  end(): void;
}

/** All sessions over HTTP, with their limits; removes those that are dead or idle. */
export class SessionTable {
  private readonly byId = new Map<string, HttpSession>();
  private readonly dead = new Set<HttpSession>();
  private readonly streams = new Set<StreamSession>();
  private readonly byPeer = new Map<string, number>();
  private readonly bytes = Buffer.alloc(ID_BYTES);
  private reaper: Timer | undefined;
  private isDraining = false;

  constructor(private readonly host: HttpSessionHost) {}

  /** Streams, and dead sessions that are not yet removed, included. */
  get size(): number {
    return this.byId.size + this.streams.size;
  }

  /** A new session, or why there is none. */
  create(peer: string): HttpSession | Answer {
    // Before it is counted: a failure must not leave it so.
    this.host.entropy.fill(this.bytes);
    const refusal = this.admit(peer);
    if (refusal) return refusal;
    const session = new HttpSession(this.bytes.toString('hex'), peer, this.host, this.died);
    this.byId.set(session.id, session);
    this.reaper ??= this.host.driver.clock.setTimer(this.reap, this.period);
    return session;
  }

  /** The live session of an id; that it was named counts as a sign of life. */
  find(id: string, now: Ms): HttpSession | undefined {
    const session = this.byId.get(id);
    if (!session) return undefined;
    if (session.isDead) return void this.remove(session);
    session.lastSeen = now;
    return session;
  }

  /** Ends a session. The caller touches the driver. */
  delete(session: HttpSession, now: Ms): void {
    this.remove(session);
    session.close(now);
  }

  /** Counts a stream; returns why there may be none. */
  addStream(stream: StreamSession): Answer | undefined {
    const refusal = this.admit(stream.peer);
    if (!refusal) this.streams.add(stream);
    return refusal;
  }

  removeStream(stream: StreamSession): void {
    if (this.streams.delete(stream)) this.leave(stream.peer);
  }

  /** Ends all sessions and streams, and admits no more. The caller touches the driver. */
  drain(now: Ms): void {
    this.isDraining = true;
    for (const session of [...this.byId.values()]) this.delete(session, now);
    for (const stream of [...this.streams]) stream.end();
    if (this.reaper) this.host.driver.clock.clearTimer(this.reaper);
    this.reaper = undefined;
  }

  /** Counts a session of this peer, unless there are too many. */
  private admit(peer: string): Answer | undefined {
    if (this.isDraining) return ERRORS.draining;
    for (const session of this.dead) this.remove(session);
    const { maxSessions, maxSessionsPerIp } = this.host;
    if (maxSessions > 0 && this.size >= maxSessions) return ERRORS.maxSessions;
    const here = this.byPeer.get(peer) ?? 0;
    if (maxSessionsPerIp > 0 && here >= maxSessionsPerIp) return ERRORS.maxSessionsPerIp;
    this.byPeer.set(peer, here + 1);
    return undefined;
  }

  private remove(session: HttpSession): void {
    this.dead.delete(session);
    if (this.byId.delete(session.id)) this.leave(session.peer);
  }

  private leave(peer: string): void {
    const here = this.byPeer.get(peer)!;
    if (here > 1) this.byPeer.set(peer, here - 1);
    else this.byPeer.delete(peer);
  }

  /** It stays counted until the next reap, creation or lookup. */
  private readonly died = (session: HttpSession): void => void this.dead.add(session);

  private get period(): Ms {
    return Math.min(this.host.idleTimeoutMs || USUALLY_BETWEEN_REAPS, MOST_BETWEEN_REAPS);
  }

  private readonly reap = (): void => {
    const { driver, share } = this.host;
    this.reaper = undefined;
    const seen = driver.clock.now();
    // Requests that name a session may be waiting for their turn.
    share.whenHeard(() => this.reapFrom(this.byId.values(), seen));
  };

  private reapFrom(rest: IterableIterator<HttpSession>, seen: Ms): void {
    const { driver, idleTimeoutMs } = this.host;
    if (this.isDraining) return;
    for (let n = 0; n < PORTION; n++) {
      const { done, value: session } = rest.next();
      if (done) return this.reapLater();
      const isIdle = idleTimeoutMs > 0 && !session.isBusy && seen - session.lastSeen > 2 * idleTimeoutMs;
      if (session.isDead || isIdle) this.delete(session, driver.clock.now());
    }
    driver.touch();
    driver.clock.endOfTurn(() => this.reapFrom(rest, seen));
  }

  private reapLater(): void {
    const { driver } = this.host;
    driver.touch();
    if (this.byId.size > 0) this.reaper ??= driver.clock.setTimer(this.reap, this.period);
  }
}
