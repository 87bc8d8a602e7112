import type { Duplex } from 'node:stream';
import type { Alarm } from '../../common/alarms.js';
import type { Ms } from '../../common/system.js';
import type { Woken } from '../../core/driver.js';
import type { ScheduledWork } from '../fairness/request-scheduler.js';
import type { SessionHost } from './session-host.js';
import type { SessionState } from './session-state.js';
import type { Asker } from '../fairness/stats-desk.js';
import type { SharedText } from '../fairness/stats-pieces.js';
import { TimedSession } from './timed-session.js';
import type { DeferredWriter } from '../fairness/reply-batch.js';

/**
 * Every entry point of a session. An error ends only this session and is logged: no input of a client may end the
 * daemon, or the application that embeds it.
 */
export abstract class ContainedSession
  extends TimedSession
  implements Woken, Alarm, DeferredWriter, ScheduledWork, Asker
{
  due: Ms = Infinity;
  slot = -1;
  /** Whether the driver is going to resume it. */
  private woken = false;
  /** Whether a signal waits to be written to it. */
  private hears = false;

  constructor(
    protected readonly stream: Duplex,
    protected readonly host: SessionHost,
    readonly peer: string,
    state: SessionState,
  ) {
    super(state, host.driver.clock.now(), host.readTimeoutMs);
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

  /** Woken: the engine has answered. */
  resume(now: Ms): void {
    this.woken = false;
    try {
      this.onWake(now);
    } catch (error) {
      this.fail(error);
    }
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
    try {
      this.onSlice(now, sliceMs);
    } catch (error) {
      this.fail(error);
    }
  }

  /** Asker */
  tell(text: SharedText | undefined): void {
    this.contain(() => this.onText(text));
  }

  /**
   * Alarm. Deadlines are lazy: a session does not move its alarm with every line, but checks its deadlines when the
   * alarm rings. Before it does, the sockets are read once more.
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
  protected abstract onWake(now: Ms): void;
  protected abstract onTurnEnd(now: Ms): void;
  protected abstract onSlice(now: Ms, sliceMs: Ms): void;
  protected abstract onText(text: SharedText | undefined): void;
  protected abstract judge(seen: Ms): void;

  protected wake(): void {
    if (this.woken) return;
    this.woken = true;
    this.host.driver.wake(this);
  }

  /** Wakes the session when it is its turn to receive signals. */
  protected wakeForPush(): void {
    if (this.hears) return;
    this.hears = true;
    this.host.pushes.do(this.heard);
  }

  /** Ends the session, whatever it is doing. */
  protected readonly ends = (): void => this.contain(() => this.drop());

  private readonly heard = (): void => {
    this.hears = false;
    this.wake();
  };

  protected getInLine(): void {
    if (this.continued) return;
    this.continued = true;
    this.host.scheduler.add(this);
  }

  /** Makes sure that deadlines are checked by `due`. */
  protected lookBy(due: Ms): void {
    if (due === Infinity || (this.slot >= 0 && this.due <= due)) return;
    this.host.alarms.set(this, due);
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
