import { LINE_CAP, LONG_LINE_CAP } from './limits.js';
import type { Request } from './messages.js';
import { parseRequest } from './request-parser.js';

/** Instead of a request: `more` bytes are needed; three lines without meaning; a line over its cap has ended. */
export type NotARequest = 'more' | 'malformed' | 'too_long';

const LF = '\n';
const CR = 0x0d;

/** The third lines that may be long (spec 1.2); the cap is chosen by an exact match of the first. */
const capOfArgument = (command: string): number =>
  command === 'auth' || command === 'signal' ? LONG_LINE_CAP : LINE_CAP;

const withoutTrailingCr = (line: string): string => {
  let end = line.length;
  while (end > 0 && line.charCodeAt(end - 1) === CR) end--;
  return end === line.length ? line : line.slice(0, end);
};

/**
 * The server's side of the framing (spec 1.1, 1.2): bytes are pushed as they come, split anywhere, and requests are
 * taken one at a time, so that whoever executes them can stop in between. Memory: one chunk and one line.
 */
export class RequestDecoder {
  /** Unread bytes, from `at` on. */
  private text = '';
  private at = 0;
  /** The beginning of a line whose end has not come, which is not in `text` any more. */
  private partial = '';
  private lines = 0;
  private command = '';
  private key = '';
  private cap = LINE_CAP;
  /** Lines completed since the beginning: shows whether a read deadline starts anew (spec 1.5). */
  completed = 0;
  private skipping: 'no' | 'to-its-end' | 'done' = 'no';

  push(chunk: string): void {
    this.text = this.at < this.text.length ? this.text.slice(this.at) + chunk : chunk;
    this.at = 0;
  }

  /** Bytes behind the request that was taken last. */
  get unread(): number {
    return this.text.length - this.at;
  }

  /** A line has grown over its cap; nothing is interpreted any more (spec 1.2). */
  get overlong(): boolean {
    return this.skipping !== 'no';
  }

  next(): Request | NotARequest {
    for (;;) {
      const line = this.nextLine();
      if (line === undefined) return this.skipping === 'done' ? 'too_long' : 'more';
      this.completed++;
      if (this.lines === 0) {
        this.command = line;
        this.lines = 1;
      } else if (this.lines === 1) {
        this.key = line;
        this.lines = 2;
        this.cap = capOfArgument(this.command);
      } else {
        this.lines = 0;
        this.cap = LINE_CAP;
        return parseRequest(this.command, this.key, line) ?? 'malformed';
      }
    }
  }

  private nextLine(): string | undefined {
    const end = this.text.indexOf(LF, this.at);
    const length = this.partial.length + (end < 0 ? this.text.length : end) - this.at;
    if (this.skipping !== 'no' || length > this.cap) return this.skip(end >= 0);
    if (end < 0) {
      this.partial += this.text.slice(this.at);
      this.dropText();
      return undefined;
    }
    const piece = this.text.slice(this.at, end);
    this.at = end + 1;
    const line = this.partial === '' ? piece : this.partial + piece;
    this.partial = '';
    return withoutTrailingCr(line);
  }

  /** What is left of an over-long line is dropped, and whatever comes after it. */
  private skip(lineEnds: boolean): undefined {
    if (lineEnds) this.skipping = 'done';
    else if (this.skipping === 'no') this.skipping = 'to-its-end';
    this.partial = '';
    this.dropText();
    return undefined;
  }

  private dropText(): void {
    this.text = '';
    this.at = 0;
  }
}
