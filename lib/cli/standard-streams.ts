import type { Writable } from 'node:stream';
import { type Ms, systemClock } from '../common/system.js';
import { LogSink } from './log-sink.js';
import { slog } from './slog.js';

/** How long a command that ends waits for its output to be read. */
const LAST_WORDS_MS: Ms = 1000;

/** The part of `process` that is used. */
export interface Host {
  readonly stdout: Writable;
  readonly stderr: Writable;
  exit(code: number): void;
}

/** The output of a command, and its exit; neither blocks if the output is not read. */
export function standardStreams(host: Host): {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Exits soon, even if some output is never read. */
  readonly leave: (code: number) => void;
} {
  let note = '';
  const warn = slog(systemClock, false, (line) => (note = line));
  const lost = (count: number): string => {
    warn('warn', 'log lines dropped: they could not be written', { count });
    return note;
  };
  return {
    out: new LogSink(host.stdout, () => '').write,
    err: new LogSink(host.stderr, lost).write,
    leave: (code) => void systemClock.setTimer(() => host.exit(code), LAST_WORDS_MS),
  };
}
