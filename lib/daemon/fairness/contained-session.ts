import type { Duplex } from 'node:stream';
import type { Alarm, Alarms } from '../../common/alarms.js';
import type { Ms } from '../../common/system.js';
import type { EngineDriver } from '../../core/driver.js';
import type { DaemonLogger } from '../shared/logger.js';
import { reset } from '../shared/reset.js';
import type { DeferredWriter, ReplyBatch } from './reply-batch.js';
import type { RequestScheduler, ScheduledWork } from './request-scheduler.js';
import type { TurnLimiter } from './turn-limiter.js';

/** What the sessions of a listener share with those of the other listeners of the server. */
export interface ContainedSessionHost {
  readonly driver: EngineDriver;
  readonly alarms: Alarms;
  readonly replyBatch: ReplyBatch;
  readonly scheduler: RequestScheduler;
  /** Limits sessions ended per turn, by their peers or by deadlines. */
  readonly endings: TurnLimiter;
  /** For events that clients cause: at most one line a second per message. */
  readonly log: DaemonLogger;
}

/**
 * One client on a stream: its entry points. An error ends only this session and is logged: no input of a client may end
 * the daemon, or the application that embeds it.
 */
export abstract class ContainedSession<Host extends ContainedSessionHost>
  implements Alarm, DeferredWriter, ScheduledWork
{
  due: Ms = Infinity;
  slot = -1;
  /** Whether it is in the queue of the scheduler, because received requests wait to be executed. */
  protected continued = false;

  constructor(
    protected readonly stream: Duplex,
    protected readonly host: Host,
    readonly peer: string,
  ) {
    const ended = (): void => this.contain(() => this.onEnd());
    stream.on('data', (chunk: Buffer) => {
      try {
        this.onData(chunk);
      } catch (error) {
        this.fail(error);
      }
    });
    stream.on('end', () => host.endings.do(ended));
    stream.on('drain', () => this.contain(() => this.onDrain()));
    stream.on('error', this.ends);
    stream.on('close', this.ends);
  }

  /** DeferredWriter */
  speak(now: Ms): void {
    try {
      this.onTurnEnd(now);
    } catch (error) {
      this.fail(error);
    }
  }

  /** ScheduledWork */
  proceed(now: Ms, sliceMs: Ms): void {
    this.continued = false;
    try {
      this.onSlice(now, sliceMs);
    } catch (error) {
      this.fail(error);
    }
  }

  /**
   * Alarm. Deadlines are lazy: a session does not move its alarm with every line, but checks its deadlines when the
   * alarm rings. Before it does, the sockets are read and written once more.
   */
  ring(seen: Ms): void {
    const { driver, endings } = this.host;
    const judge = (): void => {
      this.contain(() => this.judge(seen));
      driver.touch();
    };
    driver.clock.afterPoll(() => endings.do(judge));
  }

  /** Closes the connection without a reply. */
  abstract drop(): void;
  protected abstract onData(chunk: Buffer): void;
  protected abstract onEnd(): void;
  protected abstract onDrain(): void;
  protected abstract onTurnEnd(now: Ms): void;
  protected abstract onSlice(now: Ms, sliceMs: Ms): void;
  protected abstract judge(seen: Ms): void;

  /** Ends the session, whatever it is doing. */
  protected readonly ends = (): void => this.contain(() => this.drop());

  /** Ends the session of a peer that does not read. */
  protected cutOff(): void {
    reset(this.stream);
    this.drop();
  }

  /** To execute more in its next slice. */
  protected joinQueue(): void {
    if (this.continued) return;
    this.continued = true;
    this.host.scheduler.add(this);
  }

  protected contain(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.fail(error);
    }
  }

  protected fail(error: unknown): void {
    const { log } = this.host;
    const told = error instanceof Error ? error.stack : String(error);
    log('error', 'a connection failed and was closed', { peer: this.peer, err: told });
    try {
      this.drop();
    } catch (again) {
      this.stream.destroy();
      log('error', 'a connection could not be closed cleanly', { peer: this.peer, err: String(again) });
    }
  }
}
