import { Logger, type LoggerService } from '@nestjs/common';
import { type Clock, systemClock } from '../common/system.js';
import { isThenable } from '../common/thenables.js';
import type { LockNotice } from '../locks/events/events.js';
import { LOG_CONTEXT } from './shared/dflockd.constants.js';
import { MESSAGES } from './shared/dflockd.messages.js';
import { LossLogger } from './loss.logger.js';

type Level = 'log' | 'warn' | 'error' | 'debug';
export type Log = (level: Level, message: string) => void;

const ignore = (): void => {};

/** Writes to the logger of the options; to nothing with `false`. What a logger throws costs a line, not a lock. */
export function logTo(logger: LoggerService | false | undefined): Log {
  if (logger === false) return ignore;
  // Nest's own, named by its context: it follows app.useLogger().
  const target: LoggerService = logger ?? new Logger(LOG_CONTEXT);
  return (level, message) => {
    try {
      const outcome: unknown = target[level]?.(message, ...contextFor(target, level));
      if (isThenable(outcome)) outcome.then(ignore, ignore);
    } catch {
      // Nobody is left to be told.
    }
  };
}

/**
 * What follows the message, as Nest's `Logger` passes it on: the context, in `error` behind the stack. Nothing for a logger
 * that has a context, since `Logger` and `ConsoleLogger` would print another one as a further message or in place of theirs.
 */
function contextFor(target: LoggerService, level: Level): unknown[] {
  const { context } = target as { context?: unknown };
  if (typeof context === 'string' && context !== '') return [];
  return level === 'error' ? [undefined, LOG_CONTEXT] : [LOG_CONTEXT];
}

/** Who hears the notices of a client. */
export interface EventLogger {
  next(event: LockNotice): void;
  complete(): void;
}

/** Turns notices into lines of the log; each transition of a connection once, losses that come together in one line. */
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
