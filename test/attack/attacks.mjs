/**
 * What is done to the daemon: begun, gone on with until `runMs` are over, and ended, `rounds` times; `afterMs` of what comes
 * after it belong to it. `expect` looks at what the attackers saw, so that an attack which was none is noticed; `force` says
 * in words how strong it was. `judged`: whether the p99 of other clients counts, not only what does not depend on the machine.
 *
 * @typedef {{ peak: number, left: number, cut: number, opened: number, replies: number, bytes: number, listening: number }} Seen
 * @typedef {{ name: string, kind: string, during: object, rounds: number, runMs: number, afterMs: number, calmMs: number,
 *   judged: boolean, full?: boolean, overHttp?: boolean, listens?: boolean, expect: (seen: Seen) => string | undefined, force: (seen: Seen) => string }} Attack
 */

const few = (n) => n.toLocaleString('en-US');

/** @param {boolean} quick @param {boolean} judged @returns {Attack[]} */
export function attacks(quick, judged = !quick) {
  const idle = 10_000;
  const keys = quick ? 200_000 : 1_000_000;
  const writers = quick ? 500 : 1000;
  const deaf = 10;
  const statsKeys = 100_000;
  const listeners = quick ? 1000 : 4000;
  const flooders = quick ? 5 : 20;
  const streams = 1000;
  const floods = 50;
  const course = {
    rounds: quick ? 1 : 3,
    runMs: quick ? 3000 : 7000,
    afterMs: quick ? 500 : 1000,
    calmMs: quick && !judged ? 1000 : 3000,
    judged,
  };
  /** Longer than the timeouts that must strike. */
  const patientMs = quick ? 4000 : 7000;
  /** Longer than the time for the head of a request over HTTP. */
  const headsMs = 12_500;
  const all = [
    {
      name: `${few(idle)} idle connections`,
      kind: 'idle',
      during: { count: idle },
      ...course,
      // A slow machine has not opened the last ones before the first are cut off.
      expect: ({ peak, opened, cut }) =>
        (judged ? peak : opened) < idle
          ? `only ${peak} connections were open at once`
          : cut === 0
            ? 'nobody was cut off for silence'
            : undefined,
      force: ({ opened, peak, cut }) => `${few(opened)} opened, ${few(peak)} at once, ${few(cut)} cut off for silence`,
    },
    {
      name: `${few(writers)} slow writers, a byte a second`,
      kind: 'slow writers',
      during: { count: writers, byteMs: 1000 },
      ...course,
      runMs: patientMs,
      expect: ({ cut }) => (cut === 0 ? 'nobody was cut off after the read timeout' : undefined),
      force: ({ opened, cut }) => `${few(opened)} opened, ${few(cut)} cut off`,
    },
    {
      name: `${deaf} readers of a byte a second that ask for 40 MB`,
      kind: 'slow readers',
      during: { count: deaf, requests: 10_000, byteMs: 1000 },
      ...course,
      runMs: patientMs,
      // More than the buffers of both kernels take: only the write timeout ends them, and who does not read does not notice.
      expect: ({ left }) => (left >= deaf ? 'nobody was cut off after the write timeout' : undefined),
      force: ({ opened }) => `${few(opened)} opened, with 10,000 requests each`,
    },
    {
      name: '1,000 slow readers, a byte a second',
      kind: 'slow readers',
      during: { count: 1000, requests: 2000, byteMs: 1000 },
      ...course,
      runMs: patientMs,
      full: true,
      expect: ({ left }) => (left >= 1000 ? 'nobody was cut off' : undefined),
      force: ({ opened }) => `${few(opened)} opened, with 2,000 requests each`,
    },
    {
      name: 'storms of 64 connections at a time',
      kind: 'storm',
      during: { count: 64 },
      ...course,
      expect: ({ opened }) => (opened < 200 ? `only ${opened} connections were opened` : undefined),
      force: ({ opened }) => `${few(opened)} opened and ended`,
    },
    {
      name: `${few(keys)} keys taken, then dropped at once`,
      kind: 'keys',
      during: { count: keys, lanes: 4 },
      ...course,
      rounds: quick ? 1 : 2,
      expect: ({ replies }) => (replies < keys ? `only ${replies} keys were taken` : undefined),
      force: ({ replies }) => `${few(replies)} taken`,
    },
    ...[8, 60, 200].map((askers) => ({
      name: `${askers} ask for stats of ${few(statsKeys)} keys at once, again and again`,
      kind: 'stats',
      during: { count: askers, keys: statsKeys },
      ...course,
      rounds: 1,
      runMs: patientMs,
      full: askers === 60,
      expect: ({ replies }) => (replies < askers ? `only ${replies} were answered` : undefined),
      force: ({ replies, bytes }) => `${few(replies)} answered, ${few(Math.round(bytes / 2 ** 20))} MB`,
    })),
    {
      name: `signals to ${few(listeners)} listeners who do not read`,
      kind: 'deaf listeners',
      during: { count: listeners, lanes: 4, bytes: 4000 },
      ...course,
      rounds: 1,
      runMs: patientMs,
      expect: ({ replies, left }) =>
        replies < 100 ? `only ${replies} signals were delivered` : left >= listeners ? 'nobody was cut off' : undefined,
      force: ({ replies, opened }) => `${few(replies)} signals, ${few(opened)} connections opened`,
    },
    {
      name: `signals past ${few(flooders * 10_000)} patterns`,
      kind: 'pattern floods',
      during: { count: flooders, patterns: 10_000, lanes: 4 },
      ...course,
      rounds: 1,
      expect: ({ replies }) => (replies < 20 ? `only ${replies} signals were delivered` : undefined),
      force: ({ replies }) => `${few(replies)} signals`,
    },
    {
      name: `HTTP: ${few(idle)} idle keep-alive connections`,
      kind: 'HTTP idle',
      // Nobody cuts them off. Node reports all that are reset at once in one turn, at some 10 µs each.
      during: { count: idle, leaveAtOnce: 200 },
      ...course,
      overHttp: true,
      expect: ({ peak, replies }) =>
        peak < idle
          ? `only ${peak} connections were open at once`
          : replies < idle
            ? `only ${replies} were answered`
            : undefined,
      force: ({ opened, peak }) => `${few(opened)} opened and asked once, ${few(peak)} at once`,
    },
    {
      name: `HTTP: ${few(writers)} slow heads, a byte a second`,
      kind: 'HTTP slow heads',
      during: { count: writers, byteMs: 1000 },
      ...course,
      rounds: 1,
      runMs: quick ? patientMs : headsMs,
      overHttp: true,
      expect: ({ opened, cut }) =>
        opened < writers ? `only ${opened} were opened` : !quick && cut === 0 ? 'nobody was cut off' : undefined,
      force: ({ opened, cut }) => `${few(opened)} opened, ${few(cut)} cut off`,
    },
    {
      name: `HTTP: ${few(writers)} slow bodies, a byte a second`,
      kind: 'HTTP slow bodies',
      during: { count: writers, byteMs: 1000 },
      ...course,
      rounds: 1,
      runMs: patientMs,
      overHttp: true,
      expect: ({ cut }) => (cut === 0 ? 'nobody was cut off after the read timeout' : undefined),
      force: ({ opened, cut }) => `${few(opened)} opened, ${few(cut)} cut off`,
    },
    {
      name: `HTTP: ${floods} floods of 2,000 requests in one write, again and again`,
      kind: 'HTTP floods',
      during: { count: floods, requests: 2000 },
      ...course,
      rounds: 1,
      overHttp: true,
      expect: ({ replies }) => (replies < floods * 2000 ? `only ${replies} requests were answered` : undefined),
      force: ({ replies }) => `${few(replies)} requests answered`,
    },
    {
      name: `HTTP: signals to ${few(streams)} streams that nobody reads`,
      kind: 'deaf streams',
      during: { count: streams, lanes: 4, bytes: 4000 },
      ...course,
      rounds: 1,
      runMs: patientMs,
      overHttp: true,
      listens: true,
      expect: ({ replies, listening }) =>
        replies < 100
          ? `only ${replies} signals were delivered`
          : listening >= streams
            ? 'no stream was ended'
            : undefined,
      force: ({ replies, opened }) => `${few(replies)} signals, ${few(opened)} connections opened`,
    },
  ];
  return all.filter(({ full = false }) => !(quick && full));
}
