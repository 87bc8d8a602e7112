import { fromBytes, isAscii, toBytes } from '../bytes.js';

const LF = '\n';
const CR = 0x0d;

/** Valid UTF-8: each malformed sequence becomes U+FFFD. */
const wellFormed = (bytes: string): string => (isAscii(bytes) ? bytes : toBytes(fromBytes(bytes)));

/** Without one CR at its end. */
const withoutCr = (line: string): string =>
  line.charCodeAt(line.length - 1) === CR ? line.slice(0, line.length - 1) : line;

/**
 * Takes lines from chunks that are split anywhere, also within CR LF or a character. Lines are byte strings of valid
 * UTF-8, without their line breaks: LF or CR LF. Buffers at most one chunk and one line.
 */
export class LineDecoder {
  /** Unread bytes, from `at` on. */
  private text = '';
  private at = 0;
  /** The beginning of an incomplete line, already removed from `text`. */
  private partial = '';
  /** Whether a line has exceeded the cap. Nothing after it is taken. */
  isOverlong = false;

  /** @param cap most bytes of a line, without its line break */
  constructor(private readonly cap: number) {}

  /** @param chunk a byte string */
  push(chunk: string): void {
    if (this.isOverlong) return;
    this.text = this.at < this.text.length ? this.text.slice(this.at) + chunk : chunk;
    this.at = 0;
  }

  /** Bytes that have not been taken. */
  get unread(): number {
    return this.text.length - this.at + this.partial.length;
  }

  /** The next complete line; undefined if there is none. */
  next(): string | undefined {
    const end = this.text.indexOf(LF, this.at);
    if (end < 0) return this.keep();
    const piece = this.text.slice(this.at, end);
    this.at = end + 1;
    const line = withoutCr(this.partial === '' ? piece : this.partial + piece);
    this.partial = '';
    if (line.length > this.cap) return this.refuse();
    return wellFormed(line);
  }

  /** The last line, if it has no line break: nothing more will be pushed. Undefined if it is empty. */
  last(): string | undefined {
    const line = withoutCr(this.partial);
    this.partial = '';
    if (line === '') return undefined;
    return line.length > this.cap ? this.refuse() : wellFormed(line);
  }

  private keep(): undefined {
    if (this.at < this.text.length) this.partial += this.text.slice(this.at);
    this.text = '';
    this.at = 0;
    // A CR may still turn out to belong to the line break.
    if (this.partial.length > this.cap + 1) this.refuse();
    return undefined;
  }

  private refuse(): undefined {
    this.isOverlong = true;
    this.text = this.partial = '';
    this.at = 0;
    return undefined;
  }
}
