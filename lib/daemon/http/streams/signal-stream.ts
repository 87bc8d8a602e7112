import { type Alarm, type Alarms, newAlarm } from '../../../common/alarms.js';
import type { Ms } from '../../../common/system.js';
import type { EngineDriver, Woken } from '../../../core/driver.js';
import type { Session } from '../../../core/session.js';
import { WEIGHT } from '../../../core/signal-weight.js';
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
/** Ignored by clients. */
const COMMENT = ':\n\n';
/** As many as the original keeps in its two buffers; at the next one the stream ends (spec 19.1). */
const MOST_FRAMES = 2 * SIGNAL_BUFFER_FRAMES;
const MOST_BYTES = MOST_FRAMES * SIGNAL_LINE_CAP;
/** The socket is given no more while it has this much to send: the write timeout is for little at a time. */
const AHEAD_BYTES = 256 * 1024;
/** A client that takes nothing for so long is disconnected (spec 9.5). */
const WRITE_MS: Ms = 30_000;
/** All that a client has to read what waits when the server shuts down. */
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
  /** Frames of this turn. */
  private fresh: string[] = [];
  private freshBytes = 0;
  /** Frames that wait for the socket, and the place of the first. */
  private queue: string[] = [];
  private first = 0;
  /** Bytes that the socket has not taken yet. */
  private ahead = 0;
  /** Frames of earlier turns that the socket has not taken yet, and their bytes. */
  private waiting = 0;
  private waitingBytes = 0;
  private lastProgress: Ms = 0;
  /** When the server no longer waits for the client, although it reads. */
  private endBy: Ms = Infinity;
  private isAwake = false;
  private isEvicted = false;
  private isOver = false;
  private lastWrite: Ms = 0;
  private readonly silence: Alarm | undefined;

  /** @param keepAliveMs after so long a silence a comment is sent; 0 = never */
  constructor(
    private readonly exchange: Exchange,
    private readonly host: StreamHost,
    private readonly keepAliveMs: Ms,
  ) {
    this.silence = keepAliveMs > 0 ? newAlarm((now) => this.breakSilence(now)) : undefined;
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
    this.session.copyWeight = WEIGHT.event;
    engine.exec(this.session, 0, { t: 'listen', pattern, group }, now);
    this.lastWrite = now;
    if (this.silence) this.host.alarms.set(this.silence, now + this.keepAliveMs);
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
    this.endBy = this.host.driver.clock.now() + LAST_WRITE_MS;
    this.finish();
    if (!this.isOver) this.host.alarms.set(this, this.endBy);
  }

  /** Awaited: the client is gone. */
  left(): void {
    this.isOver = true;
    this.host.alarms.cancel(this);
    this.host.memory.free(this.waitingBytes);
    this.waitingBytes = 0;
    this.queue = [];
    this.stop();
    this.host.driver.touch();
  }

  /** Alarm */
  ring(): void {
    const { driver, alarms } = this.host;
    // A process that was stopped has not been told yet what its sockets took meanwhile.
    driver.clock.afterPoll(() => {
      if (this.isOver || this.waiting === 0 || this.slot >= 0) return;
      const due = Math.min(this.lastProgress + WRITE_MS, this.endBy);
      if (driver.clock.now() < due) alarms.set(this, due);
      else this.exchange.cutOff();
    });
  }

  /** The comment has the deadline of any frame: a client that is gone without a word is noticed. */
  private breakSilence(now: Ms): void {
    const due = this.lastWrite + this.keepAliveMs;
    if (now < due) return this.host.alarms.set(this.silence!, due);
    if (this.waiting === 0 && this.fresh.length === 0) {
      this.fresh.push(COMMENT);
      this.freshBytes += COMMENT.length;
      this.resume();
    }
    this.host.alarms.set(this.silence!, now + this.keepAliveMs);
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
    this.takeFresh();
    if (!this.isEvicted) return this.write();
    this.finish();
    this.host.driver.touch();
  };

  private takeFresh(): void {
    const { fresh, freshBytes, host } = this;
    if (fresh.length === 0) return;
    if (this.waiting === 0) this.lastProgress = host.driver.clock.now();
    this.waiting += fresh.length;
    this.waitingBytes += freshBytes;
    host.memory.take(freshBytes);
    this.queue = this.first < this.queue.length ? this.queue.slice(this.first).concat(fresh) : fresh;
    this.first = 0;
    this.fresh = [];
    this.freshBytes = 0;
    this.lastWrite = host.driver.clock.now();
  }

  /** Each frame is a write of its own, as by the original. */
  private write(): void {
    const { queue, exchange, host } = this;
    while (this.first < queue.length && this.ahead < AHEAD_BYTES) {
      const frame = queue[this.first++]!;
      this.ahead += frame.length;
      exchange.res.write(frame, 'latin1', () => this.passedOn(frame.length));
    }
    if (this.waiting > 0 && this.slot < 0) host.alarms.set(this, this.lastProgress + WRITE_MS);
  }

  private passedOn(length: number): void {
    if (this.isOver) return;
    this.ahead -= length;
    this.waiting--;
    this.waitingBytes -= length;
    this.host.memory.free(length);
    this.lastProgress = this.host.driver.clock.now();
    if (this.first < this.queue.length) this.write();
    else this.endIfDone();
  }

  /** Listens no longer; the stream ends when its client has what waits. */
  private finish(): void {
    if (!this.session) return;
    this.takeFresh();
    this.stop();
    this.write();
    this.endIfDone();
  }

  private endIfDone(): void {
    if (this.session || this.isOver || this.waiting > 0) return;
    this.isOver = true;
    this.host.alarms.cancel(this);
    this.exchange.finish(200);
  }

  private stop(): void {
    const { session, host } = this;
    if (!session) return;
    this.session = undefined;
    if (this.silence) host.alarms.cancel(this.silence);
    this.fresh = [];
    host.driver.engine.close(session, host.driver.clock.now(), false);
    host.sessions.removeStream(this);
  }
}
