import { describe, expect, it } from '@jest/globals';
import { IN_METHOD, IN_TARGET, UnfinishedLine } from '../../../../lib/daemon/http/exchange/unfinished-line.js';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

describe('the line that a client has not finished', () => {
  /** Where the request begins that is refused behind `taken` in the last chunk. */
  function startOf(chunks: string[], taken: string, part: RegExp): string {
    const line = new UnfinishedLine();
    for (const chunk of chunks.slice(0, -1)) line.add(bytes(chunk));
    return line.startOf(bytes(chunks.at(-1)!), taken.length, part).toString('latin1');
  }

  it.each([
    [['GET /\xff HTTP/1.1\r\n'], 'GET /', 'GET /\xff HTTP/1.1\r\n'],
    [['GET /', '\xff HTTP/1.1\r\n'], '', 'GET /\xff HTTP/1.1\r\n'],
    [['G', 'ET ', '/a', '/\xff'], '/', 'GET /a/\xff'],
    [['GET / HTTP/1.1\r\nA: b\r\n\r\nGE', 'T /\xff'], 'T /', 'GET /\xff'],
    [['GET / HTTP/1.1\r\nA: b\r\n\r\n', 'PUT /\xff'], 'PUT /', 'PUT /\xff'],
    [['{"a": "b c"}PUT /x', '/\xff'], '/', 'PUT /x/\xff'],
    // A body that ends as a method may.
    [['x\r\n\r\nABCPOST /\xff'], 'x\r\n\r\nABCPOST /', 'POST /\xff'],
    [['GET', 'GET /x', '\xff'], '', 'GET /x\xff'],
    [['GET /', 'UN', 'LOCK /\xff'], 'LOCK /', 'UNLOCK /\xff'],
  ])('has the beginning of a target: %j, then refused', (chunks, taken, start) => {
    expect(startOf(chunks, taken, IN_TARGET)).toBe(start);
  });

  it.each([
    [['BREW / HTTP/1.1\r\n'], 'B', 'BREW / HTTP/1.1\r\n'],
    [['M', 'UNCH /'], '', 'MUNCH /'],
    [['{"a": 1}B', 'REW /'], '', 'BREW /'],
    [['x\r\n\r\n{"a": 1}brew /'], 'x\r\n\r\n{"a": 1}', 'brew /'],
  ])('has the beginning of a method: %j, then refused', (chunks, taken, start) => {
    expect(startOf(chunks, taken, IN_METHOD)).toBe(start);
  });

  it('keeps no more than the longest target needs, and costs little if it comes byte by byte', () => {
    const line = new UnfinishedLine();
    const concat = Buffer.concat;
    let copied = 0;
    Buffer.concat = (list) => {
      copied += list.reduce((sum, each) => sum + each.length, 0);
      return concat(list);
    };
    try {
      for (let i = 0; i < 60_000; i++) line.add(bytes('x'));
    } finally {
      Buffer.concat = concat;
    }
    expect(copied).toBeLessThan(60_000 * 2100);
    expect(line.startOf(bytes(' /\xff'), 2, IN_TARGET).toString('latin1')).toBe('\xff');
  });
});
