import type { Clock, Ms, Timer } from '../../common/system.js';
import { isThenable } from '../../common/thenables.js';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Receives the log of a daemon; the library itself prints nothing. Errors that the logger throws are ignored. */
export type DaemonLogger = (level: LogLevel, message: string, attributes?: Readonly<Record<string, unknown>>) => void;

export const silent: DaemonLogger = () => {};

const ignore = (): void => {};

/** A logger that never throws and leaves no rejection unhandled: a daemon must survive a failing log. */
export const harmless =
  (logger: DaemonLogger): DaemonLogger =>
  (level, message, attributes) => {
    try {
      const outcome: unknown = logger(level, message, attributes);
      // It may be a promise of another realm.
      if (isThenable(outcome)) outcome.then(ignore, ignore);
    } catch {
      // There is nowhere left to report it.
    }
  };

/** The least time between two lines with the same message. */
const QUIET_MS: Ms = 1000;

interface Quiet {
  count: number;
  level: LogLevel;
  attributes: Readonly<Record<string, unknown>>;
  timer: Timer;
}

/** For messages that peers can trigger at will: at most one line a second per message, with a count. */
export class SparseLog {
  private readonly quiet = new Map<string, Quiet>();

  constructor(
    private readonly log: DaemonLogger,
    private readonly clock: Clock,
  ) {}

  /** Logs the first occurrence at once, and those of the following second as one line with the newest attributes. */
  tell(level: LogLevel, message: string, attributes: Readonly<Record<string, unknown>> = {}): void {
    const quiet = this.quiet.get(message);
    if (quiet) Object.assign(quiet, { count: quiet.count + 1, level, attributes });
    else this.say(level, message, attributes, 1);
  }

  /** Logs what has been counted. */
  flush(): void {
    for (const [message, quiet] of this.quiet) {
      this.clock.clearTimer(quiet.timer);
      if (quiet.count > 0) this.log(quiet.level, message, { ...quiet.attributes, count: quiet.count });
    }
    this.quiet.clear();
  }

  private say(level: LogLevel, message: string, attributes: Readonly<Record<string, unknown>>, count: number): void {
    const timer = this.clock.setTimer(() => this.over(message), QUIET_MS);
    this.quiet.set(message, { count: 0, level, attributes, timer });
    this.log(level, message, { ...attributes, count });
  }

  private over(message: string): void {
    const { level, attributes, count } = this.quiet.get(message)!;
    this.quiet.delete(message);
    if (count > 0) this.say(level, message, attributes, count);
  }
}
