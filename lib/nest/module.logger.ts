import { Logger, type LoggerService } from '@nestjs/common';
import { isThenable } from '../common/thenables.js';
import { LOG_CONTEXT } from './shared/dflockd.constants.js';

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
