/**
 * How much of something is done in one call, so that a host's other clients do not wait for a million keys that end at once.
 * In proportion to what there is, so that the rest is bounded however fast more is added.
 */
export const portionOf = (size: number, least = 512): number => Math.max(least, size >> 6);
