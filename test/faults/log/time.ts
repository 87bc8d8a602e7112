const NANOS_PER_MS = 1e6;

/** Nanoseconds of the machine's monotonic clock, which all processes share; exact in a double for a hundred days of uptime. */
export function nanos(): number {
  const [seconds, rest] = process.hrtime();
  return seconds * 1e9 + rest;
}

export const millis = (ns: number): number => ns / NANOS_PER_MS;
export const fromMillis = (ms: number): number => ms * NANOS_PER_MS;
