import type { Asked } from './layers.js';

const HEAD_CAP = 64 * 1024;
const HEAD_END = /\r?\n\r?\n/;
const LONGEST_END = 3;
const LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\S+) HTTP\/1\.[01]\r?\n/;

/**
 * The head of a request whose method Node's parser does not know; it is collected from the chunks that the parser has
 * refused.
 */
export class UnparsedRequest {
  private text = '';
  /** The end of it, in which the end of the head may have begun. */
  private recent = '';
  /** Its first line is complete. */
  private hasLine = false;
  /** It has been returned. */
  private isComplete = false;

  /** @returns the request; undefined if its head is not complete, or is none */
  add(chunk: Buffer, peer: string): Asked | 'more' | undefined {
    // A body, or other requests: the answer to the first ends the connection.
    if (this.isComplete) return 'more';
    const text = chunk.toString('latin1');
    // Only what is new is searched: a head may come byte by byte.
    const mayEnd = HEAD_END.test(this.recent + text);
    this.recent = (this.recent + text).slice(-LONGEST_END);
    this.text += text;
    const end = mayEnd ? HEAD_END.exec(this.text) : null;
    if (!end) return this.isRefusedWith(text) ? undefined : 'more';
    const [head, method, url] = LINE.exec(this.text) ?? [];
    if (method === undefined || url === undefined) return undefined;
    const fields = new Map<string, string>();
    for (const line of this.text.slice(head!.length, end.index).split(/\r?\n/)) {
      const colon = line.indexOf(':');
      const name = line.slice(0, Math.max(colon, 0)).toLowerCase();
      if (name !== '' && !fields.has(name)) fields.set(name, line.slice(colon + 1).trim());
    }
    this.isComplete = true;
    return { method, url, base: '', peer, header: (name) => fields.get(name) };
  }

  /** Whether what has come so far cannot become the head of a request. */
  private isRefusedWith(text: string): boolean {
    if (this.text.length > HEAD_CAP) return true;
    if (this.hasLine || !text.includes('\n')) return false;
    this.hasLine = true;
    return !LINE.test(this.text);
  }
}
