import { type Clock, systemClock } from '../common/system.js';
import type { LockLostEvent, LockNotice } from '../locks/events/events.js';
import { BundledLosses } from './bundled-losses.js';
import { MESSAGES } from './shared/dflockd.messages.js';
import type { Log } from './module.logger.js';

/** Receives the notices of a client. */
export interface EventLogger {
  next(event: LockNotice): void;
  complete(): void;
}

/** Decides what the module logs, and on which level: each transition of a connection once, losses in bundles. */
export function eventLogger(log: Log, clock: Clock = systemClock): EventLogger {
  const down = new Set<string>();
  const losses = new BundledLosses((lost) => log('error', lossText(lost)), clock);
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

function lossText(events: readonly LockLostEvent[]): string {
  if (events.length === 1) {
    const { keys, reason, heldMs, server } = events[0]!;
    return MESSAGES.lost(keys, reason, heldMs, server);
  }
  const reasons = new Map<string, number>();
  for (const { reason } of events) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  const keys = events.flatMap((event) => event.keys);
  return MESSAGES.manyLost(events.length, keys, reasons, [...new Set(events.map(({ server }) => server))]);
}
