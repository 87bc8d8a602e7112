import { describe, expect, it } from '@jest/globals';
import { GrantDelays } from '../../../../../lib/backends/postgres/commands/grant-delays.js';

/** Between the server's clock and that of this process. */
const OFFSET_MS = 1_800_000_000_000;

describe('the delays of grants', () => {
  let delays = new GrantDelays();
  /** A grant that was made at a time of this process, and is read later. */
  const isLate = (made: number, after: number, offset = OFFSET_MS): boolean =>
    delays.isLate(BigInt(Math.round((made + offset) * 1000)) * 1000n, made + after);

  it('are late from 20 ms above the least one', () => {
    delays = new GrantDelays();
    expect([isLate(0, 5), isLate(100, 24), isLate(200, 26), isLate(300, 5), isLate(400, 226)]).toEqual([
      ...[false, false, true],
      ...[false, true],
    ]);
  });

  it('are compared with the least one, however many late ones come in between', () => {
    delays = new GrantDelays();
    isLate(0, 1);
    expect([isLate(1, 200), isLate(1, 200), isLate(2, 199)]).toEqual([true, true, true]);
  });

  it('say nothing where there is nothing to compare them with', () => {
    delays = new GrantDelays();
    expect(isLate(0, 500)).toBe(false);
    expect(isLate(500, 1)).toBe(false);
    expect(isLate(600, 500)).toBe(true);
  });

  it('remember the least one for ten seconds at least, and for as long as there is no other', () => {
    delays = new GrantDelays();
    isLate(0, 1);
    expect([isLate(9980, 100), isLate(19_000, 100), isLate(30_000, 100)]).toEqual([true, true, false]);
    delays = new GrantDelays();
    isLate(0, 1);
    expect(isLate(60_000, 100)).toBe(true);
  });

  it.each([
    ['slower', 3_600_000],
    ['faster', -3_600_000],
  ])('get used to a network or a clock that has become %s', (_, change) => {
    delays = new GrantDelays();
    isLate(0, 1);
    const later = [1000, 11_000, 22_000, 22_500].map((at) => isLate(at, 1, OFFSET_MS - change));
    expect(later.at(-1)).toBe(false);
    expect(later[0]).toBe(change > 0);
    expect(isLate(23_000, 100, OFFSET_MS - change)).toBe(true);
  });
});
