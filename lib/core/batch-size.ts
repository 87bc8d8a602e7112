/**
 * How many items one call processes, so that other clients do not wait while a million keys expire at once.
 * Proportional to the backlog, which therefore stays bounded however fast it grows: 2,000 of a million, which take a
 * millisecond or two.
 */
export const batchSize = (size: number, least = 512): number => Math.max(least, size >> 9);
