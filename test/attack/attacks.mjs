/**
 * What is done to the daemon: begun, gone on with until `runMs` are over, and ended, `rounds` times; beside each there is as
 * long a time without. `expect` looks at what the attackers saw, so that an attack which was none is noticed; `force` says
 * in words how strong it was.
 *
 * @typedef {{ peak: number, left: number, cut: number, opened: number, replies: number }} Seen
 * @typedef {{ name: string, kind: string, during: object, rounds: number, runMs: number,
 *   expect: (seen: Seen) => string | undefined, force: (seen: Seen) => string }} Attack
 */

const few = (n) => n.toLocaleString('en-US');

/** @param {boolean} quick @returns {Attack[]} */
export function attacks(quick) {
  const idle = 10_000;
  const keys = quick ? 200_000 : 1_000_000;
  const slow = quick ? 500 : 1000;
  const rounds = quick ? 1 : 2;
  const runMs = quick ? 3000 : 10_000;
  /** Longer than the timeouts that must strike. */
  const patientMs = quick ? 4500 : 10_000;
  return [
    {
      name: `${few(idle)} idle connections`,
      kind: 'idle',
      during: { count: idle },
      rounds,
      runMs,
      expect: ({ peak, cut }) =>
        peak < idle
          ? `only ${peak} connections were open at once`
          : cut === 0
            ? 'nobody was cut off for silence'
            : undefined,
      force: ({ opened, cut }) => `${few(opened)} opened, ${few(cut)} cut off for silence`,
    },
    {
      name: `${few(slow)} slow writers, a byte a second`,
      kind: 'slow writers',
      during: { count: slow, byteMs: 1000 },
      rounds,
      runMs: patientMs,
      expect: ({ cut }) => (cut === 0 ? 'nobody was cut off after the read timeout' : undefined),
      force: ({ opened, cut }) => `${few(opened)} opened, ${few(cut)} cut off`,
    },
    {
      name: `${few(slow)} slow readers, a byte a second`,
      kind: 'slow readers',
      during: { count: slow, requests: 2000, byteMs: 1000 },
      rounds,
      runMs: patientMs,
      // Who does not read does not notice that it was cut off.
      expect: ({ left }) => (left >= slow ? 'nobody was cut off after the write timeout' : undefined),
      force: ({ opened }) => `${few(opened)} opened, with 2,000 requests each`,
    },
    {
      name: 'storms of 64 connections at a time',
      kind: 'storm',
      during: { count: 64 },
      rounds,
      runMs,
      expect: ({ opened }) => (opened < 200 ? `only ${opened} connections were opened` : undefined),
      force: ({ opened }) => `${few(opened)} opened and ended`,
    },
    {
      name: `${few(keys)} keys taken, then dropped at once`,
      kind: 'keys',
      during: { count: keys, lanes: 4 },
      rounds,
      runMs,
      expect: ({ replies }) => (replies < keys ? `only ${replies} keys were taken` : undefined),
      force: ({ replies }) => `${few(replies)} taken`,
    },
  ];
}
