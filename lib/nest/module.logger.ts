import { Logger, type LoggerService } from '@nestjs/common';
import { isThenable } from '../common/thenables.js';
import { LOG_CONTEXT } from './shared/dflockd.constants.js';

type Level = 'log' | 'warn' | 'error' | 'debug';
export type Log = (level: Level, message: string) => void;

const ignore = (): void => {};

/**
 * Writes to the logger of the options; discards everything with `false`. Ignores errors that the logger throws. What is
 * written, and on which level, is decided in event.logger.ts.
 */
export function logTo(logger: LoggerService | false | undefined): Log {
  if (logger === false) return ignore;
  // Nest's own, named by its context: it follows app.useLogger().
  const target: LoggerService = logger ?? new Logger(LOG_CONTEXT);
  return (level, message) => {
    try {
      const outcome: unknown = target[level]?.(message, ...contextFor(target, level));
      if (isThenable(outcome)) outcome.then(ignore, ignore);
    } catch {
      // There is no one left to tell.
    }
  };
}

/**
 * The arguments after the message, as Nest's `Logger` passes them on: the context, for `error` after the stack. None
 * for a logger with a context, since `Logger` and `ConsoleLogger` would print another as a further message, or in place
 * of theirs.
 */
function contextFor(target: LoggerService, level: Level): unknown[] {
  const { context } = target as { context?: unknown };
  if (typeof context === 'string' && context !== '') return [];
  return level === 'error' ? [undefined, LOG_CONTEXT] : [LOG_CONTEXT];
}
