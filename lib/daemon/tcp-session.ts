import type { Duplex } from 'node:stream';
import type { Alarm } from '../common/alarms.js';
import type { Ms } from '../common/system.js';
import type { Woken } from '../core/driver.js';
import type { Session } from '../core/session.js';
import type { Answer, OpId, SessionSink } from '../core/types.js';
import { AUTH_CLOSE_DELAY_MS, BLOCKED_TAIL_CAP } from '../protocol/limits.js';
import type { Reply, Request } from '../protocol/messages.js';
import { encodePush, encodeReply } from '../protocol/reply-encoder.js';
import { RequestDecoder } from '../protocol/request-decoder.js';
import { type Continued, REQUESTS_AT_ONCE, weightOf } from './continuations.js';
import { isSecret } from './credentials.js';
import { Outbox } from './outbox.js';
import { closesCleanly } from './plain-tcp.js';
import type { SessionHost } from './session-host.js';
import { TimedSession } from './timed-session.js';
import type { Talker } from './turn.js';

/** How long a peer may take to read the last line where no write timeout is set. */
const LAST_LINE_MS: Ms = 5_000;

/** Bytes that may wait to be executed before no more are read. */
const UNREAD = 64 * 1024;

/** One client on a byte stream: requests in strict order, one reply each (spec 1). */
export class TcpSession extends TimedSession implements SessionSink, Woken, Alarm, Talker, Continued {
  due: Ms = Infinity;
  slot = -1;

  private readonly session: Session;
  private readonly decoder = new RequestDecoder();
  private readonly outbox: Outbox;
  private op: OpId = 0;
  private answered = false;
  private evicted = false;
  /** The peer has said that it will send no more. */
  private ended = false;
  /** Its replies are written at the end of this turn. */
  private talks = false;

  constructor(
    private readonly stream: Duplex,
    private readonly host: SessionHost,
    readonly peer: string,
  ) {
    super(host.authToken ? 'auth' : 'ready', host.driver.clock.now(), host.readTimeoutMs);
    this.session = host.driver.engine.open(this, peer);
    this.outbox = new Outbox(stream, host.writeTimeoutMs);
    this.lookBy(this.nextDeadline());
    stream.on('data', (chunk: Buffer) => this.onData(chunk));
    stream.on('end', () => host.endings.do(() => this.onEnd()));
    stream.on('drain', () => this.onDrain());
    stream.on('error', () => this.drop());
    stream.on('close', () => this.drop());
  }

  /** SessionSink. A reply to a blocked command: its later requests are taken up by `resume`. */
  reply(_op: OpId, answer: Answer): void {
    this.answered = true;
    this.outbox.add(encodeReply(answer as Reply));
    if (this.state !== 'blocked') return;
    this.state = 'ready';
    this.host.driver.wake(this);
  }

  /** SessionSink. */
  push(channel: string, payload: string): boolean {
    if (!this.outbox.addFrame(encodePush({ channel, payload }))) return false;
    this.host.driver.wake(this);
    return true;
  }

  /** SessionSink. */
  evict(): void {
    this.evicted = true;
    this.host.driver.wake(this);
  }

  /** Woken: the engine had something to say. */
  resume(now: Ms): void {
    if (this.state === 'closed' || this.state === 'leaving') return;
    if (this.evicted) return this.drop();
    if (this.state === 'ready') this.lineSince = now;
    this.run(now);
  }

  /** Ends the connection without a word. */
  drop(): void {
    if (this.state === 'closed') return;
    this.release(this.host.driver.clock.now());
    this.state = 'closed';
    this.host.alarms.cancel(this);
    this.stream.destroy();
    this.host.driver.touch();
  }

  /**
   * Alarm. Deadlines are lazy: a session that lives on does not move its alarm with every line, but looks again when it
   * rings. Before anything is judged, the sockets are read once more.
   */
  ring(seen: Ms): void {
    const { driver, endings } = this.host;
    driver.clock.afterPoll(() =>
      endings.do(() => {
        this.judge(seen);
        driver.touch();
      }),
    );
  }

  private onData(chunk: Buffer): void {
    if (this.state === 'closed' || this.state === 'leaving') return;
    const now = this.host.driver.clock.now();
    this.decoder.push(chunk.toString('latin1'));
    if (this.state === 'blocked') this.watchTail(now);
    else this.execute(now);
    const { driver, turn } = this.host;
    // Those first who have waited for what this one has just released.
    driver.resumeWoken();
    if (this.continued && this.decoder.unread >= UNREAD) this.stream.pause();
    if (this.talks || this.continued) return;
    this.talks = turn.defers(this);
    if (this.talks) return;
    this.speak(now);
    driver.touch();
  }

  /** Talker. */
  speak(now: Ms): void {
    this.talks = false;
    if (this.state !== 'closed') this.settle(now);
  }

  private onEnd(): void {
    this.ended = true;
    // Since 1.15 a peer that closes while it waits is gone, half-closed or not (spec 1.7).
    if (this.state === 'blocked') return this.drop();
    if (this.state === 'closed' || this.state === 'leaving') return;
    this.run(this.host.driver.clock.now());
    this.host.driver.touch();
  }

  private onDrain(): void {
    if (this.state !== 'choked') return;
    this.state = 'ready';
    this.stream.resume();
    const now = this.host.driver.clock.now();
    this.lineSince = now;
    this.run(now);
    this.host.driver.touch();
  }

