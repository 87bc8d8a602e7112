import type { Duplex } from 'node:stream';
import type { Ms } from '../../common/system.js';
import type { Session } from '../../core/session.js';
import type { Answer, OpId, SessionSink } from '../../core/types.js';
import { AUTH_CLOSE_DELAY_MS, BLOCKED_TAIL_CAP } from '../../protocol/limits.js';
import type { Reply, Request } from '../../protocol/messages.js';
import { encodePush, encodeReply } from '../../protocol/reply-encoder.js';
import { RequestDecoder } from '../../protocol/request-decoder.js';
import { REQUESTS_AT_ONCE, UNREAD_BYTES, weightOf } from '../fairness/request-scheduler.js';
import { isLogin } from '../shared/credentials.js';
import { Outbox } from './outbox.js';
import { closesCleanly } from './plain-tcp.js';
import type { SessionHost } from './session-host.js';
import type { SharedText } from '../fairness/stats-pieces.js';
import { TimedSession } from './timed-session.js';

const ERROR: Answer = { s: 'error' };

/** One client on a byte stream: requests in strict order, one reply each (spec 1). */
export class TcpSession extends TimedSession implements SessionSink {
  private readonly session: Session;
  private readonly decoder = new RequestDecoder();
  private readonly outbox: Outbox;
  private op: OpId = 0;
  private answered = false;
  private evicted = false;
  /** The peer has closed its side and will send no more. */
  private ended = false;
  /** Whether its replies are written at the end of this turn. */
  private talks = false;
  /** Whether reading is paused, because enough waits to be executed. */
  private held = false;

  constructor(stream: Duplex, host: SessionHost, peer: string) {
    super(stream, host, peer, host.authToken ? 'auth' : 'ready');
    this.session = host.driver.engine.open(this, peer);
    this.outbox = new Outbox(stream, host.writeTimeoutMs, host.signalMemory);
    this.lookBy(this.nextDeadline());
  }

  /** SessionSink. After the reply to a command that waited, `onWake` executes later requests. */
  reply(_op: OpId, answer: Answer): void {
    this.answered = true;
    this.outbox.add(encodeReply(answer as Reply));
    if (this.state !== 'blocked' && this.state !== 'busy') return;
    this.to('answer');
    this.wake();
  }

  /** SessionSink. */
  push(channel: string, payload: string): boolean {
    try {
      if (this.evicted || !this.outbox.addFrame(encodePush(channel, payload))) return false;
      this.wakeForPush();
      return true;
    } catch {
      return false; // The publisher must not fail.
    }
  }

  /** SessionSink. */
  evict(): void {
    if (this.evicted) return;
    this.evicted = true;
    this.wake();
  }

  drop(): void {
    if (this.state === 'closed') return;
    const hasReleased = this.state === 'leaving';
    this.to('end');
    this.host.alarms.cancel(this);
    this.host.stats.leave(this);
    this.outbox.abandon();
    this.stream.destroy();
    if (!hasReleased) this.release(this.host.driver.clock.now());
    this.host.driver.touch();
  }

  protected onWake(now: Ms): void {
    if (this.state === 'closed' || this.state === 'leaving') return;
    if (this.evicted) return this.host.endings.do(() => this.contain(() => this.cutOff()));
    if (this.state === 'ready') this.lineSince = now;
    this.run(now);
  }

  protected onData(chunk: Buffer): void {
    if (this.state === 'closed' || this.state === 'leaving') return;
    const now = this.host.driver.clock.now();
    this.decoder.push(chunk.toString('latin1'));
    if (this.state === 'blocked') this.watchTail(now);
    else this.execute(now);
    const { driver, replyBatch } = this.host;
    // Sessions that waited for what this one has just released come first.
    driver.resumeWoken();
    if ((this.continued || this.state === 'busy') && this.decoder.unread >= UNREAD_BYTES) {
      this.held = true;
      this.stream.pause();
    }
    if (this.talks || this.continued) return;
    this.talks = replyBatch.defers(this);
    if (this.talks) return;
    this.speak(now);
    driver.touch();
  }

  protected onTurnEnd(now: Ms): void {
    this.talks = false;
    if (this.state !== 'closed') this.settle(now);
  }

  protected onEnd(): void {
    this.ended = true;
    // Since 1.15 a peer that closes while it waits is gone, half-closed or not (spec 1.7).
    if (this.state === 'blocked') return this.drop();
    if (this.state === 'closed' || this.state === 'leaving') return;
    this.run(this.host.driver.clock.now());
    this.host.driver.touch();
  }

