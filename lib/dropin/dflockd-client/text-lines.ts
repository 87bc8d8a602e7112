import { StringDecoder } from 'node:string_decoder';
import { isAscii } from '../../protocol/bytes.js';

/**
 * Splits chunks into lines of text; a chunk may end anywhere, even inside a character. The cap counts UTF-16 units, as
 * in the original; the decoder in `protocol` counts bytes.
 */
export class TextLines {
  /** Complete lines that have not been taken yet. */
  private readonly lines: string[] = [];
  private partial = '';
  private waiting = 0;
  /** Created at the first non-ASCII character; almost no connection ever needs one. */
  private decoder: StringDecoder | undefined;

  /** @param cap most UTF-16 units of a line */
  constructor(public cap: number) {}

  /** UTF-16 units that have not been taken yet. */
  get unread(): number {
    return this.partial.length + this.waiting;
  }

  /** Returns false when a line exceeds the cap. */
  push(chunk: Buffer | string): boolean {
    return this.add(typeof chunk === 'string' ? chunk : this.decode(chunk));
  }

  /** Like `push`. @param bytes as latin1 */
  pushBytes(bytes: string): boolean {
    return this.add(this.decoder || !isAscii(bytes) ? this.decode(Buffer.from(bytes, 'latin1')) : bytes);
  }

  private decode(chunk: Buffer): string {
    this.decoder ??= new StringDecoder('utf8');
    return this.decoder.write(chunk);
  }

  private add(text: string): boolean {
    let at = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', at)) {
      const piece = text.slice(at, end);
      const line = this.partial === '' ? piece : this.partial + piece;
      this.partial = '';
      if (line.length > this.cap) return false;
      this.lines.push(line.endsWith('\r') ? line.slice(0, -1) : line);
      this.waiting += this.lines.at(-1)!.length;
      at = end + 1;
    }
    if (at < text.length) this.partial += at === 0 ? text : text.slice(at);
    return this.partial.length <= this.cap;
  }

  /** Takes the oldest complete line. */
  take(): string | undefined {
    const line = this.lines.shift();
    if (line !== undefined) this.waiting -= line.length;
    return line;
  }
}
