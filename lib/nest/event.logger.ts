import { type Clock, systemClock } from '../common/system.js';
import type { LockNotice } from '../locks/events/events.js';
import { MESSAGES } from './shared/dflockd.messages.js';
import { LossLogger } from './loss.logger.js';
import type { Log } from './module.logger.js';

/** Receives the notices of a client. */
export interface EventLogger {
  next(event: LockNotice): void;
  complete(): void;
}

/** Turns notices into log lines: each transition of a connection once, and losses that come together in one line. */
export function eventLogger(log: Log, clock: Clock = systemClock): EventLogger {
  const down = new Set<string>();
  const losses = new LossLogger(log, clock);
  const next = (event: LockNotice): void => {
    switch (event.type) {
      case 'connected':
        down.delete(event.server);
        return log('log', MESSAGES.connected(event.server));
      case 'disconnected':
        if (down.has(event.server)) return;
        down.add(event.server);
        return log('warn', MESSAGES.disconnected(event.server, event.error));
      case 'degraded':
        return log('warn', MESSAGES.degraded(event.server, event.detail));
      case 'lost':
        return losses.add(event);
      case 'skipped':
        return log('debug', MESSAGES.skipped(event.keys));
    }
  };
  return { next, complete: () => losses.flush() };
}