  protected onDrain(): void {
    if (this.outbox.isPouring) return this.joinQueue();
    if (this.state !== 'choked') return;
    this.to('drain');
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

  /** Writes nothing before all received requests are executed, or the outbox is full. */
  protected onSlice(now: Ms, sliceMs: Ms): void {
    if (this.state === 'closed' || this.state === 'leaving') return;
    if (this.outbox.isPouring && !this.pour(now, sliceMs)) return;
    this.execute(now, sliceMs);
    if (!this.continued) this.settle(now);
  }

  protected onText(text: SharedText | undefined): void {
    if (!text) return this.reply(this.op, ERROR);
    this.outbox.begin(text);
    this.joinQueue();
  }

  /** Returns whether the long text is written, and requests are executed again. */
  private pour(now: Ms, sliceMs: Ms): boolean {
    const poured = this.outbox.pour(this.host.driver.clock, now + sliceMs);
    if (poured === 'more') this.joinQueue();
    if (poured === 'waits') this.lookBy(this.nextDeadline());
    if (poured !== 'done') return false;
    this.to('answer');
    this.lineSince = now;
    return true;
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
      const { scheduler } = this.host;
      if (this.isOpen && scheduler.isOver(now, sliceMs)) this.joinQueue();
    }
    if (this.decoder.completed !== completed) this.lineSince = now;
  }

  private settle(now: Ms): void {
    this.write(now);
    if (this.held && !this.continued && this.state !== 'busy') {
      this.held = false;
      if (this.state !== 'choked') this.stream.resume();
    }
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
        return this.tellStats(now);
      default:
        this.answered = false;
        engine.exec(this.session, ++this.op, frame, now);
        if (this.answered) return;
        // Delivering a signal in portions is not a wait, in which a client may leave.
        if (frame.t === 'signal') this.to('work');
        else this.block(now);
    }
  }

  private tellStats(now: Ms): void {
    const json = this.host.stats.ask(this, now);
    if (json === undefined) this.to('work');
    else this.outbox.add(encodeReply({ s: 'stats', json }));
  }

  /** The first request must be `auth`; any other takes the same time to compare (spec 2). */
  private authenticate(frame: Request | 'malformed' | 'too_long', now: Ms): void {
    if (!isLogin(frame, this.host.authToken!)) return this.refuse('auth', now);
    this.to('login');
    this.outbox.add('ok\n');
  }

  private block(now: Ms): void {
    // The peer closed before this request was executed; there will be no other `end` event.
    if (this.ended) return this.drop();
    this.to('block');
    this.blockedSince = now;
    this.watchTail(now);
  }

  /** Closes the connection if too many bytes follow a command that really blocks (spec 1.7). */
  private watchTail(now: Ms): void {
    if (this.decoder.unread < BLOCKED_TAIL_CAP) return;
    if (now >= this.graceEnd) this.drop();
    else this.lookBy(this.graceEnd);
  }

  /** Ends the session: the peer will send no more, and all its requests have been answered. */
  private farewell(now: Ms): void {
    if (this.state === 'auth') this.refuse('auth', now);
    else if (this.decoder.overlong) this.refuse('error', now);
    else this.leave(now, 0);
  }

  private refuse(status: 'error' | 'auth' | 'draining', now: Ms): void {
    // A client that only checks whether the port is open is not an intruder.
    if (status === 'auth' && (!this.ended || this.decoder.completed > 0)) {
      this.host.log('warn', 'authentication failed', { peer: this.peer });
    }
    this.outbox.add(encodeReply({ s: status }));
    this.leave(now, status === 'auth' ? AUTH_CLOSE_DELAY_MS : 0);
  }

  /** Releases the locks at once, sends what is in the outbox, and reads nothing more. */
  private leave(now: Ms, delayMs: Ms): void {
    this.release(now);
    this.to('leave');
    this.leaveAt = this.lastLineDue(now, delayMs, this.host.writeTimeoutMs);
    this.write(now);
    // Nothing from the peer is unread then; unread data would turn the close into a reset.
    if (this.ended && delayMs === 0 && closesCleanly(this.stream)) return this.drop();
    if (delayMs === 0) this.stream.end(() => this.drop());
    this.lookBy(this.leaveAt);
  }

  private write(now: Ms): void {
    this.outbox.flush(now);
    if (this.state !== 'ready' || !this.outbox.isFull) return;
    this.to('choke');
    this.stream.pause();
  }

  private release(now: Ms): void {
    this.host.driver.engine.close(this.session, now, this.host.autoRelease);
  }

  protected judge(seen: Ms): void {
    const due = this.nextDeadline();
    if (due > seen) return this.lookBy(due);
    const now = this.host.driver.clock.now();
    if (this.lineDue <= seen) {
      return this.refuse(this.state === 'auth' ? 'auth' : 'error', now);
    }
    // Not the write timeout has passed, but too much follows the command.
    if (this.state === 'blocked' && this.outbox.due > seen) return this.drop();
    if (this.outbox.due > seen || !this.outbox.progress(now)) return this.cutOff();
    this.lookBy(this.nextDeadline());
  }

  private nextDeadline(): Ms {
    return this.dueBy(this.outbox.due, this.decoder.unread);
  }
}
