import { Logger, type LoggerService } from '@nestjs/common';
import type { LockNotice } from '../locks/events.js';
import { LOG_CONTEXT } from './dflockd.constants.js';
import { MESSAGES } from './dflockd.messages.js';

type Level = 'log' | 'warn' | 'error' | 'debug';
export type Log = (level: Level, message: string) => void;

/** Writes to the logger of the options; to nothing with `false`. What a logger throws costs a line, not a lock. */
export function logTo(logger: LoggerService | false | undefined): Log {
  if (logger === false) return () => undefined;
  // Nest's own, named by its context: it follows app.useLogger().
  const target: LoggerService = logger ?? new Logger(LOG_CONTEXT);
  return (level, message) => {
    try {
      if (logger) target[level]?.(message, LOG_CONTEXT);
      else target[level]?.(message);
    } catch {
      // Nobody is left to be told.
    }
  };
}

/** Turns notices into lines of the log; each transition of a connection once. */
export function eventLogger(log: Log): (event: LockNotice) => void {
  const down = new Set<string>();
  return (event) => {
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
        return log('error', MESSAGES.lost(event.keys, event.reason, event.heldMs, event.server));
      case 'skipped':
        return log('debug', MESSAGES.skipped(event.keys));
    }
  };
}
