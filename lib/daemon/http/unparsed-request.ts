import type { Asked } from './layers.js';

const HEAD_CAP = 64 * 1024;
const LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\S+) HTTP\/1\.[01]\r?\n/;

/**
 * The head of a request whose method Node's parser does not know; it is collected from the chunks that the parser has
 * refused.
 */
export class UnparsedRequest {
  private text = '';

  /** @returns the request; undefined if its head is not complete, or is none */
  add(chunk: Buffer, peer: string): Asked | 'more' | undefined {
    this.text += chunk.toString('latin1');
    const end = /\r?\n\r?\n/.exec(this.text);
    if (!end) return this.text.length > HEAD_CAP ? undefined : 'more';
    const [head, method, url] = LINE.exec(this.text) ?? [];
    if (method === undefined || url === undefined) return undefined;
    const fields = new Map<string, string>();
    for (const line of this.text.slice(head!.length, end.index).split(/\r?\n/)) {
      const colon = line.indexOf(':');
      const name = line.slice(0, Math.max(colon, 0)).toLowerCase();
      if (name !== '' && !fields.has(name)) fields.set(name, line.slice(colon + 1).trim());
    }
    return { method, url, base: '', peer, header: (name) => fields.get(name) };
  }
}
