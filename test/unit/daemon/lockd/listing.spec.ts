import { describe, expect, it } from '@jest/globals';
import { pieces, unlessLong } from '../../../../lib/daemon/lockd/listing.js';

/** A listing of so many names, and how many of them it has read. */
function listingOf(count: number, length: number) {
  const read = { names: 0, isClosed: false };
  function* names(): Generator<string> {
    try {
      for (; read.names < count; read.names++) yield 'x'.repeat(length);
    } finally {
      read.isClosed = true;
    }
  }
  return { read, listing: pieces(names(), (name) => `${name}\n`) };
}

describe('a listing', () => {
  it('is built at once if it is short', () => {
    expect(unlessLong(listingOf(3, 2).listing)).toBe('xx\nxx\nxx\n');
    expect(unlessLong(listingOf(0, 2).listing)).toBe('');
  });

  it.each([
    ['names', 1000, 2],
    ['bytes', 50, 60_000],
  ])('of many %s is built piece by piece, and is complete', (_, count, length) => {
    const { listing, read } = listingOf(count, length);
    const reply = unlessLong(listing);
    expect(typeof reply).toBe('object');
    expect(read.names * length).toBeLessThanOrEqual(120_000);
    expect([...reply].join('')).toBe(`${'x'.repeat(length)}\n`.repeat(count));
  });

  it('that is not finished lets go of what it walks through', () => {
    const { listing, read } = listingOf(1000, 2);
    const reply = unlessLong(listing) as Exclude<ReturnType<typeof unlessLong>, string>;
    reply.next();
    reply.return();
    expect(read.isClosed).toBe(true);
  });
});
