import { openSync, writeSync } from 'node:fs';
import { STALL_NS } from './evidence.js';
import { nanos } from './time.js';

const FLUSH_EVERY_MS = 3;
const FLUSH_AT_CHARS = 32_768;

/**
 * A log of events, one short line each: a code, nanoseconds, fields. Written synchronously every few milliseconds, so
 * that a process that is killed has told all but its last moments: `f` tells until when it is complete. Also notes when
 * the process did not run (`s from to`).
 */
export class LogWriter {
  private readonly file: number;
  private text = '';
  private lastTick = nanos();

  constructor(path: string) {
    this.file = openSync(path, 'a');
    setInterval(() => this.tick(), FLUSH_EVERY_MS);
  }

  /** @param at nanoseconds */
  add(code: string, at: number, ...fields: readonly (string | number)[]): void {
    this.text += fields.length === 0 ? `${code} ${at}\n` : `${code} ${at} ${fields.join(' ')}\n`;
    if (this.text.length >= FLUSH_AT_CHARS) this.flush();
  }

  flush(): void {
    if (this.text === '') return;
    writeSync(this.file, `${this.text}f ${nanos()}\n`);
    this.text = '';
  }

  private tick(): void {
    const now = nanos();
    if (now - this.lastTick > STALL_NS) this.add('s', this.lastTick, now);
    this.lastTick = now;
    this.flush();
  }
}
