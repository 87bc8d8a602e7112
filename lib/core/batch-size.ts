/**
 * How much of something is done in one call, so that a host's other clients do not wait for a million keys that end at once.
 * In proportion to what there is, so that the rest is bounded however fast more is added: of a million, 2,000 at once, which
 * take a millisecond or two.
 */
export const batchSize = (size: number, least = 512): number => Math.max(least, size >> 9);
