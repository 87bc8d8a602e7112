/**
 * What is done to the daemon. `during` are the options of its attackers; `rounds` times it is begun and ended, and beside
 * each slice of the other clients under attack there is one without. `expect` looks at what the attackers saw.
 *
 * @typedef {{ name: string, kind: string, during: object, rounds: number, sliceMs: number, expect?: (seen: any) => string | undefined }} Attack
 */

const few = (n) => n.toLocaleString('en-US');

/** @param {boolean} quick @returns {Attack[]} */
export function attacks(quick) {
  const idle = 10_000;
  const keys = quick ? 200_000 : 1_000_000;
  const rounds = quick ? 2 : 5;
  const sliceMs = quick ? 1000 : 3000;
  const slow = quick ? 500 : 1000;
  return [
    {
      name: `${few(idle)} idle connections`,
      kind: 'idle',
      during: { count: idle },
      rounds,
      sliceMs,
      expect: ({ peak }) => (peak < idle ? `only ${peak} connections were open at once` : undefined),
    },
    {
      name: `${few(slow)} slow writers, a byte a second`,
      kind: 'slow writers',
      during: { count: slow, byteMs: 1000 },
      rounds,
      sliceMs: Math.max(sliceMs, 4500),
      expect: ({ cut }) => (cut === 0 ? 'nobody was cut off after the read timeout' : undefined),
    },
    {
      name: `${few(slow)} slow readers, a byte a second`,
      kind: 'slow readers',
      during: { count: slow, requests: 2000, byteMs: 1000 },
      rounds,
      sliceMs: Math.max(sliceMs, 3500),
      expect: ({ left }) => (left >= slow ? 'nobody was cut off after the write timeout' : undefined),
    },
    {
      name: 'storms of 64 connections at a time',
      kind: 'storm',
      during: { count: 64 },
      rounds,
      sliceMs,
      expect: ({ opened }) => (opened < 200 ? `only ${opened} connections were opened` : undefined),
    },
    {
      name: `${few(keys)} keys taken, then dropped at once`,
      kind: 'keys',
      during: { count: keys, lanes: 4 },
      rounds: quick ? 1 : 2,
      sliceMs: quick ? 4000 : 10_000,
      expect: ({ replies }) => (replies === 0 ? 'no key was taken' : undefined),
    },
  ];
}
