import type { Ms } from '../../common/system.js';
import type { Woken } from '../../core/driver.js';
import { ContainedSession } from '../fairness/contained-session.js';
import type { Asker } from '../fairness/stats-desk.js';
import type { SharedText } from '../fairness/stats-pieces.js';
import type { SessionHost } from './session-host.js';

/** A session that is resumed when the engine answers, a signal arrives or statistics are ready. */
export abstract class WokenSession extends ContainedSession<SessionHost> implements Woken, Asker {
  /** Whether the driver is going to resume it. */
  private woken = false;
  /** Whether a signal waits to be written to it. */
  private hears = false;

  /** Woken: the engine has answered. */
  resume(now: Ms): void {
    this.woken = false;
    try {
      this.onWake(now);
    } catch (error) {
      this.fail(error);
    }
  }

  /** Asker */
  tell(text: SharedText | undefined): void {
    this.contain(() => this.onText(text));
  }

  protected abstract onWake(now: Ms): void;
  protected abstract onText(text: SharedText | undefined): void;

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

  private readonly heard = (): void => {
    this.hears = false;
    this.wake();
  };
}
