import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { UnparsedRequest } from '../../../../lib/daemon/http/unparsed-request.js';

/** How many characters are searched by regular expressions. */
function searched(): () => number {
  const { exec } = RegExp.prototype;
  const spy = jest.spyOn(RegExp.prototype, 'exec');
  let characters = 0;
  spy.mockImplementation(function (this: RegExp, text: string) {
    // A `split` looks at one place after the other.
    if (!this.sticky) characters += text.length;
    return exec.call(this, text);
  });
  return () => characters;
}

describe('the head of a request with an unknown method', () => {
  afterEach(() => void jest.restoreAllMocks());

  it('is searched once, although it comes in 60,000 pieces of a byte', () => {
    const head = `BREW /x HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(59_960)}\r\n\r\n`;
    const unparsed = new UnparsedRequest();
    const count = searched();
    const seen = [...head].map((byte) => unparsed.add(Buffer.from(byte, 'latin1'), 'peer'));
    expect(seen.slice(0, -1).every((each) => each === 'more')).toBe(true);
    expect(seen.at(-1)).toMatchObject({ method: 'BREW', url: '/x' });
    expect(count()).toBeGreaterThan(head.length);
    expect(count()).toBeLessThan(10 * head.length);
  });

  it('is refused when it is longer than 64 KiB', () => {
    const unparsed = new UnparsedRequest();
    expect(unparsed.add(Buffer.from('BREW /'), 'peer')).toBe('more');
    expect(unparsed.add(Buffer.alloc(64 * 1024, 'x'), 'peer')).toBeUndefined();
  });
});
