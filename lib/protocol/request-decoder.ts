import { maySpace } from './bytes.js';
import { LINE_CAP, LONG_LINE_CAP } from './limits.js';
import type { Request } from './messages.js';
import { parseRequest, parseUsual } from './request-parser.js';

/** `more`: more bytes are needed. `malformed`: three lines that are no request. `too_long`: a line exceeded its cap. */
export type NotARequest = 'more' | 'malformed' | 'too_long';

const LF = '\n';
const LF_CODE = 0x0a;
const CR = 0x0d;
const SP = 0x20;

/** The cap of the third line (spec 1.2), chosen by an exact match of the first. */
const capOfArgument = (command: string): number =>
  command === 'auth' || command === 'signal' ? LONG_LINE_CAP : LINE_CAP;

const withoutTrailingCr = (line: string): string => {
  let end = line.length;
  while (end > 0 && line.charCodeAt(end - 1) === CR) end--;
  return end === line.length ? line : line.slice(0, end);
};

/** The index of the first byte that may be white space, LF or CR, from `at` on; -1 if there is none within LINE_CAP. */
function nextSpace(text: string, at: number): number {
  const most = Math.min(text.length, at + LINE_CAP + 1);
  for (let i = at; i < most; i++) if (maySpace(text.charCodeAt(i))) return i;
  return -1;
}

/** The index of the LF of the line that begins at `at`; -1 if other white space comes first. */
function plainLineEnd(text: string, at: number): number {
  const end = nextSpace(text, at);
  return end >= 0 && text.charCodeAt(end) === LF_CODE ? end : -1;
}

/**
 * The server side of the framing (spec 1.1, 1.2). Chunks are pushed as they arrive, split anywhere; requests are taken
 * one at a time, so that the caller can stop in between. Buffers at most one chunk and one line.
 */
export class RequestDecoder {
  /** Unread bytes, from `at` on. */
  private text = '';
  private at = 0;
  /** The beginning of an incomplete line, already removed from `text`. */
  private partial = '';
  private lines = 0;
  private command = '';
  private key = '';
  private cap = LINE_CAP;
  /** Lines completed so far. The read deadline restarts when it changes (spec 1.5). */
  completed = 0;
  private skipping: 'no' | 'to-its-end' | 'done' = 'no';

  push(chunk: string): void {
    this.text = this.at < this.text.length ? this.text.slice(this.at) + chunk : chunk;
    this.at = 0;
  }

  /** Bytes after the request taken last. */
  get unread(): number {
    return this.text.length - this.at;
  }

  /** Whether a line has exceeded its cap; nothing after it is interpreted (spec 1.2). */
  get overlong(): boolean {
    return this.skipping !== 'no';
  }

  next(): Request | NotARequest {
    if (this.lines === 0 && this.partial === '' && this.skipping === 'no') {
      const usual = this.nextUsual();
      if (usual) return usual;
    }
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

  /**
   * Takes a request of the usual shape: three complete short lines with no white space but at most one space in the
   * third. One pass over the bytes checks the shape and finds the line ends. Undefined for any other request, which is
   * not taken.
   */
  private nextUsual(): Request | 'malformed' | undefined {
    const { text, at } = this;
    const first = plainLineEnd(text, at);
    const second = first < 0 ? -1 : plainLineEnd(text, first + 1);
    if (second < 0) return undefined;
    const from = second + 1;
    let end = nextSpace(text, from);
    let space = -1;
    if (end > from && text.charCodeAt(end) === SP) {
      space = end - from;
      end = plainLineEnd(text, end + 1);
      if (end === from + space + 1) return undefined;
    }
    if (end < 0 || text.charCodeAt(end) !== LF_CODE || end - from > LINE_CAP) return undefined;
    this.at = end + 1;
    this.completed += 3;
    const key = text.slice(first + 1, second);
    return parseUsual(text.slice(at, first), key, text.slice(from, end), space) ?? 'malformed';
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

  /** Drops the rest of an over-long line, and everything after it. */
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
