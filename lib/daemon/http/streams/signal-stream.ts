import type { Alarm, Alarms } from '../../../common/alarms.js';
import type { Ms } from '../../../common/system.js';
import type { EngineDriver, Woken } from '../../../core/driver.js';
import type { Session } from '../../../core/session.js';
import type { Answer as EngineAnswer, SessionSink } from '../../../core/types.js';
import { SIGNAL_BUFFER_FRAMES, SIGNAL_LINE_CAP } from '../../../protocol/limits.js';
import type { SignalMemory } from '../../fairness/signal-memory.js';
import type { TurnLimiter } from '../../fairness/turn-limiter.js';
import type { Head } from '../answers/answer.js';
import type { Awaited, Exchange } from '../exchange/exchange.js';
import type { SessionTable, StreamSession } from '../sessions/session-table.js';
import type { EventFrames } from './event-frames.js';
import type { Subscription } from './subscription.js';

export const STREAM_HEAD: Head = [
  'Content-Type',
  'text/event-stream',
  'Cache-Control',
  'no-cache',
  'Connection',
  'keep-alive',
  'X-Accel-Buffering',
  'no',
];

const START = ':ok\n\n';
/** As many as the original keeps in its two buffers; at the next one the stream ends (spec http 4.9). */
const MOST_FRAMES = 2 * SIGNAL_BUFFER_FRAMES;
const MOST_BYTES = MOST_FRAMES * SIGNAL_LINE_CAP;
/** A client that does not read what was written within this time is disconnected (spec http 3.10). */
const WRITE_MS: Ms = 30_000;
/** The same when the server shuts down. */
const LAST_WRITE_MS: Ms = 500;

/** What all streams share. */
export interface StreamHost {
  readonly driver: EngineDriver;
  readonly sessions: SessionTable;
  readonly alarms: Alarms;
  readonly memory: SignalMemory;
  /** Limits streams written to per turn. */
  readonly pushes: TurnLimiter;
  readonly frames: EventFrames;
}

/**
 * A stream of server-sent events, with a session of its own that nobody can name: it listens, and holds nothing. It
 * ends when its client leaves, does not keep up or does not read, and when the server shuts down.
 */
export class SignalStream implements SessionSink, StreamSession, Awaited, Woken, Alarm {
  due: Ms = Infinity;
  slot = -1;
  readonly peer: string;
  private session: Session | undefined;
  /** Frames that are not written yet, and their bytes. */
  private fresh: string[] = [];
  private freshBytes = 0;
  /** Frames that the socket has not taken yet, and their bytes. */
  private waiting = 0;
  private waitingBytes = 0;
  /** Frames taken so far, and how many must be by `due`. */
  private taken = 0;
  private mark = 0;
  private isAwake = false;
  private isEvicted = false;

  constructor(
    private readonly exchange: Exchange,
    private readonly host: StreamHost,
  ) {
    this.peer = exchange.peer;
  }

  /** Begins to listen. The caller has counted it as a session, and touches the driver. */
  start({ pattern, group }: Subscription, now: Ms): void {
    const { exchange } = this;
    const { engine } = this.host.driver;
    exchange.waitFor(this);
    exchange.res.on('error', () => undefined);
    exchange.startStream(200, STREAM_HEAD);
    exchange.res.write(START);
    this.session = engine.open(this, this.peer);
    engine.exec(this.session, 0, { t: 'listen', pattern, group }, now);
  }

  /** SessionSink. The only command is the `listen` of `start`. */
  reply(_op: number, answer: EngineAnswer): void {
    if (answer.s !== 'ok') this.evict();
  }

  /** SessionSink. Frames of this turn do not count: the client cannot have read them yet. */
  push(channel: string, payload: string): boolean {
    try {
      if (this.isEvicted || !this.hasRoom) return false;
      const frame = this.host.frames.of(channel, payload);
      this.fresh.push(frame);
      this.freshBytes += frame.length;
      this.wake();
      return true;
    } catch {
      return false; // The publisher must not fail.
    }
  }

  /** SessionSink */
  evict(): void {
    this.isEvicted = true;
    this.wake();
  }

  /** Woken */
  resume(): void {
    this.host.pushes.do(this.proceed);
  }

  /** StreamSession: the server shuts down. The caller touches the driver. */
  end(): void {
    this.finish(LAST_WRITE_MS);
  }

  /** Awaited: the client is gone. */
  left(): void {
    this.stop();
    this.forgetWaiting();
    this.host.driver.touch();
  }

  /** Alarm */
  ring(): void {
    // A process that was stopped has not been told yet what its sockets took meanwhile.
    this.host.driver.clock.afterPoll(() => {
      if (this.waiting === 0 || this.slot >= 0) return;
      if (this.taken >= this.mark && this.session) return this.watch(WRITE_MS);
      this.exchange.req.socket.destroy();
      this.forgetWaiting();
    });
  }

  private get hasRoom(): boolean {
    const { waiting, waitingBytes, freshBytes } = this;
    if (waiting >= MOST_FRAMES || waitingBytes + freshBytes >= MOST_BYTES) return false;
    return waiting === 0 || this.host.memory.allows(waitingBytes);
  }

  private wake(): void {
    if (this.isAwake) return;
    this.isAwake = true;
    this.host.driver.wake(this);
  }

  private readonly proceed = (): void => {
    this.isAwake = false;
    if (!this.session) return;
    this.flush();
    if (!this.isEvicted) return;
    this.finish(WRITE_MS);
    this.host.driver.touch();
  };

  private flush(): void {
    const { fresh } = this;
    if (fresh.length === 0) return;
    this.fresh = [];
    this.freshBytes = 0;
    for (const frame of fresh) {
      const { length } = frame;
      this.waiting++;
      this.waitingBytes += length;
      this.host.memory.take(length);
      this.exchange.res.write(frame, 'latin1', () => this.passedOn(length));
    }
    if (this.slot < 0) this.watch(WRITE_MS);
  }

  private passedOn(length: number): void {
    this.taken++;
    this.waiting--;
    // Zero if what waited has been given up meanwhile.
    const freed = Math.min(length, this.waitingBytes);
    this.waitingBytes -= freed;
    this.host.memory.free(freed);
  }

  /** Gives the client this long to read what waits now. */
  private watch(within: Ms): void {
    this.mark = this.taken + this.waiting;
    this.host.alarms.set(this, this.host.driver.clock.now() + within);
  }

  /** Ends the stream cleanly; what is written may still be read for a while. */
  private finish(within: Ms): void {
    if (!this.session) return;
    this.flush();
    this.stop();
    this.exchange.finish(200);
    if (this.waiting > 0) this.watch(within);
  }

  private stop(): void {
    const { session, host } = this;
    if (!session) return;
    this.session = undefined;
    this.fresh = [];
    host.alarms.cancel(this);
    host.driver.engine.close(session, host.driver.clock.now(), false);
    host.sessions.removeStream(this);
  }

  private forgetWaiting(): void {
    this.host.memory.free(this.waitingBytes);
    this.waitingBytes = 0;
  }
}
