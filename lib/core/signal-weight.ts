/** What the parts of a delivery cost, in units of about a tenth of a microsecond. */
export const WEIGHT = {
  /** A pattern that is looked at. */
  pattern: 2,
  /** A byte of the channel when patterns are looked for. */
  byte: 1,
  /** A listener that has its copy already, because of another pattern. */
  skip: 1,
  /** A copy. When it is written is the host's affair. */
  copy: 4,
  /** The end of a connection. */
  eviction: 1024,
  /** On top of each copy. */
  of: (payload: string): number => payload.length >> 7,
};

/** About a millisecond: what is done in a turn of the event loop. */
export const ALLOWANCE = 8192;
