import type { Clock } from '../common/system.js';
import type { DaemonLogger } from '../daemon/shared/logger.js';

const quote = (value: unknown): string => {
  const text = String(value);
  return text === '' || /[\s"=]/.test(text) ? JSON.stringify(text) : text;
};

/** Writes lines in the format of Go's text handler (spec 7): `time=… level=INFO msg=listening addr=…`. */
export function slog(clock: Clock, debug: boolean, write: (line: string) => void): DaemonLogger {
  return (level, message, attributes = {}) => {
    if (level === 'debug' && !debug) return;
    const time = new Date(clock.wall()).toISOString();
    const fields = Object.entries({ time, level: level.toUpperCase(), msg: message, ...attributes });
    write(`${fields.map(([name, value]) => `${name}=${quote(value)}`).join(' ')}\n`);
  };
}