  /** Executes what can be executed, then writes all replies at once. */
  private run(now: Ms): void {
    this.execute(now);
    this.settle(now);
  }

  /** Continued. Nobody is written to before all that has come is executed, or the outbox is full. */
  proceed(now: Ms, sliceMs: Ms): void {
    this.continued = false;
    if (this.state === 'closed' || this.state === 'leaving') return;
    this.execute(now, sliceMs);
    if (this.continued) return;
    if (this.state !== 'choked' && this.stream.isPaused()) this.stream.resume();
    this.settle(now);
  }

  private execute(now: Ms, sliceMs?: Ms): void {
    const { completed } = this.decoder;
    let weight = 0;
    while (this.isOpen && !this.continued) {
      const frame = this.decoder.next();
      if (frame === 'more') {
        if (this.ended) this.farewell(now);
        break;
      }
      this.take(frame, now);
      if (this.outbox.isFull) this.write(now);
      weight += weightOf(frame);
      if (weight < REQUESTS_AT_ONCE) continue;
      weight = 0;
      const { continuations } = this.host;
      if (this.isOpen && continuations.isOver(now, sliceMs)) {
        this.continued = true;
        continuations.add(this);
      }
    }
    if (this.decoder.completed !== completed) this.lineSince = now;
  }

  private settle(now: Ms): void {
    this.write(now);
    this.lookBy(this.nextDeadline());
  }

  private take(frame: Request | 'malformed' | 'too_long', now: Ms): void {
    if (this.state === 'auth') return this.authenticate(frame, now);
    if (frame === 'malformed') return this.outbox.add('error\n');
    if (frame === 'too_long') return this.refuse('error', now);
    const { engine } = this.host.driver;
    if (engine.draining) return this.refuse('draining', now);
    switch (frame.t) {
      case 'ping':
        return this.outbox.add('ok\n');
      case 'auth':
        return this.outbox.add('error\n');
      case 'stats':
        return this.outbox.add(encodeReply({ s: 'stats', json: engine.stats(this.host.connections, now) }));
      default:
        this.answered = false;
        engine.exec(this.session, ++this.op, frame, now);
        if (!this.answered) this.block(now);
    }
  }

  /** The first request must be `auth`; whatever else it is, the comparison takes its time (spec 2). */
  private authenticate(frame: Request | 'malformed' | 'too_long', now: Ms): void {
    const said = typeof frame === 'object' && frame.t === 'auth' ? frame.token : undefined;
    if (!isSecret(said, this.host.authToken!)) return this.refuse('auth', now);
    this.state = 'ready';
    this.outbox.add('ok\n');
  }

  private block(now: Ms): void {
    // The peer closed before this was its turn; no other `end` will come.
    if (this.ended) return this.drop();
    this.state = 'blocked';
    this.blockedSince = now;
    this.watchTail(now);
  }

  /** Too much behind a command that really blocks kills the connection (spec 1.7). */
  private watchTail(now: Ms): void {
    if (this.decoder.unread < BLOCKED_TAIL_CAP) return;
    if (now >= this.graceEnd) this.drop();
    else this.lookBy(this.graceEnd);
  }

  /** The peer will send no more, and all it asked has been answered. */
  private farewell(now: Ms): void {
    if (this.state === 'auth') this.refuse('auth', now);
    else if (this.decoder.overlong) this.refuse('error', now);
    else this.leave(now, 0);
  }

  private refuse(status: 'error' | 'auth' | 'draining', now: Ms): void {
    // Who only looks whether the port is open is no intruder.
    if (status === 'auth' && (!this.ended || this.decoder.completed > 0)) this.host.unauthenticated(this.peer);
    this.outbox.add(encodeReply({ s: status }));
    this.leave(now, status === 'auth' ? AUTH_CLOSE_DELAY_MS : 0);
  }

  /** What is in the outbox is the last word. The locks go at once; nothing more is read. */
  private leave(now: Ms, delayMs: Ms): void {
    this.release(now);
    this.state = 'leaving';
    this.leaveAt = now + (delayMs || this.host.writeTimeoutMs || LAST_LINE_MS);
    this.write(now);
    // Nothing of the peer's is unread then, which would turn the end into a reset.
    if (this.ended && delayMs === 0 && closesCleanly(this.stream)) return this.drop();
    if (delayMs === 0) this.stream.end(() => this.drop());
    this.lookBy(this.leaveAt);
  }

  private write(now: Ms): void {
    this.outbox.flush(now);
    if (this.state !== 'ready' || !this.outbox.isFull) return;
    this.state = 'choked';
    this.stream.pause();
  }

  private release(now: Ms): void {
    this.host.driver.engine.close(this.session, now, this.host.autoRelease);
  }

  /** Something may be over by `due`. */
  private lookBy(due: Ms): void {
    if (due === Infinity || (this.slot >= 0 && this.due <= due)) return;
    this.host.alarms.set(this, due);
  }

  private judge(seen: Ms): void {
    const due = this.nextDeadline();
    if (due > seen) return this.lookBy(due);
    const now = this.host.driver.clock.now();
    if (this.lineDue <= seen) {
      return this.refuse(this.state === 'auth' ? 'auth' : 'error', now);
    }
    if (this.outbox.due > seen || !this.outbox.progress(now)) return this.drop();
    this.lookBy(this.nextDeadline());
  }

  private nextDeadline(): Ms {
    return this.dueBy(this.outbox.due, this.decoder.unread);
  }
}
